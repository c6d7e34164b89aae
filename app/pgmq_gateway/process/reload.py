"""Reloads settings without losing a request: a gateway with the new ones replaces the one that serves."""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from pgmq_gateway.embedded.datadir import DataDirectoryError
from pgmq_gateway.gateway import Application, Gateway
from pgmq_gateway.http.server import Server
from pgmq_gateway.http.sockets import ServeError
from pgmq_gateway.process.preflight import preflight
from pgmq_gateway.process.signals import handled
from pgmq_gateway.process.systemd import Manager
from pgmq_gateway.settings.model import Settings, SettingsError, variable

logger = logging.getLogger("pgmq_gateway")

# SIGUSR2 as in PostgREST, SIGHUP as in most servers.
SIGNALS = (signal.SIGHUP, signal.SIGUSR2)
# How long the new gateway may take to load the functions before the new settings are rejected.
LOAD_TIMEOUT_SECONDS = 10
# Settings that only a restart changes.
FIXED = ("server_host", "server_port", "admin_server_host", "admin_server_port", "admin_hosts", "reuse_port")

Reread = Callable[[], Awaitable[Settings]]
Apply = Callable[[Settings], Awaitable[None]]


class Reload:
    """Replaces the gateway of an application."""

    def __init__(self, application: Application, server: Server) -> None:
        self._application = application
        self._server = server
        self._leaving: asyncio.Task[None] | None = None

    async def apply(self, settings: Settings) -> None:
        """Serve with these settings once the functions are loaded.

        First waits until the gateway before the present one has finished its requests: otherwise many reloads would
        open a connection pool each.

        Raises SettingsError or ServeError; then the present gateway continues to serve.
        """
        if self._leaving is not None:
            await asyncio.wait([self._leaving])
        before = self._application.gateway
        gateway = Gateway(settings, before)
        await self._application.start(gateway)
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_SECONDS):
                await gateway.watch.loaded.wait()
        except TimeoutError:
            await self._application.stop(gateway)
            raise ServeError(
                f"the functions could not be loaded from the database within {LOAD_TIMEOUT_SECONDS} s"
            ) from None
        begun = set(self._server.server_state.tasks)
        self._application.switch(gateway)
        self._leaving = asyncio.create_task(self._leave(before, begun))

    async def _leave(self, gateway: Gateway, begun: set[asyncio.Task[None]]) -> None:
        """Stop a gateway after its requests in flight."""
        if begun:
            await asyncio.wait(begun)
        await self._application.stop(gateway)


def keep_fixed(settings: Settings, before: Settings) -> Settings:
    """The new settings with the present value of those that only a restart changes. Warns of these."""
    changed = [field for field in FIXED if getattr(settings, field) != getattr(before, field)]
    if changed:
        logger.warning("changed settings that need a restart: %s", ", ".join(map(variable, changed)))
    return settings.model_copy(update={field: getattr(before, field) for field in changed})


class Reloading:
    """Reloads the settings on a signal, and when those in the database have changed.

    reread  reads the settings from their sources; raises SettingsError
    status  shown by the service manager
    """

    def __init__(self, settings: Settings, reread: Reread, manager: Manager, status: str) -> None:
        self._settings = settings
        self._reread = reread
        self._manager = manager
        self._status = status
        self._asked = asyncio.Event()
        self._signalled = False

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Handle the signals during a `with` block."""
        terminal = _has_terminal()

        def hung_up() -> None:
            # The terminal was closed: the kernel's SIGHUP, not an operator's.
            if terminal and not _has_terminal():
                os.kill(os.getpid(), signal.SIGTERM)
            else:
                self._ask()

        with handled({signal.SIGHUP: hung_up, signal.SIGUSR2: self._ask}):
            yield

    def outdated(self) -> None:
        """Reload if the settings differ from the present ones: another process may have asked before."""
        self._asked.set()

    def _ask(self) -> None:
        self._signalled = True
        self._asked.set()

    async def run(self, apply: Apply) -> None:
        """Reload when asked until cancelled. Wrong settings are logged and not applied."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            self._manager.reloading()
            outcome = await self._reload(apply)
            logger.info("%s", outcome)
            self._manager.ready(f"{self._status}; {outcome}")

    async def _reload(self, apply: Apply) -> str:
        try:
            signalled, self._signalled = self._signalled, False
            settings = keep_fixed(await self._reread(), self._settings)
            if settings == self._settings and not signalled:
                return "settings unchanged"
            await preflight(settings)
            await apply(settings)
        except (SettingsError, ServeError, DataDirectoryError, OSError) as error:
            logger.error("reload failed, keeping the present settings: %s", " ".join(str(error).split()))
            return "the last reload failed"
        except Exception:
            logger.exception("reload failed, keeping the present settings")
            return "the last reload failed"
        self._settings = settings
        return "settings reloaded"


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
