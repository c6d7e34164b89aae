"""Accepted names in the Host header.

A web page whose name leads to this machine (DNS rebinding) may read what a server here answers, unless the server
rejects that name.
"""

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Hosts:
    """Host names that a server answers to: those of this machine, and `names`.

    addresses  whether every IP address is accepted: no page has one as a name that it could lead elsewhere
    """

    def __init__(self, names: Iterable[str], *, addresses: bool = False) -> None:
        self._names = LOOPBACK | {name.lower() for name in names}
        self._addresses = addresses

    def accept(self, host: str) -> bool:
        """True if `host`, the value of a Host header, is accepted."""
        name = split(f"//{host}")[0]
        return name in self._names or (self._addresses and _is_address(name))


def split(address: str) -> tuple[str, str]:
    """Host name, and host with port, of a URL; empty strings when it is malformed."""
    try:
        parts = urlsplit(address)
        return parts.hostname or "", parts.netloc.lower()
    except ValueError:
        return "", ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
