"""Workers that listen on one socket: new connections gather in the first one that has time and room for them."""

import asyncio
import gc
import resource
import socket
from collections.abc import Iterator

import pytest

from pgmq_gateway.http.acceptor import ENOUGH_CONNECTIONS, RETRY_SECONDS, Acceptor, Rank, patience
from tests.waiting import until_async


class Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport


class Worker:
    """One of two workers in this process, with its connections."""

    def __init__(self, number: int, listening: socket.socket) -> None:
        self.connections: list[Connection] = []
        self._listening = listening.dup()
        self.acceptor = Acceptor(self._listening, Rank(number, 2), self._protocol, self.connections)

    def _protocol(self) -> asyncio.Protocol:
        self.connections.append(Connection())
        return self.connections[-1]

    async def stop(self) -> None:
        await self.acceptor.stop()
        self._listening.close()
        for connection in self.connections:
            connection.transport.close()


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def clients(listening: socket.socket) -> Iterator[list[socket.socket]]:
    """Three connections that nobody has accepted yet."""
    opened = [socket.create_connection(listening.getsockname()) for _ in range(3)]
    yield opened
    for one in opened:
        one.close()


def test_waiting_times_order_workers_by_connections_and_then_by_number() -> None:
    # Number and connections of workers, from the first that accepts to the last.
    order = [(0, 0), (1, 63), (2, 1), (0, 64), (1, 127), (0, 128), (0, 256), (1, 300), (2, 10_000)]
    assert ENOUGH_CONNECTIONS == 64
    times = [patience(Rank(number, 3), connections) for number, connections in order]
    assert times == sorted(set(times))
    assert times[0] == 0
    assert max(times[-1], patience(Rank(63, 64), 1000)) < 0.15


@pytest.mark.usefixtures("clients")
async def test_the_first_worker_takes_all_and_the_second_what_it_leaves(listening: socket.socket) -> None:
    first, second = (Worker(number, listening) for number in (0, 1))
    second.acceptor.start()
    first.acceptor.start()
    await until_async(lambda: len(first.connections) == 3)
    await first.stop()
    with socket.create_connection(listening.getsockname()):
        await until_async(lambda: len(second.connections) == 1)
    await second.stop()
    assert len(first.connections) == 3


@pytest.mark.usefixtures("clients")
async def test_connections_that_have_arrived_are_accepted_at_the_end(listening: socket.socket) -> None:
    worker = Worker(1, listening)
    worker.acceptor.start()
    await worker.stop()
    assert len(worker.connections) == 3


@pytest.mark.usefixtures("clients")
async def test_a_worker_without_free_files_tries_again(listening: socket.socket) -> None:
    worker = Worker(0, listening)
    # Nothing may free a file below the limit meanwhile.
    gc.collect()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with listening.dup() as first_free:
        number = first_free.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    try:
        worker.acceptor.start()
        await asyncio.sleep(2 * RETRY_SECONDS)
        assert worker.connections == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await until_async(lambda: len(worker.connections) == 3)
    await worker.stop()
