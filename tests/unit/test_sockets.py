"""A port that two processes share changes hands without a connection being reset."""

import socket
import sys

import pytest

from app.sockets import bind, overlap, turn_newcomers_away


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such filters")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_newcomers_go_to_who_listens_next_and_who_has_come_is_kept(host: str) -> None:
    first = bind(host, 0, shared=True)
    port = first.getsockname()[1]
    first.listen()
    with socket.create_connection((host, port)) as early:
        assert turn_newcomers_away(first)
        second = bind(host, port, shared=True)
        second.listen()
        late = [socket.socket(first.family) for _ in range(16)]
        for one in late:
            one.setblocking(False)
            one.connect_ex((host, port))
        accepted, _ = first.accept()
        first.setblocking(False)
        # About half of the others have called here, and nobody has answered them.
        with pytest.raises(BlockingIOError):
            first.accept()
        first.close()
        second.settimeout(30)
        taken = [second.accept()[0] for _ in late]
        for one in (*taken, accepted):
            one.sendall(b"x")
        for one in (*late, early):
            one.settimeout(30)
            assert one.recv(1) == b"x"
        for one in (*taken, *late, accepted, second):
            one.close()


@pytest.mark.parametrize(
    ("host", "other", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "0.0.0.0", True),  # noqa: S104
        ("::", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "::1", False),
    ],
)
def test_addresses_overlap_when_a_client_could_mean_either(host: str, other: str, expected: bool) -> None:
    with bind(host, 0) as first, bind(other, 0) as elsewhere, bind(other, first.getsockname()[1]) as second:
        assert overlap(first, second) is expected
        assert not overlap(first, elsewhere)


def test_a_port_is_shared_only_by_those_who_say_so() -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(Exception, match="Address already in use"):
            bind("127.0.0.1", taken.getsockname()[1], shared=True)
