"""The faults of the tests' proxy."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.proxy import SIDES, Proxy, Side

TIMEOUT_SECONDS = 10


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """The address of a server that sends received bytes back."""

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while chunk := connection.recv(65536):
                connection.sendall(chunk)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=listening.accept()[:1], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        host, port = listening.getsockname()
        yield host, port
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(echo: tuple[str, int]) -> Iterator[Proxy]:
    """A proxy in front of it."""
    with Proxy(echo) as proxy:
        yield proxy


@contextlib.contextmanager
def connected(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), TIMEOUT_SECONDS) as client:
        yield client


def asked(client: socket.socket, question: bytes = b"hello") -> bytes:
    client.sendall(question)
    answer = b""
    while len(answer) < len(question) and (chunk := client.recv(65536)):
        answer += chunk
    return answer


def ended(client: socket.socket) -> bytes:
    """The bytes received until the connection is closed or reset."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := client.recv(65536):
            received += chunk
    return received


def test_what_comes_is_forwarded_whatever_the_size_of_the_pieces(proxy: Proxy) -> None:
    long = bytes(range(256)) * 1000
    with connected(proxy) as client:
        assert asked(client, long) == long
        proxy.slicing = 100
        assert asked(client, long) == long


def test_latency_and_rate_take_their_time(proxy: Proxy) -> None:
    with connected(proxy) as client:
        asked(client)
        began = time.monotonic()
        proxy.latency = 0.05
        assert asked(client) == b"hello"
        assert time.monotonic() - began >= 0.1
        proxy.latency, proxy.rate, began = 0, 1000, time.monotonic()
        assert asked(client, b"x" * 150) == b"x" * 150
        assert time.monotonic() - began >= 0.1


def test_a_cut_resets_what_is_open_and_nothing_else(proxy: Proxy) -> None:
    with connected(proxy) as client:
        asked(client)
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with connected(proxy) as client:
        assert asked(client) == b"hello"


def test_a_cut_after_so_many_bytes_lets_those_pass(proxy: Proxy) -> None:
    with connected(proxy) as client:
        proxy.cut_after("server", 3)
        client.sendall(b"hello")
        assert client.recv(10, socket.MSG_WAITALL) == b"hel"
    with connected(proxy) as client:
        assert asked(client) == b"hello"
        proxy.cut_after("client")
        client.sendall(b"hello")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


@pytest.mark.parametrize("side", SIDES)
def test_a_cut_with_a_mark_strikes_the_connection_that_sends_it(proxy: Proxy, side: Side) -> None:
    with connected(proxy) as client, connected(proxy) as other:
        proxy.cut_after(side, 3, mark=b"mark")
        assert asked(other) == b"hello"
        client.sendall(b"a mark")
        assert ended(client) in {b"a m", b""}
        assert asked(other, b"a mark") == b"a mark"


def test_a_frozen_line_is_open_and_silent_until_it_heals(proxy: Proxy) -> None:
    with connected(proxy) as client:
        asked(client)
        proxy.freeze()
        with connected(proxy) as other:
            for each in (client, other):
                each.settimeout(0.05)
                each.sendall(b"hello")
                with pytest.raises(TimeoutError):
                    each.recv(1)
            proxy.heal()
            for each in (client, other):
                each.settimeout(TIMEOUT_SECONDS)
                assert each.recv(10) == b"hello"


def test_who_is_refused_may_come_back(proxy: Proxy) -> None:
    with connected(proxy) as client:
        asked(client)
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", proxy.port), TIMEOUT_SECONDS)
        assert asked(client) == b"hello"
        proxy.heal()
        with connected(proxy) as other:
            assert asked(other) == b"hello"


def test_an_end_is_forwarded_after_what_came_before_it(proxy: Proxy) -> None:
    with connected(proxy) as client:
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(10, socket.MSG_WAITALL) == b"hello"
