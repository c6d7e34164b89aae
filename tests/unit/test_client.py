"""The address of a client, behind proxies and without."""

import pytest

from pgmq_gateway.http.client import Addresses
from pgmq_gateway.http.request import Head


def address(peer: str, *forwarded: str, trusted: tuple[str, ...] = ("192.0.2.0/24", "2001:db8::/32")) -> str:
    """The address of a client with these values of X-Forwarded-For, a header each."""
    raw = tuple((b"x-forwarded-for", value.encode()) for value in forwarded)
    return Addresses(trusted).of((peer, 1), Head("GET", b"/", b"", raw))


@pytest.mark.parametrize(
    ("peer", "shown"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("2001:db9::1", "2001:db9::/64"),
        ("2001:db9:0:1::1", "2001:db9:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_the_peer_is_the_client(peer: str, shown: str) -> None:
    assert address(peer) == address(peer, "203.0.113.9") == shown


@pytest.mark.parametrize("peer", ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"])
@pytest.mark.parametrize(
    ("forwarded", "shown"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        (["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        (["198.51.100.1, 203.0.113.9,192.0.2.7", "2001:db8::5"], "203.0.113.9"),
        (["::ffff:203.0.113.9"], "203.0.113.9"),
        (["2001:db9::1"], "2001:db9::/64"),
        (["nonsense, 203.0.113.9"], "203.0.113.9"),
    ],
)
def test_a_trusted_proxy_names_the_client(peer: str, forwarded: list[str], shown: str) -> None:
    assert address(peer, *forwarded) == shown


@pytest.mark.parametrize("forwarded", ["", "unknown", "203.0.113.9, x", "203.0.113.9,", "192.0.2.9", "203.0.113.9:80"])
def test_without_a_valid_address_of_a_client_the_proxy_counts(forwarded: str) -> None:
    assert address("192.0.2.1", forwarded) == "192.0.2.1"


def test_nobody_is_trusted_by_default() -> None:
    assert address("192.0.2.1", "203.0.113.9", trusted=()) == "192.0.2.1"


def test_a_unix_socket_has_no_address() -> None:
    assert Addresses(["192.0.2.0/24"]).of(None, Head("GET", b"/", b"", ())) == ""
