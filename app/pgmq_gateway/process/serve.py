"""Runs the gateway: two sockets, two servers in one process, signals, and an end that loses no request."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator

from pgmq_gateway.gateway import Application, create_app
from pgmq_gateway.http.server import Server, server_for
from pgmq_gateway.http.sockets import Addresses
from pgmq_gateway.process.admin_port import AdminApp
from pgmq_gateway.process.reload import Apply, Reload
from pgmq_gateway.process.systemd import Manager
from pgmq_gateway.settings.model import Settings


async def serve(
    settings: Settings,
    addresses: Addresses,
    manager: Manager,
    ready: Callable[[], None],
    reloading: Callable[[Apply], Awaitable[None]],
    *others: Awaitable[None],
) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests in flight.

    ready      called once the functions are known, or the database does not answer in time
    reloading  runs beside, and has other settings applied whenever there are some
    others     run beside, and are cancelled at the end
    """
    application = create_app(settings)
    public = server_for(
        application,
        lifespan="on",
        bounds=lambda: application.gateway.bounds,
        traffic=application.gateway.api.traffic,
    )
    admin = AdminApp(lambda: application.gateway, lambda: public.started and not public.should_exit)
    health = server_for(admin)
    reload = Reload(application, public)
    beside = [asyncio.ensure_future(task) for task in (*others, reloading(reload.apply), _announce(public, ready))]
    with _signals(public, application, manager):
        healthy = asyncio.create_task(health.serve([addresses.admin]))
        try:
            await public.serve([addresses.api])
        finally:
            health.should_exit = True
            await healthy
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)


async def _announce(public: Server, ready: Callable[[], None]) -> None:
    await public.listening.wait()
    ready()


@contextlib.contextmanager
def _signals(public: Server, application: Application, manager: Manager) -> Iterator[None]:
    """SIGTERM and SIGINT drain, a second one hurries; SIGUSR1 reloads the functions, as in PostgREST."""
    loop = asyncio.get_running_loop()

    def drain() -> None:
        public.force_exit = public.should_exit
        public.should_exit = True
        manager.stopping()

    handlers = {
        signal.SIGTERM: drain,
        signal.SIGINT: drain,
        signal.SIGUSR1: lambda: application.gateway.watch.ask_reload(),
    }
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
