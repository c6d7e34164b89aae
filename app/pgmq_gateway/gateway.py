"""Wiring: settings in, an ASGI application out."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pgmq_gateway.api import docs
from pgmq_gateway.api.docs import Docs
from pgmq_gateway.api.endpoint import Api
from pgmq_gateway.auth.authenticator import Authenticator
from pgmq_gateway.auth.remote_keys import RemoteKeys
from pgmq_gateway.background.history import History
from pgmq_gateway.background.maintenance import Maintenance
from pgmq_gateway.background.periodic import Periodic
from pgmq_gateway.calls.batching import AdmissionQueue
from pgmq_gateway.calls.execution import Database
from pgmq_gateway.calls.sharing import Sharing
from pgmq_gateway.calls.watch import CatalogWatch
from pgmq_gateway.database.stalls import StallCheck
from pgmq_gateway.http.asgi import App, Receive, Scope, Send
from pgmq_gateway.http.bounds import Bounds
from pgmq_gateway.http.client import Addresses
from pgmq_gateway.http.exchange import Exchange
from pgmq_gateway.http.memory import Memory
from pgmq_gateway.http.parking import FLOW_REQUESTS, Parking
from pgmq_gateway.limits.metered import Metered
from pgmq_gateway.limits.throttle import Throttle
from pgmq_gateway.observe.observed import Observer
from pgmq_gateway.observe.requestlog import RequestLog
from pgmq_gateway.observe.tracing import tracing
from pgmq_gateway.settings.model import Settings, SettingsError, load_settings
from pgmq_gateway.waiting.events import Reason
from pgmq_gateway.waiting.executor import WaitingExecutor
from pgmq_gateway.waiting.notifier import Notifier
from pgmq_gateway.waiting.parts import Waiting

if TYPE_CHECKING:
    from pgmq_gateway.observe.metrics import Metrics
    from pgmq_gateway.observe.otel import Tracing

logger = logging.getLogger("pgmq_gateway")

# How long the start waits for the functions before the server listens.
LOAD_TIMEOUT_SECONDS = 3


class Gateway:
    """All parts that depend on the settings.

    earlier   the gateway that this one replaces: counters, rate limits and fetched keys are taken over
    outdated  called when the database has other settings; default: that of `earlier`
    """

    def __init__(
        self,
        settings: Settings,
        earlier: "Gateway | None" = None,
        outdated: Callable[[], None] = lambda: None,
    ) -> None:
        if settings.db_uri is None:
            raise SettingsError("PGRST_DB_URI is not set: set it to the URI of the database to serve")
        self.settings = settings
        self.bounds = Bounds.of(settings)
        self.memory: Memory = earlier.memory if earlier else Memory(self.bounds.max_buffered_bytes)
        self.database = Database(settings)
        self.outdated: Callable[[], None] = earlier.outdated if earlier else outdated
        self.watch = CatalogWatch(settings, self.database.pool, self.database.connector.servers, self.outdated)
        self.stalls = StallCheck(
            self.database.pool,
            self.database.connector.servers,
            settings.db_pool_acquisition_timeout,
            self.database.connector.probe,
            self._lose,
        )
        self.history = History(settings, self.database.pool, self.watch)
        self.maintenance = Maintenance(settings, self.database.pool, self.watch)
        self.sharing = Sharing(self.database.judge, lambda: self.watch.loads)
        self.admission = AdmissionQueue(settings, self.database, self.sharing)
        self.remote_keys: RemoteKeys | None = RemoteKeys.of(settings, earlier.remote_keys if earlier else None)
        self.authenticator = Authenticator.of(settings, self.remote_keys)
        # A reload cannot change its variables.
        self.tracing: Tracing | None = earlier.tracing if earlier else tracing()
        self.limits: Throttle = Throttle.of(settings, earlier.limits if earlier else None)
        metered = Metered(self.limits, self.admission) if self.limits.count_messages else self.admission
        self.waiting: Waiting = Waiting(
            settings, self.database, self.watch, metered, self.limits, earlier.waiting if earlier else None
        )
        addresses = Addresses(settings.trusted_proxies)
        self.parking: Parking = earlier.parking if earlier else Parking()
        self.api = Api(
            settings,
            self.authenticator,
            self.watch,
            self.waiting.executor,
            self.limits,
            addresses,
            self.memory,
            self.parking,
            self.waiting.streams,
            self._observers(),
        )
        if earlier is not None:
            self.api.traffic = earlier.api.traffic

    @cached_property
    def metrics(self) -> "Metrics":
        """Imports a library at the first use, which takes 20 ms: not every gateway is scraped."""
        from pgmq_gateway.observe.metrics import Metrics

        return Metrics(
            self.settings,
            self.database,
            self.admission,
            self.watch,
            self.authenticator,
            self.api.traffic,
            self.waiting.counters,
        )

    def end_waits(self, reason: Reason) -> None:
        """End all waits and streams, and those to come after their first attempt."""
        self.waiting.end(reason)

    def _lose(self, server: str) -> None:
        """Give up a server that does not respond."""
        self.database.connector.servers.is_silent(server)
        self.database.pool.disconnect(server)
        self.watch.disconnect(server)

    def _observers(self) -> list[Observer]:
        observers: list[Observer] = (
            [RequestLog(self.settings.server_trace_header)] if self.settings.log_requests else []
        )
        return [*observers, self.tracing] if self.tracing else observers

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the tasks of this gateway during a `with` block. Connects to the database, and retries until it can."""
        parts = (self.watch, self.waiting.notifier, self.waiting.executor, self.stalls, self.history, self.maintenance)
        running = [_background(part) for part in parts]
        try:
            if self.remote_keys is not None:
                running.append(_background(self.remote_keys))
                await self.remote_keys.first_fetch()
            yield
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            self.waiting.close()
            await self.sharing.close()
            await self.database.pool.close()


