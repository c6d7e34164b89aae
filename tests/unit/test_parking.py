"""Turns of connections, with the real server and a fake clock."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from pgmq_gateway.activity import RECENT_SECONDS
from pgmq_gateway.http.asgi import Receive, Scope, Send
from pgmq_gateway.http.asgi_exchange import AsgiExchange
from pgmq_gateway.http.exchange import Exchange
from pgmq_gateway.http.memory import Memory
from pgmq_gateway.http.parking import MAX_IN_PROCESS, STALL_SECONDS, Parking
from pgmq_gateway.http.protocol import Protocol
from pgmq_gateway.http.request import Request
from pgmq_gateway.http.response import Response
from pgmq_gateway.http.server import Server, server_for
from pgmq_gateway.http.timing import Stopwatch
from tests.clock import Clock
from tests.waiting import until_async

NOISY = MAX_IN_PROCESS + 8
# The quiet flow stays active with a request at these intervals.
HALF_OF_RECENT = RECENT_SECONDS / 2


class Application:
    """Requests of the flow that their path names, which end while `gate` is open."""

    def __init__(self, clock: Clock) -> None:
        self.parking = Parking(clock)
        self.gate = asyncio.Event()
        self.gate.set()
        self.now = self.most = 0
        self.requests: list[Request] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = AsgiExchange(scope, receive, send)
        await self.handle(exchange)
        if exchange.flow_requests:
            exchange.flow_requests.end_one()

    async def handle(self, exchange: Exchange) -> None:
        exchange.flow_requests = self.parking.enter(exchange.head.path, exchange.flow_requests)
        self.requests.append(Request(exchange, 0, Memory(0), Stopwatch()))
        self.now += 1
        self.most = max(self.most, self.now)
        await self.gate.wait()
        await exchange.send(Response(200, (), b"done"))
        self.now -= 1


class Client:
    """A connection of a flow."""

    def __init__(self, flow: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._reader = reader
        self._flow = flow

    def send(self) -> None:
        self.writer.write(f"GET /rpc/{self._flow} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    async def answer(self) -> bytes:
        """The head of the next response."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert await self._reader.readexactly(4) == b"done"
        return head


class House:
    """A server, and clients that have each got one response."""

    def __init__(self, server: Server, application: Application, clock: Clock, address: tuple[str, int]) -> None:
        self.server = server
        self.application = application
        self.clock = clock
        self._address = address
        self._clients: list[Client] = []

    async def clients(self, flow: str, number: int) -> list[Client]:
        clients = [Client(flow, *await asyncio.open_connection(*self._address)) for _ in range(number)]
        for client in clients:
            client.send()
        for client in clients:
            await client.answer()
        self._clients += clients
        return clients

    async def in_process(self, least: int) -> None:
        """Wait until at least so many requests are in process."""
        await until_async(lambda: self.application.now >= least)

    async def close(self) -> None:
        """Disconnect all clients, and stop the server."""
        self.application.gate.set()
        self.server.should_exit = self.server.force_exit = True
        for client in self._clients:
            client.writer.close()
        await asyncio.gather(*(client.writer.wait_closed() for client in self._clients), return_exceptions=True)

    @property
    def connections(self) -> list[Protocol]:
        return [one for one in self.server.server_state.connections if isinstance(one, Protocol)]

    @property
    def parked(self) -> int:
        return sum(bool(connection._parked) for connection in self.connections)


@pytest.fixture(params=["asgi", "direct"])
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    clock = Clock()
    application = Application(clock)
    server = server_for(application, handle=application.handle if request.param == "direct" else None)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    running = asyncio.create_task(server.serve([listening]))
    await server.listening.wait()
    house = House(server, application, clock, listening.getsockname())
    yield house
    await house.close()
    await running


async def crowded(house: House) -> list[Client]:
    """Noisy clients whose requests are all sent, as many of them in process as may be."""
    noisy = await house.clients("noisy", NOISY)
    await house.clients("quiet", 1)
    house.application.gate.clear()
    house.application.most = 0
    for client in noisy:
        client.send()
    await until_async(lambda: (house.application.now, house.parked) == (MAX_IN_PROCESS, NOISY - MAX_IN_PROCESS))
    return noisy


