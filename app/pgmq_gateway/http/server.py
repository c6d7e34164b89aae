"""uvicorn's server with a graceful shutdown that loses no request."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import uvicorn

from pgmq_gateway.http.acceptor import Acceptor, Rank
from pgmq_gateway.http.asgi import App
from pgmq_gateway.http.bounds import Bounds
from pgmq_gateway.http.direct import Direct, Handle
from pgmq_gateway.http.memory import MAX_DEFAULT_BYTES, Memory
from pgmq_gateway.http.protocol import Protocol
from pgmq_gateway.http.response import CONNECTION_CLOSE
from pgmq_gateway.http.timing import RunningTime
from pgmq_gateway.http.traffic import Traffic

# The time that requests in flight may take after the shutdown began.
DRAIN_SECONDS = 30
# The time for which idle connections are then kept, so that a request on its way gets a response.
LINGER_SECONDS = 1.0
# The time that cancelled requests may then take to respond.
ABANDON_SECONDS = 2
POLL_SECONDS = 0.05
# Between two checks of the timeouts of connections.
SWEEP_SECONDS = 1
MAX_SWEEP_SECONDS = 2


class Server(uvicorn.Server):
    """One of several servers in a process. The process handles signals.

    rank       of the worker that this process is; None: it is the only one that listens
    closing    called when the shutdown begins: requests that only wait can end
    listening  set once it accepts connections
    """

    def __init__(self, config: uvicorn.Config, rank: Rank | None = None, closing: Callable[[], object] = bool) -> None:
        super().__init__(config)
        self._rank = rank
        self._closing = closing
        self._acceptors: list[Acceptor] = []
        self.listening = asyncio.Event()
        self._sweeping: asyncio.TimerHandle | None = None
        self._time = RunningTime(MAX_SWEEP_SECONDS)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._rank is None or sockets is None:
            await super().startup(sockets)
        else:
            await super().startup([])
            self._accept_as(self._rank, sockets)
        self._sweep()
        self.listening.set()

    def _accept_as(self, rank: Rank, sockets: Sequence[socket.socket]) -> None:
        # The partial of `server_for`, called as uvicorn does.
        protocol: Callable[[], asyncio.Protocol] = partial(
            self.config.http_protocol_class,  # type: ignore[call-arg]
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        self._acceptors = [Acceptor(one, rank, protocol, self.server_state.connections) for one in sockets]
        for acceptor in self._acceptors:
            acceptor.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, make the next response on each connection its last, then shut down as uvicorn does."""
        self._announce_close()
        self._closing()
        for server in self.servers:
            server.close()
        for acceptor in self._acceptors:
            await acceptor.stop()
        for one in sockets or ():
            one.close()
        await self._while_connected(LINGER_SECONDS)
        await super().shutdown(sockets)
        if self.force_exit:
            await self._abandon()
        if self._sweeping is not None:
            self._sweeping.cancel()

    async def _abandon(self) -> None:
        """Cancel requests and end the lifespan, which uvicorn then leaves to the end of the event loop: as errors."""
        tasks = tuple(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        ending = asyncio.create_task(self.lifespan.shutdown())
        await asyncio.wait([*tasks, ending], timeout=ABANDON_SECONDS)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = self._time.step(loop.time())
        for connection in tuple(self.server_state.connections):
            assert isinstance(connection, Protocol)
            connection.sweep(now)
        self._sweeping = loop.call_later(SWEEP_SECONDS, self._sweep)

    def _announce_close(self) -> None:
        state = self.server_state
        state.default_headers = [*state.default_headers, CONNECTION_CLOSE]
        for connection in tuple(state.connections):
            # Its request has been sent, so it gets a response.
            connection.resume()  # type: ignore[union-attr]
            # Only where a response is still to come: uvicorn closes idle connections at once.
            if isinstance(connection, Protocol) and not getattr(connection.cycle, "response_complete", True):
                connection.shutdown()

    async def _while_connected(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        # uvicorn has no event for a closed connection.
        while self.server_state.connections and loop.time() < end and not self.force_exit:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server_for(
    app: App,
    lifespan: str = "off",
    *,
    bounds: Callable[[], Bounds] = Bounds,
    traffic: Traffic | None = None,
    memory: Memory | None = None,
    handle: Handle | None = None,
    rank: Rank | None = None,
    closing: Callable[[], object] = bool,
) -> Server:
    """A server for an application; `serve` takes its sockets.

    bounds   called for each new connection
    traffic  counts responses to requests that are rejected before they reach the application
    memory   counts bytes that are held for clients
    handle   handles calls without ASGI (`direct.py`)
    rank     of the worker that this process is; None: it is the only one that listens
    closing  called when the shutdown begins: requests that only wait can end
    """
    config = uvicorn.Config(
        app,
        http=partial(Protocol, bounds, traffic, memory or Memory(MAX_DEFAULT_BYTES), handle and Direct(handle)),  # type: ignore[arg-type]
        ws="none",
        interface="asgi3",
        lifespan="on" if lifespan == "on" else "off",
        log_config=None,
        access_log=False,
        server_header=False,
        # The client's address is not used.
        proxy_headers=False,
        headers=[("server", "pgmq-gateway")],
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    return Server(config, rank, closing)
