"""The address of a client: the other end of its connection, or the one that a trusted proxy names."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from pgmq_gateway.http.request import Head

FORWARDED_FOR = b"x-forwarded-for"
# IPv6 providers assign at least a /64 to each customer.
IPV6_PREFIX_BITS = 64
MAX_CACHED_ADDRESSES = 1024


class Addresses:
    """Finds addresses of clients.

    trusted  networks of proxies, whose X-Forwarded-For counts
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._trusted = [ip_network(network) for network in trusted]

    def of(self, client: tuple[str, int] | None, head: Head) -> str:
        """The IPv4 address of a client, or the /64 network of its IPv6 address: it can use any address of its network.

        client  the other end of the connection; None on a Unix socket, for which the result is empty
        """
        peer = client[0] if client else ""
        if self._trusted and FORWARDED_FOR.decode() in head.headers and _is_in(self._trusted, peer):
            peer = self._forwarded(head.values(FORWARDED_FOR)) or peer
        return network_of(peer)

    def _forwarded(self, values: Sequence[str]) -> str | None:
        """The last address that is not a trusted proxy's: a client can send any before it. None if it is malformed."""
        for text in reversed(",".join(values).split(",")):
            address = text.strip()
            if _parsed(address) is None:
                return None
            if not _is_in(self._trusted, address):
                return address
        return None


@lru_cache(MAX_CACHED_ADDRESSES)
def network_of(address: str) -> str:
    """An IPv4 address, or the /64 network of an IPv6 address. Text that is no address is returned as it is."""
    found = _parsed(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((int(found), IPV6_PREFIX_BITS), strict=False))
    return address if found is None else str(found)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    """An address; an IPv4 address mapped into IPv6 is one of IPv4."""
    try:
        found = ip_address(address)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _is_in(networks: Iterable[IPv4Network | IPv6Network], address: str) -> bool:
    found = _parsed(address)
    return found is not None and any(found in network for network in networks)
