"""The database's URI: its servers, and the parameters that the driver does not support."""

import pytest

from pgmq_gateway.settings.address import Address, Keepalive


@pytest.mark.parametrize(
    ("uri", "uris"),
    [
        ("postgresql://u@a/db", ["postgresql://u@a/db"]),
        ("postgresql://u@a:1,b:2/db?x=1", ["postgresql://u@a:1/db?x=1", "postgresql://u@b:2/db?x=1"]),
        ("postgresql:///db?host=a,b&x=1", ["postgresql:///db?x=1&host=a", "postgresql:///db?x=1&host=b"]),
        ("postgresql:///db?host=a,b&port=1", ["postgresql:///db?host=a&port=1", "postgresql:///db?host=b&port=1"]),
        ("postgresql:///db?host=a,b&port=1,2", ["postgresql:///db?host=a&port=1", "postgresql:///db?host=b&port=2"]),
        ("postgresql:///db?host=a%2Cb", ["postgresql:///db?host=a", "postgresql:///db?host=b"]),
        # The driver takes a standby only after it has tried all servers.
        (
            "postgresql://a,b/db?target_session_attrs=prefer-standby",
            ["postgresql://a,b/db?target_session_attrs=prefer-standby"],
        ),
    ],
)
def test_each_server_has_a_uri(uri: str, uris: list[str]) -> None:
    assert Address.of(uri).uris == uris


def test_timeouts_and_keepalive_are_not_passed_to_the_driver() -> None:
    address = Address.of("postgresql://a/db?connect_timeout=3&keepalives_idle=7&tcp_user_timeout=0")
    assert address == Address(["postgresql://a/db"], 3, Keepalive(idle=7, user_timeout=0))


def test_a_timeout_must_be_a_whole_number() -> None:
    with pytest.raises(ValueError, match="connect_timeout in the URI must be a whole number, such as connect_timeout="):
        Address.of("postgresql://a/db?connect_timeout=1.5")
