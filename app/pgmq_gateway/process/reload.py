"""Other settings while it serves: a gateway with them takes the place of the one before, and no request is lost."""

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
from pgmq_gateway.process.systemd import Manager
from pgmq_gateway.settings.model import Settings, SettingsError, variable

logger = logging.getLogger("pgmq_gateway")

# PostgREST reads its settings again on SIGUSR2, others on SIGHUP.
SIGNALS = (signal.SIGHUP, signal.SIGUSR2)
# How long the database may take to tell its functions before the settings are given up.
LOAD_SECONDS = 10
# What holds for the whole life of a process.
FIXED = ("server_host", "server_port", "admin_server_host", "admin_server_port", "reuse_port")

Reread = Callable[[], Settings]
Apply = Callable[[Settings], Awaitable[None]]


class Reload:
    """Puts gateways with other settings in the place of the one that serves."""

    def __init__(self, application: Application, server: Server) -> None:
        self._application = application
        self._server = server
        self._leaving: set[asyncio.Task[None]] = set()

    async def apply(self, settings: Settings) -> None:
        """Serve with these settings as soon as the database has told its functions.

        Raises SettingsError or ServeError, and serves as before, when that cannot be.
        """
        before = self._application.gateway
        gateway = Gateway(settings, before)
        await self._application.start(gateway)
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                await gateway.watch.loaded.wait()
        except TimeoutError:
            await self._application.stop(gateway)
            raise ServeError(f"the database has not told its functions within {LOAD_SECONDS} s") from None
        begun = set(self._server.server_state.tasks)
        self._application.switch(gateway)
        leaving = asyncio.create_task(self._leave(before, begun))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def _leave(self, gateway: Gateway, begun: set[asyncio.Task[None]]) -> None:
        """End a gateway once it has answered what it has begun."""
        if begun:
            await asyncio.wait(begun)
        await self._application.stop(gateway)


def keep_fixed(settings: Settings, before: Settings) -> Settings:
    """New settings, with the old value of each that cannot change now; those are named in one warning."""
    changed = [field for field in FIXED if getattr(settings, field) != getattr(before, field)]
    if changed:
        logger.warning("changed, but not before the next start: %s", ", ".join(map(variable, changed)))
    return settings.model_copy(update={field: getattr(before, field) for field in changed})


class Reloading:
    """Reads the settings again whenever a signal asks for it.

    reread   the settings as they are now; raises what is wrong with them
    """

    def __init__(self, settings: Settings, reread: Reread, manager: Manager, status: str) -> None:
        self._settings = settings
        self._reread = reread
        self._manager = manager
        self._status = status
        self._asked = asyncio.Event()

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Listen to the signals in a `with` block."""
        loop, terminal = asyncio.get_running_loop(), _has_terminal()

        def hung_up() -> None:
            # The kernel's own SIGHUP: the terminal that this was started in has been closed.
            if terminal and not _has_terminal():
                os.kill(os.getpid(), signal.SIGTERM)
            else:
                self._asked.set()

        loop.add_signal_handler(signal.SIGHUP, hung_up)
        loop.add_signal_handler(signal.SIGUSR2, self._asked.set)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)

    async def run(self, apply: Apply) -> None:
        """Apply the settings each time, until cancelled. With wrong ones all stays as it is."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            self._manager.reloading()
            outcome = await self._reload(apply)
            logger.info("%s", outcome)
            self._manager.ready(f"{self._status}; {outcome}")

    async def _reload(self, apply: Apply) -> str:
        try:
            settings = keep_fixed(self._reread(), self._settings)
            await preflight(settings)
            await apply(settings)
        except (SettingsError, ServeError, DataDirectoryError, OSError) as error:
            logger.error("the settings stay as they were: %s", " ".join(str(error).split()))
            return "the last settings could not be used"
        except Exception:
            logger.exception("the settings stay as they were")
            return "the last settings could not be used"
        self._settings = settings
        return "settings read again"


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
