"""Loads the catalog, reloads it on notifications, and watches whether the database responds."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Set
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import asyncpg

from pgmq_gateway.backoff import Backoff
from pgmq_gateway.calls import catalog
from pgmq_gateway.calls.catalog import Catalog
from pgmq_gateway.database import in_database
from pgmq_gateway.database.connector import Connector
from pgmq_gateway.database.driver import BROKEN, SERVER_ERRORS, Connection, GatewayConnection, loggable
from pgmq_gateway.database.login import UnsafeLogin, check_login
from pgmq_gateway.database.pool import ConnectionPool
from pgmq_gateway.database.servers import Servers
from pgmq_gateway.database.session_defaults import session_defaults
from pgmq_gateway.errors import CatalogMissing, GatewayError
from pgmq_gateway.settings.model import Settings

logger = logging.getLogger("pgmq_gateway")

# Seconds between attempts to connect.
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.1, 5.0
# The same if the pool has opened a connection meanwhile.
SHORTEST_RETRY_SECONDS = 0.05
# Calls of unknown functions cause reloads. This bounds the load that a client can put on the database.
RELOAD_INTERVAL_SECONDS = 1.0
# A connection that is lost without a FIN brings no notifications, so it is checked after this time without one.
CHECK_INTERVAL_SECONDS = 15.0
CHECK_TIMEOUT_SECONDS = 10.0
LOAD_TIMEOUT_SECONDS = 60.0

FAILURES = (*BROKEN, *SERVER_ERRORS, GatewayError)


class OutdatedSettings(CatalogMissing):
    """The database has other settings than this gateway, which has not served yet and must not with these."""


class Follower(Protocol):
    """A part of the gateway that listens to a channel on the catalog's connection.

    connected     called when the connection listens, and `disconnected` when it is lost
    notified      called with the payload of each notification
    """

    channel: str

    def connected(self) -> None: ...

    def disconnected(self) -> None: ...

    def notified(self, payload: str) -> None: ...


class CatalogWatch:
    """The current catalog, with a connection of its own.

    loaded        set while there is a catalog
    loads         successful loads
    failures      failed attempts to connect or load
    lost          lost connections
    load_seconds  duration of the last successful load, without connecting
    """

    def __init__(
        self,
        settings: Settings,
        pool: ConnectionPool,
        servers: Servers,
        outdated: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """outdated  called when the database has other settings than these"""
        assert settings.db_uri is not None
        uri, prepared = settings.listen_uri or settings.db_uri, settings.db_prepared_statements
        self._connector = Connector(uri.get_secret_value(), prepared=prepared, servers=servers)
        self._pool = pool
        # With a listen URI of its own, calls may use another role.
        self._connector_of_calls = (
            Connector(settings.db_uri.get_secret_value(), prepared=False, servers=servers)
            if settings.listen_uri is not None
            else None
        )
        self._schemas = settings.db_schemas
        self._hoisted = settings.db_hoisted_tx_settings
        self._extra = settings.db_extra_search_path
        self._channel = settings.db_channel if settings.db_channel_enabled else None
        self._in_database = settings.in_database if settings.db_config else None
        self._pre_config = settings.db_pre_config
        self._outdated = outdated
        self._clock = clock
        self._followers: list[Follower] = []
        self._catalog: Catalog | None = None
        self._loaded_at = -RELOAD_INTERVAL_SECONDS
        self._connection: GatewayConnection | None = None
        # True if the catalog was loaded on this connection.
        self._current = False
        # True if Postgres did not respond in time on an open connection.
        self._silent = False
        self._session_defaults: str | None = None
        # Warnings that are logged already.
        self._warned: set[str] = set()
        # Exposed schemas that do not exist.
        self._missing: Set[str] = set()
        self._reload_asked = asyncio.Event()
        self._loading = asyncio.Lock()
        self.loaded = asyncio.Event()
        self.loads = 0
        self.failures = 0
        self.lost = 0
        self.load_seconds = 0.0

    @property
    def ready(self) -> bool:
        """True if the catalog was loaded on an open connection, and the pool has connected since it lost the server."""
        connected = self._connection is not None and not self._connection.is_closed()
        return connected and self._current and self._pool.reachable

    @property
    def catalog(self) -> Catalog:
        """The catalog. Raises CatalogMissing before the first load."""
        if self._catalog is None:
            raise CatalogMissing
        return self._catalog

    def disconnect(self, server: str) -> None:
        """Close the connection if it leads to a server that does not respond; another one is opened."""
        if self._connection is not None and self._connection.server == server:
            self._connection.terminate()

    def follow(self, follower: Follower) -> None:
        """Listen to a further channel from the next connection on, unless db-channel-enabled is off."""
        self._followers.append(follower)

    def ask_reload(self) -> None:
        """Reload soon (a signal, a notification)."""
        self._reload_asked.set()

    async def refreshed(self) -> Catalog:
        """The catalog for a call of an unknown function: reloaded unless RELOAD_INTERVAL_SECONDS have not passed."""
        async with self._loading:
            if self._clock() - self._loaded_at >= RELOAD_INTERVAL_SECONDS and self._connection is not None:
                try:
                    await self._load(self._connection)
                except FAILURES as error:
                    self.failures += 1
                    logger.warning("cannot reload the functions: %s", loggable(error))
        return self.catalog

    async def ask(self, query: str, *arguments: object, patience: float) -> list[asyncpg.Record]:
        """The rows of a query of the gateway's own, on the catalog's connection; no rows without it.

        Raises what the driver raises, and TimeoutError after `patience` seconds.
        """
        async with self._loading:
            if self._connection is None or self._connection.is_closed():
                return []
            return await self._connection.fetch(query, *arguments, timeout=patience)

    async def run(self) -> None:
        """Follow the database until cancelled, and reconnect when the connection is lost.

        There is no catalog, and nothing is served, while the login role is unsafe.
        """
        backoff = Backoff(FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS)
        while True:
            opened = self._pool.opening.number
            try:
                await self._follow()
                backoff.reset()
                continue
            except UnsafeLogin as error:
                delay = backoff.delay()
                self._refuse(error)
            except OutdatedSettings:
                delay = backoff.delay()
                logger.info("the database has other settings; waiting %.1f s until they apply", delay)
            except FAILURES as error:
                delay = backoff.delay()
                logger.warning("cannot reach the database: %s; trying again in %.1f s", loggable(error), delay)
                self._give_up_silent()
            except Exception:
                delay = backoff.delay()
                logger.exception("cannot follow the database; trying again in %.1f s", delay)
            self.failures += 1
            await asyncio.sleep(min(delay, SHORTEST_RETRY_SECONDS))
            await self._pool.opening.wait_for_more(opened, delay)

    def _refuse(self, error: UnsafeLogin) -> None:
        self._catalog = None
        self.loaded.clear()
        if str(error) not in self._warned:
            logger.error("no requests are served until this is fixed: %s", error)
        self._warned = {str(error)}

    def _give_up_silent(self) -> None:
        """Close all connections to a server that neither responds nor accepts new connections."""
        if self._silent:
            self._pool.disconnect()
        self._silent = False

    async def _follow(self) -> None:
        """Open a connection, load the catalog, and reload it when asked until the connection is lost."""
        connection = await self._connector()
        self._silent = False
        self._pool.opening.resume()
        try:
            await self._check(connection)
            connection.add_termination_listener(lambda _: self._reload_asked.set())
            self._connection = connection
            listening = False
            while not connection.is_closed():
                self._reload_asked.clear()
                async with self._loading:
                    listening = listening or await self._listen(connection)
                    await self._load(connection)
                while not await self._wait_for_reload():
                    async with self._loading:
                        await self._check_in_time(connection)
                    if not listening:
                        break
            self.lost += 1
            logger.warning("lost the connection to the database")
        finally:
            self._connection, self._current = None, False
            for follower in self._followers:
                follower.disconnected()
            connection.terminate()

    async def _listen(self, connection: Connection) -> bool:
        """Listen for notifications. False on a standby, which cannot: there each check of the connection reloads."""
        if self._channel is None:
            return True
        with suppress(asyncpg.ReadOnlySQLTransactionError):
            await connection.add_listener(self._channel, lambda *_: self._reload_asked.set())
            for follower in self._followers:
                await connection.add_listener(follower.channel, _receiver(follower))
                follower.connected()
            return True
        return False

    async def _wait_for_reload(self) -> bool:
        """Wait for a request to reload. False after CHECK_INTERVAL_SECONDS without one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CHECK_INTERVAL_SECONDS):
                return await self._reload_asked.wait()
        return False

    async def _check_in_time(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                await self._check(connection)
        except TimeoutError:
            self._silent = True
            self._pool.retire()
            raise

    async def _check(self, connection: Connection) -> None:
        """Check the login role, and log each warning once. Raises UnsafeLogin."""
        found = set(await check_login(connection))
        if self._connector_of_calls is not None and self._pool.available:
            async with self._pool.connection() as other:
                found |= set(await check_login(other))
        for warning in found - self._warned:
            logger.warning("%s", warning)
        self._warned = found

    async def _load(self, connection: Connection) -> None:
        self._loaded_at = began = self._clock()
        async with asyncio.timeout(LOAD_TIMEOUT_SECONDS):
            async with self._like_calls(connection) as other:
                await self._compare_settings(other)
                await self._renew_sessions(other)
            self._catalog = await catalog.load(connection, self._schemas, self._hoisted, self._extra)
        self._warn_of_missing(set(self._schemas) - self._catalog.comments.keys())
        self._current = True
        self.load_seconds = self._clock() - began
        self.loads += 1
        self.loaded.set()

    @asynccontextmanager
    async def _like_calls(self, connection: Connection) -> AsyncIterator[Connection]:
        """A connection of the role that calls connect as: the given one, unless there is a listen URI."""
        if self._connector_of_calls is None:
            yield connection
            return
        other = await self._connector_of_calls()
        try:
            yield other
        finally:
            other.terminate()

    async def _renew_sessions(self, connection: Connection) -> None:
        """Replace the pool's connections if sessions begin with other settings than at the last load."""
        before, self._session_defaults = self._session_defaults, await session_defaults(connection)
        if before is not None and before != self._session_defaults:
            logger.info("connecting anew: the login role or the database has other settings")
            self._pool.retire(lost=False)

    def _warn_of_missing(self, schemas: Set[str]) -> None:
        """Name schemas that do not exist, once for each of them."""
        if new := schemas - self._missing:
            listed = ", ".join(sorted(new))
            logger.warning("db-schemas names %s, which the database does not have: correct or create it", listed)
        self._missing = schemas

    async def _compare_settings(self, connection: Connection) -> None:
        """Report other settings in the database. Raises OutdatedSettings if nothing was served so far."""
        if self._in_database is None or self._in_database == await in_database.read(connection, self._pre_config):
            return
        self._outdated()
        if self._catalog is None:
            raise OutdatedSettings


def _receiver(follower: Follower) -> Callable[[object, int, str, object], None]:
    return lambda _connection, _process, _channel, payload: follower.notified(str(payload))