async def test_beside_others_a_flow_has_a_limited_number_of_requests_in_process(house: House) -> None:
    (quiet,) = await house.clients("quiet", 1)
    noisy = await crowded(house)
    quiet.send()
    await until_async(lambda: house.application.now == MAX_IN_PROCESS + 1)
    house.application.gate.set()
    for client in (quiet, *noisy):
        assert (await client.answer()).startswith(b"HTTP/1.1 200")
    assert house.application.most == MAX_IN_PROCESS + 1
    assert house.parked == 0


async def test_a_flow_that_is_alone_has_no_limit(house: House) -> None:
    noisy = await house.clients("noisy", NOISY)
    house.application.gate.clear()
    for client in noisy:
        client.send()
    await until_async(lambda: house.application.now == NOISY)


async def test_a_parked_connection_is_not_idle(house: House) -> None:
    noisy = await crowded(house)
    now = asyncio.get_running_loop().time()
    for hours in range(1, 4):
        for connection in house.connections:
            connection.sweep(now + 3600 * hours)
    house.application.gate.set()
    for client in noisy:
        await client.answer()


async def test_parked_connections_continue_once_the_flow_is_alone(house: House) -> None:
    await crowded(house)
    house.clock.now += RECENT_SECONDS
    await until_async(lambda: house.application.now == NOISY)


async def test_parked_connections_continue_when_no_request_ends(house: House) -> None:
    """Those in process may all wait for a lock on one queue, and the parked ones be for another."""
    noisy = await crowded(house)
    house.clock.now += STALL_SECONDS
    await until_async(lambda: house.application.now == NOISY)
    house.application.gate.set()
    for client in noisy:
        await client.answer()
    await until_async(lambda: house.application.now == 0)


async def test_a_flow_that_stalls_starts_a_limited_number_of_further_requests(house: House) -> None:
    noisy = await house.clients("noisy", 3 * MAX_IN_PROCESS)
    quiet = await house.clients("quiet", 2 + int(STALL_SECONDS / HALF_OF_RECENT))
    house.application.gate.clear()
    for client in noisy:
        client.send()
    await until_async(lambda: (house.application.now, house.parked) == (MAX_IN_PROCESS, 2 * MAX_IN_PROCESS))
    for number, client in enumerate(quiet, 1):
        house.clock.now += HALF_OF_RECENT
        client.send()
        await house.in_process(MAX_IN_PROCESS + number)
    await until_async(lambda: house.application.now == 2 * MAX_IN_PROCESS + len(quiet))
    for connection in house.connections:
        connection.sweep(asyncio.get_running_loop().time())
    assert (house.application.now, house.parked) == (2 * MAX_IN_PROCESS + len(quiet), MAX_IN_PROCESS)


async def test_waiting_requests_are_not_in_process(house: House) -> None:
    noisy = await crowded(house)
    for request in house.application.requests[-MAX_IN_PROCESS:]:
        request.leave_flow()
    await until_async(lambda: (house.application.now, house.parked) == (NOISY, 0))
    house.application.gate.set()
    for client in noisy:
        await client.answer()
    # None of them was counted as ended twice.
    await crowded(house)


async def test_a_parked_connection_that_is_closed_does_not_keep_others_waiting(house: House) -> None:
    noisy = await crowded(house)
    parked = {connection.client for connection in house.connections if connection._parked}
    gone = [client for client in noisy if client.writer.get_extra_info("sockname") in parked][::2]
    for client in gone:
        client.writer.close()
    house.application.gate.set()
    for client in set(noisy) - set(gone):
        await client.answer()
    await until_async(lambda: house.application.now == 0)


async def test_the_last_response_of_a_parked_connection_is_sent_before_the_server_stops(house: House) -> None:
    noisy = await crowded(house)
    house.server.should_exit = True
    await until_async(lambda: house.application.now == NOISY)
    house.application.gate.set()
    for client in noisy:
        assert b"connection: close" in await client.answer()