class Application:
    """The present gateway as an ASGI application."""

    def __init__(self, gateway: Gateway) -> None:
        self._running: dict[Gateway, AsyncExitStack] = {}
        self.switch(gateway)

    def handle(self, exchange: Exchange) -> Coroutine[Any, Any, None]:
        """Handle a call without ASGI (`http/direct.py`)."""
        return self._api.handle(exchange)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        pages = scope["raw_path"].startswith(docs.PATHS)
        try:
            await (self._pages if pages else self._api)(scope, receive, send)
        finally:
            if flow_requests := scope.get(FLOW_REQUESTS):
                flow_requests.end_one()

    def switch(self, gateway: Gateway) -> None:
        """Send new requests to this gateway. The former one finishes its requests in flight."""
        self.gateway = gateway
        gateway.memory.limit = gateway.bounds.max_buffered_bytes
        self._api = gateway.api
        disabled = gateway.settings.openapi_mode == "disabled"
        self._pages: App = gateway.api if disabled else Docs(gateway.settings, gateway.api)

    def end_waits(self) -> None:
        """End the waits and streams of all gateways, the former ones included."""
        for gateway in self._running:
            gateway.end_waits(Reason.SHUTDOWN)

    async def start(self, gateway: Gateway) -> None:
        """Run a gateway that gets no requests yet."""
        stack = AsyncExitStack()
        await stack.enter_async_context(gateway.running())
        self._running[gateway] = stack

    async def stop(self, gateway: Gateway) -> None:
        """Stop a gateway after its calls in flight."""
        if stack := self._running.pop(gateway, None):
            await stack.aclose()

    async def _live(self, receive: Receive, send: Send) -> None:
        """The lifespan: the server asks for the start, and later for the end."""
        await receive()
        await self.start(self.gateway)
        try:
            # Calls are rejected until the functions are loaded, and another gateway may still be serving this port.
            with suppress(TimeoutError):
                async with asyncio.timeout(LOAD_TIMEOUT_SECONDS):
                    await self.gateway.watch.loaded.wait()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        finally:
            for gateway in list(self._running):
                await self.stop(gateway)
            if self.gateway.tracing:
                self.gateway.tracing.stop()
        await send({"type": "lifespan.shutdown.complete"})


def _background(
    part: CatalogWatch | WaitingExecutor | Notifier | StallCheck | Periodic | RemoteKeys,
) -> asyncio.Task[None]:
    """Run a part of the gateway. A failure is logged at once, and not raised where the part is stopped."""

    def report(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s failed, and is off until the next start", type(part).__name__, exc_info=error)

    task = asyncio.create_task(part.run())
    task.add_done_callback(report)
    return task


def create_app(settings: Settings | None = None, gateway: Gateway | None = None) -> Application:
    """An ASGI application. Without settings, they are read from the environment."""
    return Application(gateway or Gateway(settings or load_settings()))
