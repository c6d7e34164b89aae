"""Calls of a function of the database whenever it is due."""

import asyncio
import logging
from typing import ClassVar

import asyncpg

from pgmq_gateway.calls.watch import CatalogWatch
from pgmq_gateway.database.driver import BROKEN, SERVER_ERRORS
from pgmq_gateway.database.pool import ConnectionPool
from pgmq_gateway.errors import GatewayError

logger = logging.getLogger("pgmq_gateway")

# A call occupies a connection that requests may need.
TIMEOUT_SECONDS = 5.0
# Until the next attempt while the database is not ready or no connection is free.
RETRY_SECONDS = 1.0
# The function is missing: not installed, or an older installation, or the login role lacks privileges.
NOT_INSTALLED = (asyncpg.UndefinedFunctionError, asyncpg.InvalidSchemaNameError, asyncpg.InsufficientPrivilegeError)


class Periodic:
    """Calls a function until cancelled. The database decides when it is due, because other gateways call it too.

    QUERY     returns the seconds until the next call is due
    FAILURE   what is logged if a call fails, before the reason
    interval  seconds until the next attempt after a failure; 0: no calls
    """

    QUERY: ClassVar[str]
    FAILURE: ClassVar[str]

    def __init__(
        self, interval: float, arguments: tuple[object, ...], pool: ConnectionPool, watch: CatalogWatch
    ) -> None:
        self._interval = interval
        self._arguments = arguments
        self._pool = pool
        self._watch = watch
        self._failing = False

    async def run(self) -> None:
        wait = 0.0
        while self._interval:
            await asyncio.sleep(wait)
            wait = await self._call()

    async def _call(self) -> float:
        """Call the function. Returns the seconds until the next attempt."""
        # The catalog watch already logs that the database cannot be reached.
        if not self._watch.ready or not self._pool.available:
            return RETRY_SECONDS
        try:
            async with self._pool.connection() as connection:
                due: float = await connection.fetchval(self.QUERY, *self._arguments, timeout=TIMEOUT_SECONDS)
        except NOT_INSTALLED as error:
            logger.debug("%s: %s", self.FAILURE, error)
            return self._interval
        except (*SERVER_ERRORS, *BROKEN, GatewayError, TimeoutError) as error:
            self._failed(error)
            return self._interval
        self._failing = False
        # Slightly later than due, against rounding.
        return due + 0.001

    def _failed(self, error: Exception) -> None:
        if not self._failing:
            logger.warning("%s: %s", self.FAILURE, str(error) or type(error).__name__)
        self._failing = True
