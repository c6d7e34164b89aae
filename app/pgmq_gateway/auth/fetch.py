"""GET of a document that an operator has named by its URL, so that nobody can make it lead elsewhere.

A name is resolved first, its addresses are checked, and the connection goes to a checked one: a name that changes its
address in between (DNS rebinding) gains nothing. Redirects are not followed, proxies of the environment not used.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ssl import SSLContext

import httpx

# What one document may take: seconds from the first look-up to the last byte, and bytes.
SECONDS = 10.0
LARGEST = 256 * 1024
# Addresses of one name that are tried.
MOST_TRIED = 4

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
INTERNET = ipaddress.IPv6Network("2000::/3")
# RFC 6890; older releases of Python know parts of it only.
ASSIGNMENTS = ipaddress.IPv4Network("192.0.0.0/24")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]


class FetchError(Exception):
    """There is no document to be had; the message says why."""


@dataclass(frozen=True, slots=True)
class Document:
    """What was fetched, and what the answer's headers say of it, by name in lower case."""

    body: bytes
    headers: httpx.Headers


class Outbound:
    """Fetches documents.

    private  whether they may come from an address that is not on the internet
    """

    def __init__(self, *, private: bool, resolve: Resolve | None = None, trusted: SSLContext | None = None) -> None:
        transport = CheckedTransport(resolve or resolved, trusted, private=private)
        self._client = httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False)

    async def get(self, url: str) -> Document:
        """The document at `url`. Raises FetchError."""
        try:
            async with asyncio.timeout(SECONDS):
                return await self._get(url)
        except TimeoutError:
            raise FetchError(f"it took longer than {SECONDS:.0f} seconds") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            raise FetchError(str(error) or type(error).__name__) from None

    async def _get(self, url: str) -> Document:
        # Uncompressed, and read as it comes, so that what is counted is what there is.
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        async with self._client.stream("GET", url, headers=headers, timeout=SECONDS) as answer:
            if answer.status_code != 200:
                raise FetchError(f"it was answered with status {answer.status_code}")
            body = b""
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > LARGEST:
                    raise FetchError(f"it is larger than {LARGEST} bytes")
            return Document(body, answer.headers)

    async def close(self) -> None:
        """Let go of what is open."""
        await self._client.aclose()


class CheckedTransport(httpx.AsyncBaseTransport):
    """Connects to addresses that have been checked, and to none for http but this machine's own."""

    def __init__(self, resolve: Resolve, trusted: SSLContext | None, *, private: bool) -> None:
        self._resolve = resolve
        self._private = private
        # Nothing stays open: the next document is minutes away.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._inner = httpx.AsyncHTTPTransport(verify=trusted or True, limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer of the first address that takes a connection."""
        failure: httpx.TransportError | None = None
        for address in (await self._addresses(request.url))[:MOST_TRIED]:
            try:
                return await self._inner.handle_async_request(_to(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise failure or httpx.ConnectError("its name has no address")

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _addresses(self, url: httpx.URL) -> list[str]:
        """The addresses of a URL's host. Raises httpx.UnsupportedProtocol for one that may not be connected to."""
        host, port = url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)
        found = await self._resolve(host, port)
        for text in found:
            address = ipaddress.ip_address(text)
            if not self._private and not on_internet(address):
                raise httpx.UnsupportedProtocol(f"{text} is not an address on the internet, and no other is allowed")
            if url.scheme != "https" and not address.is_loopback:
                raise httpx.UnsupportedProtocol(f"{text} is another machine, so the address must begin with https://")
        return found


def on_internet(address: Address) -> bool:
    """Whether an address is one that anybody may have: none of a private network, this machine or a local service."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else None)
        if inner is None:
            # Tunnels lead to an address that is written inside this one.
            return address in INTERNET and address.is_global and not address.sixtofour and not address.teredo
        address = inner
    return address.is_global and not address.is_multicast and address not in ASSIGNMENTS


async def resolved(host: str, port: int) -> list[str]:
    """The addresses of a host as the system knows them. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


def _to(request: httpx.Request, address: str) -> httpx.Request:
    """The same request to an address; Host, SNI and the name that the certificate must have stay those of the URL."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.raw_host.decode("ascii")},
    )
