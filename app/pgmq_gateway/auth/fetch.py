"""Fetches a document from a configured URL, protected against server-side request forgery (SSRF).

The host name is resolved first, its addresses are checked, and the connection goes to a checked address, which prevents
DNS rebinding. Redirects are not followed, and proxies of the environment are not used.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ssl import SSLContext

import httpx

# From the resolution of the name to the last byte.
FETCH_TIMEOUT_SECONDS = 10.0
MAX_DOCUMENT_BYTES = 256 * 1024
# Attempts to connect, each to another address of the name.
MAX_ADDRESSES = 4

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
INTERNET = ipaddress.IPv6Network("2000::/3")
# RFC 6890; older releases of Python know parts of it only.
ASSIGNMENTS = ipaddress.IPv4Network("192.0.0.0/24")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]


class FetchError(Exception):
    """The document could not be fetched; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class Document:
    """A fetched document and the headers of its response."""

    body: bytes
    headers: httpx.Headers


class Fetcher:
    """Fetches documents.

    private  allow addresses that are not on the internet
    """

    def __init__(self, *, private: bool, resolve: Resolve | None = None, trusted: SSLContext | None = None) -> None:
        transport = CheckedTransport(resolve or resolve_host, trusted, private=private)
        self._client = httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False)

    async def get(self, url: str) -> Document:
        """The document at `url`. Raises FetchError."""
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_SECONDS):
                return await self._get(url)
        except TimeoutError:
            raise FetchError(f"no complete response within {FETCH_TIMEOUT_SECONDS:.0f} seconds") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            raise FetchError(str(error) or type(error).__name__) from None

    async def _get(self, url: str) -> Document:
        # Uncompressed, so that the size limit counts the bytes that are kept.
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        async with self._client.stream("GET", url, headers=headers, timeout=FETCH_TIMEOUT_SECONDS) as response:
            if response.status_code != 200:
                raise FetchError(f"the server responded with status {response.status_code}")
            body = b""
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_DOCUMENT_BYTES:
                    raise FetchError(f"the document is larger than {MAX_DOCUMENT_BYTES} bytes")
            return Document(body, response.headers)

    async def close(self) -> None:
        await self._client.aclose()


class CheckedTransport(httpx.AsyncBaseTransport):
    """Connects only to checked addresses; with http only to this machine's own."""

    def __init__(self, resolve: Resolve, trusted: SSLContext | None, *, private: bool) -> None:
        self._resolve = resolve
        self._private = private
        # The next document is fetched minutes later.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._inner = httpx.AsyncHTTPTransport(verify=trusted or True, limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The response of the first address that accepts a connection."""
        failure: httpx.TransportError | None = None
        for address in (await self._addresses(request.url))[:MAX_ADDRESSES]:
            try:
                return await self._inner.handle_async_request(_to(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise failure or httpx.ConnectError("the host name has no address")

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _addresses(self, url: httpx.URL) -> list[str]:
        """The addresses of a URL's host. Raises httpx.UnsupportedProtocol for a forbidden one."""
        host, port = url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)
        found = await self._resolve(host, port)
        for text in found:
            address = ipaddress.ip_address(text)
            if not self._private and not on_internet(address):
                raise httpx.UnsupportedProtocol(
                    f"{text} is not an address on the internet: allow it with PGMQ_GATEWAY_JWKS_PRIVATE_ADDRESSES=true"
                )
            if url.scheme != "https" and not address.is_loopback:
                raise httpx.UnsupportedProtocol(
                    f"{text} is another machine, to which http is not allowed: write https://"
                )
        return found


def on_internet(address: Address) -> bool:
    """True if an address is globally routable: not of a private network, this machine or a link-local service."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else None)
        if inner is None:
            # 6to4 and Teredo embed an IPv4 address, which could be private.
            return address in INTERNET and address.is_global and not address.sixtofour and not address.teredo
        address = inner
    return address.is_global and not address.is_multicast and address not in ASSIGNMENTS


async def resolve_host(host: str, port: int) -> list[str]:
    """The addresses of a host by the system's resolver. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


def _to(request: httpx.Request, address: str) -> httpx.Request:
    """The request to this address; Host, SNI and the checked name of the certificate remain those of the URL."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.raw_host.decode("ascii")},
    )
