"""The dashboard's web server: sign-in and assets, then NiceGUI's pages, all behind the gate."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import uvicorn
from fastapi import FastAPI
from nicegui import core, ui
from starlette.middleware.gzip import GZipMiddleware

from pgmq_gateway.dashboard import pages
from pgmq_gateway.dashboard.api import connect
from pgmq_gateway.dashboard.parts import shell, theme
from pgmq_gateway.dashboard.sessions import Code, Sessions
from pgmq_gateway.dashboard.web import signin
from pgmq_gateway.dashboard.web.gate import Gate
from pgmq_gateway.http.asgi import App
from pgmq_gateway.http.sockets import url

ENDING = (signal.SIGTERM, signal.SIGINT)
# How often sessions are looked at whose time may be over.
SWEEP_SECONDS = 5.0
# Pages with open web sockets need no time to end.
DRAIN_SECONDS = 1


@dataclass(frozen=True)
class Orders:
    """What a dashboard is to do.

    api     address of the gateway
    public  its address as its clients know it; empty: the same
    admin   address of its health checks and metrics, if known
    hosts   names that it may be called by, besides those of this machine
    code    opens one session with `key`; empty: none does
    """

    api: str
    public: str = ""
    admin: str | None = None
    hosts: Sequence[str] = ()
    code: str = field(default="", repr=False)
    key: str = field(default="", repr=False)


async def serve(
    orders: Orders, bound: socket.socket, ready: Callable[[], None], code_used: Callable[[], None] = lambda: None
) -> None:
    """Serve until SIGTERM or SIGINT.

    ready      called once pages are answered
    code_used  called when the code has opened its session
    """
    app = application(orders, url(bound).rpartition(":")[2], code_used)
    config = uvicorn.Config(
        app,
        ws="websockets-sansio",
        log_config=None,
        # The path of a link holds a code.
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    await Server(config, ready).serve([bound])


class Server(uvicorn.Server):
    """One that tells when it serves, and ends with status 0 at a signal."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End at SIGTERM, and at SIGINT unless that is ignored."""
        loop = asyncio.get_running_loop()
        heeded = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
        for number in heeded:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in heeded:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        self._ready()


def application(orders: Orders, port: str, code_used: Callable[[], None]) -> App:
    """Everything that answers requests. There is one in a process, because NiceGUI has one."""
    http, sessions, public = connect(orders.api), Sessions(), (orders.public or orders.api).rstrip("/")
    code = Code(orders.code, orders.key, code_used) if orders.code else None
    # Browsers send cookies to every port of a host: another dashboard must find its own.
    cookie = f"pgmq_dashboard_{port}"

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep(sessions))
        yield
        sweeping.cancel()
        await http.aclose()

    shell.attach(shell.Gateway(http, public, orders.admin))
    pages.load()
    inner = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    inner.router.routes.extend([*signin.SignIn(http, public, sessions, code, cookie).routes(), *theme.routes()])
    # The gate has looked at the Origin; without these NiceGUI's socket would let every origin read its answers.
    core.sio.eio.cors_allowed_origins = []
    ui.run_with(
        inner,
        title="pgmq-gateway",
        dark=None,
        tailwind=False,
        gzip_middleware_factory=None,
        show_welcome_message=False,
        reconnect_timeout=10,
        binding_refresh_interval=None,
    )
    return GZipMiddleware(Gate(inner, sessions, orders.hosts, cookie), minimum_size=2000)


async def _sweep(sessions: Sessions) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        sessions.sweep()
