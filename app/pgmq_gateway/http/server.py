"""The HTTP server, uvicorn's, with an end that breaks off no request that is on its way."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from functools import partial

import uvicorn

from pgmq_gateway.http.asgi import App
from pgmq_gateway.http.bounds import Bounds
from pgmq_gateway.http.protocol import Protocol
from pgmq_gateway.http.traffic import Traffic

# How long requests in flight may take after SIGTERM.
DRAIN_SECONDS = 30
# How long connections that are idle then are kept, so that a request that is on its way is answered, as the last one.
LINGER_SECONDS = 1.0
POLL_SECONDS = 0.05
# How often connections are looked at for what takes too long.
SWEEP_SECONDS = 1

LAST = (b"connection", b"close")


class Server(uvicorn.Server):
    """One of several servers in a process: signals are handled by the process. `listening` is set once it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self._sweeping: asyncio.TimerHandle | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._sweep()
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, make the next answer on each connection its last, and then do as uvicorn does."""
        self._announce_the_end()
        for server in self.servers:
            server.close()
        for one in sockets or ():
            one.close()
        await self._while_connected(LINGER_SECONDS)
        await super().shutdown(sockets)
        if self._sweeping is not None:
            self._sweeping.cancel()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in tuple(self.server_state.connections):
            assert isinstance(connection, Protocol)
            connection.sweep(now)
        self._sweeping = loop.call_later(SWEEP_SECONDS, self._sweep)

    def _announce_the_end(self) -> None:
        state = self.server_state
        state.default_headers = [*state.default_headers, LAST]
        for connection in state.connections:
            # Only where an answer is still to come: one that is idle would be closed by it.
            if isinstance(connection, Protocol) and not getattr(connection.cycle, "response_complete", True):
                connection.shutdown()

    async def _while_connected(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        # uvicorn tells nobody when a connection has gone.
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
) -> Server:
    """A server of this application, which needs only its sockets.

    bounds   asked for each connection
    traffic  counts what is refused before it reaches the application
    """
    config = uvicorn.Config(
        app,
        http=partial(Protocol, bounds, traffic),  # type: ignore[arg-type]
        ws="none",
        interface="asgi3",
        lifespan="on" if lifespan == "on" else "off",
        log_config=None,
        access_log=False,
        server_header=False,
        # Nothing looks at the client's address.
        proxy_headers=False,
        headers=[("server", "pgmq-gateway")],
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    return Server(config)
