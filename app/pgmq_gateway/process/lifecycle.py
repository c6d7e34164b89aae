"""The life of a serving gateway: the admin server and the tasks beside it, signals, readiness, and the shutdown."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from pgmq_gateway.http.acceptor import Rank
from pgmq_gateway.http.asgi import App
from pgmq_gateway.http.caching import Uncached
from pgmq_gateway.http.hosts import Hosts
from pgmq_gateway.http.server import Server, server_for
from pgmq_gateway.http.sockets import Addresses
from pgmq_gateway.process.admin_port import HostCheck
from pgmq_gateway.process.reload import Apply
from pgmq_gateway.process.signals import StopSignals, handled
from pgmq_gateway.process.systemd import Manager
from pgmq_gateway.settings.model import Settings


class Service(Protocol):
    """The API, served by this process or by several others."""

    @property
    def admin(self) -> App:
        """The pages of the admin port."""

    async def run(self) -> None:
        """Serve until `drain` is called, then finish the requests in flight."""

    async def started(self) -> None:
        """Return when the service accepts requests."""

    async def apply(self, settings: Settings) -> None:
        """Serve with other settings. Raises SettingsError or ServeError and keeps the former ones."""

    @property
    def draining(self) -> bool:
        """True if `drain` has been called."""

    def drain(self) -> None:
        """Start a graceful shutdown."""

    def hurry(self) -> None:
        """Stop without waiting for the requests in flight."""

    def reload_functions(self) -> None:
        """Read the functions from the database again."""


@dataclass(frozen=True)
class Lifecycle:
    """Addresses, service manager, signals and tasks of a service.

    ready        called once, when the service accepts requests
    reloading    runs beside the service; calls its argument to apply new settings
    outdated     called when the database has other settings than the service
    others       further tasks beside the service
    admin_hosts  host names of the admin port; None: any
    supervised   whether another gateway process supervises this one, and sends SIGQUIT to hurry it
    """

    addresses: Addresses
    manager: Manager
    stop_signals: StopSignals
    ready: Callable[[], None]
    reloading: Callable[[Apply], Awaitable[None]]
    outdated: Callable[[], None]
    others: Sequence[Awaitable[None]] = ()
    admin_hosts: Hosts | None = None
    supervised: bool = False

    async def run(self, service: Service) -> None:
        """Run a service until SIGTERM or SIGINT, or until a task beside it fails. Raises what that task raised."""
        pages = HostCheck(service.admin, self.admin_hosts) if self.admin_hosts else service.admin
        # The supervisor passes connections to a supervised process: uvicorn's servers listen on an address only.
        admin = server_for(Uncached(pages), rank=Rank(0, 1) if self.supervised else None)
        with self._signals(service):
            await self._serve(service, admin)

    async def _serve(self, service: Service, admin: Server) -> None:
        announced = asyncio.create_task(self._announce(service))
        tasks = (*self.others, *self.manager.tasks(), self.reloading(service.apply))
        beside = [asyncio.ensure_future(task) for task in tasks]
        for task in beside:
            task.add_done_callback(lambda task: service.drain() if _failure(task) else None)
        serving_admin = asyncio.create_task(admin.serve([self.addresses.admin]))
        try:
            await service.run()
        finally:
            admin.should_exit = True
            await serving_admin
            for task in (announced, *beside):
                task.cancel()
            await asyncio.gather(announced, *beside, return_exceptions=True)
        for failure in filter(None, map(_failure, beside)):
            raise failure

    async def _announce(self, service: Service) -> None:
        await service.started()
        self.ready()

    @contextmanager
    def _signals(self, service: Service) -> Iterator[None]:
        """SIGTERM and SIGINT drain, a second one hurries; SIGUSR1 reloads the functions, as in PostgREST.

        A supervised process gets two of the first kind where systemd signals it as well as its parent.
        """

        def stop() -> None:
            (service.hurry if service.draining and not self.supervised else service.drain)()
            self.manager.stopping()

        handlers = {signal.SIGUSR1: service.reload_functions}
        if self.supervised:
            handlers[signal.SIGQUIT] = service.hurry
        with handled(handlers), self.stop_signals.calling(stop):
            yield


def _failure(task: asyncio.Future[None]) -> BaseException | None:
    return None if task.cancelled() else task.exception()
