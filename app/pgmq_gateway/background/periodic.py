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
# After this time without a call it waits for a connection as requests do: there may never be a free one under load.
PATIENCE_SECONDS = 30.0
# The function is missing: not installed, or an older installation.
NOT_INSTALLED = (asyncpg.UndefinedFunctionError, asyncpg.InvalidSchemaNameError)


class Periodic:
    """Calls a function until cancelled. The database decides when it is due, because other gateways call it too.

    QUERY          returns the seconds until the next call is due
    FAILURE        what is logged if a call fails, before the reason
    failure_pause  seconds until the next attempt after a failure
    """

    QUERY: ClassVar[str]
    FAILURE: ClassVar[str]

    def __init__(
        self,
        pool: ConnectionPool,
        watch: CatalogWatch,
        arguments: tuple[object, ...],
        failure_pause: float,
        *,
        enabled: bool,
    ) -> None:
        self._pool = pool
        self._watch = watch
        self._arguments = arguments
        self._failure_pause = failure_pause
        self._enabled = enabled
        self._failing = False
        # The loop's time of the last call.
        self._called_at = 0.0

    async def run(self) -> None:
        wait = 0.0
        self._called_at = asyncio.get_running_loop().time()
        while self._enabled:
            await asyncio.sleep(wait)
            wait = await self._call()

    async def _call(self) -> float:
        """Call the function. Returns the seconds until the next attempt."""
        now = asyncio.get_running_loop().time()
        is_late = now - self._called_at >= PATIENCE_SECONDS + self._failure_pause
        # The catalog watch already logs that the database cannot be reached.
        if not self._watch.ready or not (self._pool.available or is_late):
            return RETRY_SECONDS
        self._called_at = now
        try:
            async with self._pool.connection() as connection:
                due: float = await connection.fetchval(self.QUERY, *self._arguments, timeout=TIMEOUT_SECONDS)
        except NOT_INSTALLED as error:
            logger.debug("%s: %s", self.FAILURE, error)
            return self._failure_pause
        except (*SERVER_ERRORS, *BROKEN, GatewayError, TimeoutError) as error:
            self._failed(error)
            return self._failure_pause
        self._failing = False
        # Slightly later than due, against rounding.
        return due + 0.001

    def _failed(self, error: Exception) -> None:
        if not self._failing:
            logger.warning("%s: %s", self.FAILURE, str(error) or type(error).__name__)
        self._failing = True
