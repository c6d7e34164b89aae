"""Reloads settings without losing a request: a gateway with the new ones replaces the one that serves."""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from pgmq_gateway.backoff import Backoff
from pgmq_gateway.embedded.datadir import DataDirectoryError
from pgmq_gateway.gateway import Application, Gateway
from pgmq_gateway.http.server import Server
from pgmq_gateway.http.sockets import ServeError
from pgmq_gateway.process.preflight import preflight
from pgmq_gateway.process.signals import handled
from pgmq_gateway.process.systemd import Manager
from pgmq_gateway.settings.model import Settings, SettingsError, variable
from pgmq_gateway.waiting.events import Reason

logger = logging.getLogger("pgmq_gateway")

# SIGUSR2 as in PostgREST, SIGHUP as in most servers.
SIGNALS = (signal.SIGHUP, signal.SIGUSR2)
# How long the new gateway may take to load the functions before the new settings are rejected.
LOAD_TIMEOUT_SECONDS = 10
# How long a reload waits for the requests of replaced gateways.
LEAVE_TIMEOUT_SECONDS = 60
# Seconds between attempts to apply changed settings of the database.
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 1.0, 60.0
KEPT = "reload failed, keeping the present settings"
# Settings that only a restart changes.
FIXED = ("server_host", "server_port", "admin_server_host", "admin_server_port", "admin_hosts", "reuse_port")

Reread = Callable[[], Awaitable[Settings]]
Apply = Callable[[Settings], Awaitable[None]]


class Reload:
    """Replaces the gateway of an application."""

    def __init__(self, application: Application, server: Server) -> None:
        self._application = application
        self._server = server
        self._leaving: set[asyncio.Task[None]] = set()

    async def apply(self, settings: Settings) -> None:
        """Serve with these settings once the functions are loaded.

        First waits until the gateways before the present one have finished their requests, for a minute at most:
        otherwise many reloads would open a connection pool each.

        Raises SettingsError or ServeError; then the present gateway continues to serve.
        """
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=LEAVE_TIMEOUT_SECONDS)
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
        leaving = asyncio.create_task(self._leave(before, begun))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def _leave(self, gateway: Gateway, begun: set[asyncio.Task[None]]) -> None:
        """Stop a gateway after its requests in flight, without waiting for messages."""
        gateway.end_waits(Reason.RELOAD)
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

    reread  reads the settings from all sources; raises SettingsError
    status  shown by the service manager
    """

    def __init__(
        self, settings: Settings, reread: Reread, manager: Manager, status: str, backoff: Backoff | None = None
    ) -> None:
        self._settings = settings
        self._reread = reread
        self._manager = manager
        self._status = status
        self._backoff = backoff or Backoff(FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS)
        self._asked = asyncio.Event()
        self._signalled = asyncio.Event()
        # Whether a gateway may serve with other settings than those in the database.
        self._outdated = False
        # The failure that was logged last.
        self._failure = ""

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
        self._outdated = True
        self._asked.set()

    def _ask(self) -> None:
        self._signalled.set()
        self._asked.set()

    async def run(self, apply: Apply) -> None:
        """Reload when asked until cancelled. Settings that are wrong or cannot be applied are logged.

        If those in the database have changed, a reload that failed is repeated until it succeeds.
        """
        while True:
            await self._asked.wait()
            self._asked.clear()
            self._manager.reloading()
            outcome = await self._reload(apply)
            logger.info("%s", outcome)
            self._manager.ready(f"{self._status}; {outcome}")
            if self._outdated:
                await self._pause()

    async def _pause(self) -> None:
        """Wait before the next attempt. Notifications, which any role can send, do not hasten it; signals do."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._backoff.delay()):
                await self._signalled.wait()
        self._asked.set()

    async def _reload(self, apply: Apply) -> str:
        signalled, outdated, self._outdated = self._signalled.is_set(), self._outdated, False
        self._signalled.clear()
        try:
            settings = keep_fixed(await self._reread(), self._settings)
            changed = settings != self._settings or signalled
            if changed:
                await preflight(settings)
                await apply(settings)
        except (SettingsError, ServeError, DataDirectoryError, OSError) as error:
            self._log(" ".join(str(error).split()), repeat=signalled)
        except Exception:
            logger.exception(KEPT)
        else:
            self._settings, self._failure = settings, ""
            self._backoff.reset()
            return "settings reloaded" if changed else "settings unchanged"
        self._outdated = self._outdated or outdated
        return "the last reload failed"

    def _log(self, failure: str, *, repeat: bool) -> None:
        if repeat or failure != self._failure:
            logger.error("%s: %s", KEPT, failure)
        self._failure = failure


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
