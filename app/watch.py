"""Keeps the catalog in step with the database: loads it, listens for reloads, knows whether the database is there."""

import asyncio
import logging
import time
from collections.abc import Callable

import asyncpg

from app import catalog
from app.catalog import Catalog
from app.database import check_login, connect
from app.driver import BROKEN, Connection
from app.errors import CatalogMissing
from app.settings import Settings

logger = logging.getLogger("pgmq_gateway")

# Seconds between attempts to connect: doubled from the first to the second.
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0
# Seconds between reloads that calls for unknown functions may cause, so that strangers cannot keep the database busy.
RELOAD_INTERVAL = 1.0


class CatalogWatch:
    """The catalog as it is now, on a connection of its own.

    loaded        set once there is a catalog
    loads         how often it has been read
    failures      attempts that failed, those to connect included
    load_seconds  how long the last successful one took, without connecting
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        assert settings.db_uri is not None
        self._uri = settings.db_uri.get_secret_value()
        self._schemas = settings.db_schemas
        self._hoisted = settings.db_hoisted_tx_settings
        self._channel = settings.db_channel if settings.db_channel_enabled else None
        self._clock = clock
        self._catalog: Catalog | None = None
        self._loaded_at = -RELOAD_INTERVAL
        self._connection: Connection | None = None
        self._asked = asyncio.Event()
        self._loading = asyncio.Lock()
        self.loaded = asyncio.Event()
        self.loads = 0
        self.failures = 0
        self.load_seconds = 0.0

    @property
    def ready(self) -> bool:
        """Whether the functions are known and the database has not been lost since."""
        return self._catalog is not None and self._connection is not None and not self._connection.is_closed()

    @property
    def catalog(self) -> Catalog:
        """The functions that can be called. Raises CatalogMissing before the first load."""
        if self._catalog is None:
            raise CatalogMissing
        return self._catalog

    def ask_reload(self) -> None:
        """Reload soon (a signal, a notification)."""
        self._asked.set()

    async def refreshed(self) -> Catalog:
        """The catalog for a call that found no function: reloaded, unless that was done just now."""
        async with self._loading:
            if self._clock() - self._loaded_at >= RELOAD_INTERVAL and self._connection is not None:
                try:
                    await self._load(self._connection)
                except (*BROKEN, asyncpg.PostgresError) as error:
                    self.failures += 1
                    logger.warning("cannot reload the functions: %s", error)
        return self.catalog

    async def run(self) -> None:
        """Follow the database until cancelled, over any number of lost connections."""
        delay = FIRST_DELAY
        while True:
            try:
                await self._follow()
                delay = FIRST_DELAY
            except (*BROKEN, asyncpg.PostgresError) as error:
                self.failures += 1
                logger.warning("cannot reach the database: %s; trying again in %.1f s", error, delay)
                await asyncio.sleep(delay)
                delay = min(2 * delay, LONGEST_DELAY)

    async def _follow(self) -> None:
        """One connection's life: load, then reload whenever asked, until it is lost."""
        connection = await connect(self._uri)
        try:
            await check_login(connection)
            connection.add_termination_listener(lambda _: self._asked.set())
            if self._channel is not None:
                await connection.add_listener(self._channel, lambda *_: self._asked.set())
            self._connection = connection
            while not connection.is_closed():
                self._asked.clear()
                async with self._loading:
                    await self._load(connection)
                await self._asked.wait()
            logger.warning("lost the connection to the database")
        finally:
            self._connection = None
            connection.terminate()

    async def _load(self, connection: Connection) -> None:
        self._loaded_at = began = self._clock()
        self._catalog = await catalog.load(connection, self._schemas, self._hoisted)
        self.load_seconds = self._clock() - began
        self.loads += 1
        self.loaded.set()
