"""The dashboard's web server: the gate in front of the sign-in page, the assets, and NiceGUI's pages."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from nicegui import core, ui
from starlette.middleware.gzip import GZipMiddleware

from pgmq_gateway.dashboard import pages
from pgmq_gateway.dashboard.api import connect
from pgmq_gateway.dashboard.kept import Links, SessionFile
from pgmq_gateway.dashboard.parts import shell, theme
from pgmq_gateway.dashboard.sessions import Sessions
from pgmq_gateway.dashboard.web import plain, signin
from pgmq_gateway.dashboard.web.gate import Gate
from pgmq_gateway.http.asgi import App
from pgmq_gateway.http.sockets import url

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Between two checks for expired sessions.
SWEEP_SECONDS = 5.0
# Short, because open WebSockets would always use all of it.
DRAIN_TIMEOUT_SECONDS = 1


@dataclass(frozen=True)
class Options:
    """The settings of a dashboard.

    api     URL of the gateway
    public  the gateway's URL for its clients; empty: the same
    admin   URL of the gateway's admin port, for metrics; None: unknown
    hosts   host names that the dashboard accepts, besides those of this machine
    kept    folder of sessions and sign-in links; empty: none
    publishable  a publishable key of the gateway; empty: unknown
    """

    api: str
    public: str = ""
    admin: str | None = None
    hosts: Sequence[str] = ()
    kept: str = ""
    publishable: str = ""


async def serve(options: Options, bound: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    ready  called once requests are accepted
    """
    app = application(options, url(bound).rpartition(":")[2])
    config = uvicorn.Config(
        app,
        ws="websockets-sansio",
        log_config=None,
        # The sign-in link has the code in its query.
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_TIMEOUT_SECONDS,
    )
    await Server(config, ready).serve([bound])


class Server(uvicorn.Server):
    """uvicorn's server, which also reports that it accepts requests, and exits with status 0 after a signal."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGTERM, and at SIGINT unless the process ignores it."""
        loop = asyncio.get_running_loop()
        handled = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        for number in handled:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in handled:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def application(options: Options, port: str) -> App:
    """The ASGI application. At most one in a process: NiceGUI's state is global."""
    http, public = connect(options.api), (options.public or options.api).rstrip("/")
    sessions = Sessions(kept=SessionFile(Path(options.kept)) if options.kept else None)
    links = Links(Path(options.kept)) if options.kept else None
    # Cookies ignore the port (RFC 6265, 8.5): each dashboard of a host needs a name of its own.
    cookie = f"pgmq_dashboard_{port}"

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep(sessions))
        yield
        sweeping.cancel()
        sessions.sweep()
        await http.aclose()

    shell.attach(shell.GatewayAddress(http, public, options.admin, options.publishable))
    pages.load()
    inner = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    inner.router.routes.extend([*signin.SignIn(http, public, sessions, links, cookie).routes(), *theme.routes()])
    # The gate has checked the Origin. Without this, NiceGUI's socket sends CORS headers for every origin.
    core.sio.eio.cors_allowed_origins = []
    core.app.add_exception_handler(404, plain.not_found)
    ui.run_with(
        inner,
        title="pgmq-gateway",
        favicon=theme.ICON,
        dark=None,
        tailwind=False,
        gzip_middleware_factory=None,
        show_welcome_message=False,
        reconnect_timeout=10,
        binding_refresh_interval=None,
    )
    return GZipMiddleware(Gate(inner, sessions, options.hosts, cookie), minimum_size=2000)


async def _sweep(sessions: Sessions) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        sessions.sweep()
