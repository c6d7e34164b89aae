"""Runs the gateway: two sockets, two servers in one process, signals, and an end that loses no request."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator

import asyncpg
import uvicorn

from app.asgi import App
from app.connector import Connector
from app.driver import BROKEN
from app.health import AdminApp
from app.login import UnsafeLogin, check_login
from app.main import Gateway, create_app
from app.protocol import Protocol
from app.settings import Settings
from app.sockets import ServeError

# Longer than the usual load balancer's, so that it is not this side that closes a connection under a request.
KEEP_ALIVE_SECONDS = 75
# How long requests in flight may take after SIGTERM.
DRAIN_SECONDS = 30
# How long the banner waits for a database that is slow to answer.
READY_SECONDS = 3


class Server(uvicorn.Server):
    """One of several servers in a process: signals are the process' business. `listening` is set once it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def preflight(settings: Settings) -> None:
    """Find out early what no waiting would mend. A database that cannot be reached yet is not among it.

    Raises ServeError.
    """
    for name, uri in (("PGRST_DB_URI", settings.db_uri), ("PGMQ_GATEWAY_LISTEN_URI", settings.listen_uri)):
        if uri is not None:
            await _try(name, Connector(uri.get_secret_value(), prepared=settings.db_prepared_statements))


async def _try(name: str, connector: Connector) -> None:
    try:
        connection = await connector()
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        raise ServeError(f"the database refuses {name}: {error}") from None
    except (ValueError, asyncpg.ClientConfigurationError) as error:
        raise ServeError(f"{name} cannot be used: {error}") from None
    except (*BROKEN, asyncpg.PostgresError):
        return
    try:
        await check_login(connection)
    except UnsafeLogin as error:
        raise ServeError(str(error)) from None
    finally:
        await connection.close()


async def serve(
    settings: Settings, api: socket.socket, admin: socket.socket, ready: Callable[[], None], *others: Awaitable[None]
) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests in flight.

    ready   called once the functions are known, or the database does not answer in time
    others  run beside, and are cancelled at the end
    """
    gateway = Gateway(settings)
    await preflight(settings)
    public = server_for(create_app(gateway=gateway), lifespan="on")
    health = server_for(AdminApp(gateway.watch, gateway.metrics, lambda: public.started and not public.should_exit))
    beside = [asyncio.ensure_future(task) for task in (*others, _announce(gateway, public, ready))]
    with _signals(public, gateway):
        healthy = asyncio.create_task(health.serve([admin]))
        try:
            await public.serve([api])
        finally:
            health.should_exit = True
            await healthy
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)


def server_for(app: App, lifespan: str = "off") -> Server:
    """A server of this application, which needs only its sockets."""
    return Server(
        uvicorn.Config(
            app,
            http=Protocol,
            ws="none",
            lifespan="on" if lifespan == "on" else "off",
            log_config=None,
            access_log=False,
            server_header=False,
            # Nothing looks at the client's address.
            proxy_headers=False,
            headers=[("server", "pgmq-gateway")],
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
    )


async def _announce(gateway: Gateway, public: Server, ready: Callable[[], None]) -> None:
    await public.listening.wait()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(READY_SECONDS):
            await gateway.watch.loaded.wait()
    ready()


@contextlib.contextmanager
def _signals(public: Server, gateway: Gateway) -> Iterator[None]:
    """SIGTERM and SIGINT drain, a second SIGINT hurries; SIGUSR1 reloads the functions, as in PostgREST."""
    loop = asyncio.get_running_loop()

    def drain() -> None:
        public.force_exit = public.should_exit
        public.should_exit = True

    handlers = {signal.SIGTERM: drain, signal.SIGINT: drain, signal.SIGUSR1: gateway.watch.ask_reload}
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
