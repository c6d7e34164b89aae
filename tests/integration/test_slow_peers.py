"""Clients that send or read slowly, and the memory they may take. The test sets the time of the server's sweeps."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack

import pytest

from pgmq_gateway.errors import GatewayError
from pgmq_gateway.http import server as http_server
from pgmq_gateway.http.asgi import Receive, Scope, Send
from pgmq_gateway.http.asgi_exchange import AsgiExchange
from pgmq_gateway.http.bounds import Bounds
from pgmq_gateway.http.exchange import ClientGone
from pgmq_gateway.http.memory import Memory
from pgmq_gateway.http.protocol import Protocol
from pgmq_gateway.http.request import Request
from pgmq_gateway.http.response import Response, error_response
from pgmq_gateway.http.server import Server, server_for
from pgmq_gateway.http.sockets import bind
from pgmq_gateway.http.timing import RunningTime, Stopwatch
from tests.attacks.raw import Answer, answers, post
from tests.waiting import until_async

PERIOD = 10
MIN_RATE = 8192
LIMIT = 20_000_000
LARGE = 12_000_000
# Far less than a response, so that it is never taken as a whole unread.
RECEIVE_BUFFER = 4096


class Lengths:
    """Responds with as many bytes as the body names."""

    def __init__(self, memory: Memory) -> None:
        self.requests: list[Request] = []
        self._memory = memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(AsgiExchange(scope, receive, send), LIMIT, self._memory, Stopwatch())
        self.requests.append(request)
        try:
            response = Response(200, (), b"x" * int(await request.body()))
        except GatewayError as error:
            response = error_response(error)
        except ClientGone:
            response = Response(499, ())
        await response.send(send)
        request.release()


class Peers:
    """A server and its clients."""

    def __init__(self, server: Server, app: Lengths, memory: Memory, port: int, stack: ExitStack) -> None:
        self._server = server
        self._port = port
        self._stack = stack
        self.requests = app.requests
        self.memory = memory

    def sweep(self, now: float) -> None:
        for connection in tuple(self._server.server_state.connections):
            assert isinstance(connection, Protocol)
            connection.sweep(now)

    async def client(self, sent: bytes) -> socket.socket:
        """A client that sends this and is then idle."""
        client = self._stack.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", self._port))
        await loop.sock_sendall(client, sent)
        return client


@pytest.fixture
async def peers(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Peers]:
    monkeypatch.setattr(http_server, "SWEEP_SECONDS", 3600)
    memory = Memory(LIMIT)
    app = Lengths(memory)
    bounds = Bounds(min_rate=MIN_RATE, body_timeout=PERIOD, send_timeout=PERIOD)
    server = server_for(app, bounds=lambda: bounds, memory=memory)
    bound = bind("127.0.0.1", 0)
    serving = asyncio.create_task(server.serve([bound]))
    await server.listening.wait()
    with ExitStack() as stack:
        yield Peers(server, app, memory, bound.getsockname()[1], stack)
    server.should_exit = True
    await serving


async def taken(client: socket.socket, size: int) -> None:
    """Read so many bytes."""
    while size > 0:
        size -= len(await asyncio.get_running_loop().sock_recv(client, min(size, 65536)))


async def is_reset(client: socket.socket) -> bool:
    """Read to the end; True if the connection was reset."""
    try:
        while await asyncio.get_running_loop().sock_recv(client, 65536):
            pass
    except ConnectionResetError:
        return True
    return False


def ask(length: int) -> bytes:
    return post("/", str(length).encode(), "Connection: close")


async def test_a30_a_client_that_reads_too_slowly_is_reset(peers: Peers) -> None:
    slow, steady = await peers.client(ask(LARGE)), await peers.client(ask(LARGE))
    await taken(slow, 64)
    now = 0.0
    peers.sweep(now)
    for _ in range(20):
        # Reads twice the minimum, and the other one a few bytes, as long as the kernel holds some for it.
        await taken(steady, 2 * PERIOD * MIN_RATE)
        now += PERIOD
        peers.sweep(now)
    assert await is_reset(slow)
    assert not await is_reset(steady)


def test_a_pause_of_the_process_is_not_the_clients_time() -> None:
    time = RunningTime(2)
    assert [time.step(now) for now in (100, 101, 102.5, 4000, 4001)] == [0, 1, 2.5, 4.5, 5.5]


async def test_a_response_has_a_period_of_grace(peers: Peers) -> None:
    idle = await peers.client(ask(LARGE))
    await taken(idle, 64)
    peers.sweep(0)
    peers.sweep(PERIOD - 1)
    assert not await is_reset(idle)


async def test_a30_a_body_that_arrives_too_slowly_is_408(peers: Peers) -> None:
    loop = asyncio.get_running_loop()
    client = await peers.client(post("/", b"1" * 300_000)[:-300_000])
    await until_async(lambda: peers.requests)
    peers.sweep(0)
    await loop.sock_sendall(client, b" " * 200_000)
    await until_async(lambda: peers.requests[0].received == 200_000)
    peers.sweep(PERIOD)
    # In the next period it sends too little.
    await loop.sock_sendall(client, b" " * 1000)
    await until_async(lambda: peers.requests[0].received == 201_000)
    peers.sweep(2 * PERIOD - 1)
    peers.sweep(2 * PERIOD)
    (answer,) = await told(client)
    assert (answer.status, answer.code, answer.headers["connection"]) == (408, "PGMQ408", "close")


async def test_the_longest_readers_make_room_for_a_response(peers: Peers) -> None:
    readers = []
    for _ in range(3):
        readers.append(await peers.client(ask(LARGE)))
        await taken(readers[-1], 64)
    assert [await is_reset(reader) for reader in readers] == [True, True, False]


@pytest.mark.parametrize(
    "sent",
    [
        post("/", b" " * 30_000)[:-29_999],
        post("/", b"7530\r\n" + b" " * 30_000 + b"\r\n", "Transfer-Encoding: chunked", length=False),
    ],
    ids=["length", "chunked"],
)
async def test_a_body_that_does_not_fit_is_503(peers: Peers, sent: bytes) -> None:
    peers.memory.limit = 100_000
    holder = await peers.client(post("/", b" " * 80_000)[:-1])
    await until_async(lambda: peers.requests and peers.requests[0].received == 79_999)
    (answer,) = await told(await peers.client(sent))
    assert (answer.status, answer.code) == (503, "PGMQ503")
    assert (answer.headers["retry-after"], answer.headers["connection"]) == ("1", "close")
    holder.close()
    await until_async(lambda: peers.memory.fits(90_000))
    (answer,) = await told(await peers.client(ask(30_000)))
    assert (answer.status, len(answer.body)) == (200, 30_000)


async def told(client: socket.socket) -> list[Answer]:
    """All responses until the server closes its side."""
    client.setblocking(True)
    return await asyncio.to_thread(answers, client)
