"""The connection of a process on which it looks for messages that waiting requests could read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from pgmq_gateway.database.cleaning import CLEANING_OF_POOLED
from pgmq_gateway.database.connector import Connector
from pgmq_gateway.database.driver import BROKEN, SERVER_ERRORS, GatewayConnection, loggable
from pgmq_gateway.database.servers import Servers
from pgmq_gateway.settings.model import Settings

# Of a statement in Postgres: a slow policy delays the looks at all queues. And of a connection that brings no response.
STATEMENT_TIMEOUT_SECONDS = 1
TIMEOUT_SECONDS = 6
IDLE_SECONDS = 30.0

# Behind a pooler it must be set in each transaction.
SET_TIMEOUT = f"set statement_timeout = '{STATEMENT_TIMEOUT_SECONDS}s'"


class ProbeFailed(Exception):
    """The database could not be asked.

    sqlstate  of Postgres' error, such as at the end of the statement timeout; None: it did not respond
    """

    def __init__(self, error: Exception, sqlstate: str | None = None) -> None:
        super().__init__(loggable(error))
        self.sqlstate = sqlstate


class ProbeSession:
    """A connection of the login role. Each query is a transaction of its own.

    pooled   whether a pooler may run each transaction in another session
    created  the functions that probe policies in this session, by the table of their queue
    """

    def __init__(self, connection: GatewayConnection, *, pooled: bool) -> None:
        self.connection = connection
        self.pooled = pooled
        self.created: dict[int, str] = {}

    async def fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        if not self.pooled:
            return await self.connection.fetch(query, *arguments)
        await self.connection.execute(f"begin read only; {SET_TIMEOUT}")
        rows = await self.connection.fetch(query, *arguments)
        await self.connection.execute(f"rollback; {CLEANING_OF_POOLED}")
        return rows


class ProbeConnection:
    """Opens a connection when it is needed, and closes it after IDLE_SECONDS without a probe. One probe at a time."""

    def __init__(self, settings: Settings, servers: Servers) -> None:
        assert settings.db_uri is not None
        self._connector = Connector(
            settings.db_uri.get_secret_value(), prepared=settings.db_prepared_statements, servers=servers
        )
        self._lock = asyncio.Lock()
        self._session: ProbeSession | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def open(self) -> bool:
        return self._session is not None

    @asynccontextmanager
    async def session(self) -> AsyncIterator[ProbeSession]:
        """The session, for one probe. Raises ProbeFailed; an error of Postgres, or a cancel, closes the connection."""
        async with self._lock:
            self._stay()
            try:
                # A connect timeout may be longer: it leads to another server.
                session = await self._opened()
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    yield session
            except SERVER_ERRORS as error:
                self._disconnect()
                raise ProbeFailed(error, error.sqlstate) from None
            except (*BROKEN, TimeoutError) as error:
                self._disconnect()
                raise ProbeFailed(error) from None
            except BaseException:
                self._disconnect()
                raise
            finally:
                self._rest()

    def close(self) -> None:
        """Close the connection for good."""
        self._closed = True
        self._stay()
        self._disconnect()

    async def _opened(self) -> ProbeSession:
        if self._closed:
            raise asyncpg.InterfaceError("the gateway is shutting down")
        if self._session is None or self._session.connection.is_closed():
            # Nothing waits at a standby: it cannot lease messages.
            self._connector.seeks_primary = True
            connection = await self._connector()
            self._session = ProbeSession(connection, pooled=self._connector.pooled)
            if not self._session.pooled:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    await connection.execute(SET_TIMEOUT)
        return self._session

    def _disconnect(self) -> None:
        if self._session is not None:
            self._session.connection.terminate()
            self._session = None

    def _stay(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _rest(self) -> None:
        if self._session is not None:
            self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._disconnect)
