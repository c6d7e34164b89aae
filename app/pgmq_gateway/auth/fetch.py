"""Fetches a document from a configured URL, protected against server-side request forgery (SSRF).

The host name is resolved first, its addresses are checked, and the connection goes to a checked address, which prevents
DNS rebinding. Redirects are not followed, and proxies of the environment are not used.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any

import httpcore
import httpx

# From the resolution of the name to the last byte.
FETCH_TIMEOUT_SECONDS = 10.0
MAX_DOCUMENT_BYTES = 256 * 1024
# Of a response with its head and the framing of its body, and the pieces in which it may arrive. A server that sent
# informational responses without end took five seconds of CPU until the timeout.
MAX_RESPONSE_BYTES = MAX_DOCUMENT_BYTES + 64 * 1024
MAX_READS = 2000
# Attempts to connect, each to another address of the name.
MAX_ADDRESSES = 4

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
INTERNET = ipaddress.IPv6Network("2000::/3")
# RFC 6890; older releases of Python know parts of it only.
ASSIGNMENTS = ipaddress.IPv4Network("192.0.0.0/24")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]

FAILURES = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, httpcore.UnsupportedProtocol)


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
        self._private = private
        self._resolve = resolve or resolve_host
        self._trusted = trusted or httpx.create_ssl_context()

    async def get(self, url: str) -> Document:
        """The document at `url`. Raises FetchError."""
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_SECONDS):
                return await self._get(httpx.URL(url))
        except TimeoutError:
            raise FetchError(f"no complete response within {FETCH_TIMEOUT_SECONDS:.0f} seconds") from None
        except (*FAILURES, httpx.InvalidURL, OSError, UnicodeError) as error:
            raise FetchError(str(error) or type(error).__name__) from None

    async def _get(self, url: httpx.URL) -> Document:
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        # Uncompressed, so that the size limit counts the bytes that are kept.
        headers = [("Accept", "application/json"), ("Accept-Encoding", "identity"), ("User-Agent", "pgmq-gateway")]
        network = CheckedNetwork(self._resolve, private=self._private, encrypted=url.scheme == "https")
        async with (
            # For one request: the next document is fetched minutes later.
            httpcore.AsyncConnectionPool(self._trusted, network_backend=network) as connections,
            connections.stream("GET", target, headers=headers) as response,
        ):
            if response.status != 200:
                raise FetchError(f"the server responded with status {response.status}")
            body = bytearray()
            async for chunk in response.aiter_stream():
                body += chunk
                if len(body) > MAX_DOCUMENT_BYTES:
                    raise FetchError(f"the document is larger than {MAX_DOCUMENT_BYTES} bytes")
            return Document(bytes(body), httpx.Headers(response.headers))


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects only to checked addresses; without encryption only to this machine's own."""

    def __init__(self, resolve: Resolve, *, private: bool, encrypted: bool) -> None:
        self._resolve = resolve
        self._private = private
        self._encrypted = encrypted
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 the interface's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address of a host that accepts one."""
        failure: httpcore.ConnectError | None = None
        for address in (await self._addresses(host, port))[:MAX_ADDRESSES]:
            try:
                return BoundedStream(
                    await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
                )
            except httpcore.ConnectError as error:
                failure = error
        raise failure or httpcore.ConnectError("the host name has no address")

    async def _addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host. Raises FetchError for a forbidden one."""
        found = await self._resolve(host, port)
        for text in found:
            address = ipaddress.ip_address(text)
            if not self._private and not on_internet(address):
                raise FetchError(
                    f"{text} is not an address on the internet: allow it with PGMQ_GATEWAY_JWKS_PRIVATE_ADDRESSES=true"
                )
            if not self._encrypted and not address.is_loopback:
                raise FetchError(f"{text} is another machine, to which http is not allowed: write https://")
        return found


class BoundedStream(httpcore.AsyncNetworkStream):
    """A connection from which only so much can be read."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._bytes = self._reads = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 the interface's
        """Raises FetchError beyond the bounds."""
        data = await self._stream.read(max_bytes, timeout)
        self._bytes += len(data)
        self._reads += 1
        if self._bytes > MAX_RESPONSE_BYTES or self._reads > MAX_READS:
            raise FetchError(
                f"the response is larger than {MAX_RESPONSE_BYTES} bytes, or has more than {MAX_READS} parts"
            )
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 likewise
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 likewise
    ) -> httpcore.AsyncNetworkStream:
        return BoundedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 likewise
        return self._stream.get_extra_info(info)


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
