"""Listening sockets: which of them clash, and when two processes can share a port."""

import subprocess
import sys

import pytest

from pgmq_gateway.http.sockets import bind, overlap


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


PASSES_A_UNIX_SOCKET = """
import os, socket
from pgmq_gateway.http.sockets import passed
unix = socket.socket(socket.AF_UNIX)
os.dup2(unix.fileno(), 3)
passed({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "api"})
"""


def test_a_passed_socket_must_be_tcp() -> None:
    result = subprocess.run([sys.executable, "-c", PASSES_A_UNIX_SOCKET], capture_output=True, text=True, check=False)
    assert "ServeError: systemd passed a socket that is not TCP: set ListenStream to a port" in result.stderr
