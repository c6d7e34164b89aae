"""Keeps the catalog in step with the database: loads it, listens for reloads, knows whether the database is there."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

import asyncpg

from pgmq_gateway.backoff import Backoff
from pgmq_gateway.calls import catalog
from pgmq_gateway.calls.catalog import Catalog
from pgmq_gateway.database.connector import Connector
from pgmq_gateway.database.driver import BROKEN, SERVER_ERRORS, Connection, loggable
from pgmq_gateway.database.login import UnsafeLogin, check_login
from pgmq_gateway.database.pool import ConnectionPool
from pgmq_gateway.errors import CatalogMissing, GatewayError
from pgmq_gateway.settings.model import Settings

logger = logging.getLogger("pgmq_gateway")

# Seconds between attempts to connect.
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.1, 5.0
# Seconds between reloads that calls for unknown functions may cause, so that strangers cannot keep the database busy.
RELOAD_INTERVAL = 1.0
# Seconds of silence after which the connection is tried: one that is lost without a word brings no notifications.
LOOK_SECONDS = 15.0
# Seconds that Postgres may take to answer then, and to tell its functions.
ANSWER_SECONDS = 10.0
LOAD_SECONDS = 60.0

FAILURES = (*BROKEN, *SERVER_ERRORS, GatewayError)


class CatalogWatch:
    """The catalog as it is now, on a connection of its own.

    loaded        set while there is a catalog
    loads         how often it has been read
    failures      attempts that failed, those to connect included
    lost          connections that broke
    load_seconds  how long the last successful one took, without connecting
    """

    def __init__(self, settings: Settings, pool: ConnectionPool, clock: Callable[[], float] = time.monotonic) -> None:
        assert settings.db_uri is not None
        uri, prepared = settings.listen_uri or settings.db_uri, settings.db_prepared_statements
        self._connector = Connector(uri.get_secret_value(), prepared=prepared)
        self._pool = pool
        self._apart = settings.listen_uri is not None
        self._schemas = settings.db_schemas
        self._hoisted = settings.db_hoisted_tx_settings
        self._channel = settings.db_channel if settings.db_channel_enabled else None
        self._clock = clock
        self._catalog: Catalog | None = None
        self._loaded_at = -RELOAD_INTERVAL
        self._connection: Connection | None = None
        # Whether Postgres has not answered in time on a connection that was good before.
        self._silent = False
        # What the operator has been told of.
        self._said: set[str] = set()
        self._asked = asyncio.Event()
        self._loading = asyncio.Lock()
        self.loaded = asyncio.Event()
        self.loads = 0
        self.failures = 0
        self.lost = 0
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
                except FAILURES as error:
                    self.failures += 1
                    logger.warning("cannot reload the functions: %s", loggable(error))
        return self.catalog

    async def ask(self, query: str, *arguments: object, patience: float) -> list[asyncpg.Record]:
        """The rows of a query that is no caller's, so that no call waits for a connection; none without a database.

        Raises what the driver raises, and TimeoutError after `patience` seconds.
        """
        async with self._loading:
            if self._connection is None or self._connection.is_closed():
                return []
            return await self._connection.fetch(query, *arguments, timeout=patience)

    async def run(self) -> None:
        """Follow the database until cancelled, over any number of lost connections.

        Nothing is served as long as the login role is one that must not serve.
        """
        backoff = Backoff(FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS)
        while True:
            try:
                await self._follow()
                backoff.reset()
                continue
            except UnsafeLogin as error:
                delay = backoff.delay()
                self._refuse(error)
            except FAILURES as error:
                delay = backoff.delay()
                logger.warning("cannot reach the database: %s; trying again in %.1f s", loggable(error), delay)
                self._give_up_silent()
            self.failures += 1
            await asyncio.sleep(delay)

    def _refuse(self, error: UnsafeLogin) -> None:
        self._catalog = None
        self.loaded.clear()
        if str(error) not in self._said:
            logger.error("nothing is served until this is mended: %s", error)
        self._said = {str(error)}

    def _give_up_silent(self) -> None:
        """A Postgres that neither answers nor takes new connections will not answer the calls that run there."""
        if self._silent:
            self._pool.retire(at_once=True)
        self._silent = False

    async def _follow(self) -> None:
        """One connection's life: load, then reload whenever asked, until it is lost."""
        connection = await self._connector()
        self._silent = False
        try:
            await self._check(connection)
            connection.add_termination_listener(lambda _: self._asked.set())
            self._connection = connection
            hears = False
            while not connection.is_closed():
                self._asked.clear()
                async with self._loading:
                    hears = hears or await self._listen(connection)
                    await self._load(connection)
                while not await self._told():
                    async with self._loading:
                        await self._look(connection)
                    if not hears:
                        break
            self.lost += 1
            logger.warning("lost the connection to the database")
        finally:
            self._connection = None
            connection.terminate()

    async def _listen(self, connection: Connection) -> bool:
        """Whether reloads will be asked for. A standby cannot listen: there the functions are read at each look."""
        if self._channel is None:
            return True
        with suppress(asyncpg.ReadOnlySQLTransactionError):
            await connection.add_listener(self._channel, lambda *_: self._asked.set())
            return True
        return False

    async def _told(self) -> bool:
        """Whether there is something to do before the connection is to be tried."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                return await self._asked.wait()
        return False

    async def _look(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._check(connection)
        except TimeoutError:
            self._silent = True
            self._pool.retire()
            raise

    async def _check(self, connection: Connection) -> None:
        """Say once what the operator should mend. Raises UnsafeLogin."""
        found = set(await check_login(connection))
        # Calls have another way to the database then, maybe with another role.
        if self._apart and self._pool.available:
            async with self._pool.connection() as other:
                found |= set(await check_login(other))
        for line in found - self._said:
            logger.warning("%s", line)
        self._said = found

    async def _load(self, connection: Connection) -> None:
        self._loaded_at = began = self._clock()
        async with asyncio.timeout(LOAD_SECONDS):
            self._catalog = await catalog.load(connection, self._schemas, self._hoisted)
        self.load_seconds = self._clock() - began
        self.loads += 1
        self.loaded.set()
