"""Samples of the queues for charts. Any number of gateways share one history."""

import asyncio
import logging

import asyncpg

from pgmq_gateway.calls.watch import CatalogWatch
from pgmq_gateway.database.driver import BROKEN, SERVER_ERRORS
from pgmq_gateway.database.pool import ConnectionPool
from pgmq_gateway.errors import GatewayError
from pgmq_gateway.settings.model import Settings

logger = logging.getLogger("pgmq_gateway")

SAMPLE = "select pgmq_gateway.take_sample($1, $2)"
# A sample occupies a connection that calls may need.
SAMPLE_TIMEOUT_SECONDS = 5.0
# Until the next attempt while the database is not ready or no connection is free.
RETRY_SECONDS = 1.0
# The function is missing: not installed, or an older installation, or the login role lacks privileges.
NOT_INSTALLED = (asyncpg.UndefinedFunctionError, asyncpg.InvalidSchemaNameError, asyncpg.InsufficientPrivilegeError)


class History:
    """Takes samples until cancelled."""

    def __init__(self, settings: Settings, pool: ConnectionPool, watch: CatalogWatch) -> None:
        self._interval = float(settings.history_interval)
        self._keep = float(settings.history_keep)
        self._pool = pool
        self._watch = watch
        self._failing = False

    async def run(self) -> None:
        """Take a sample whenever one is due. The database decides, because other gateways take samples too."""
        wait = 0.0
        while self._interval:
            await asyncio.sleep(wait)
            wait = await self._sample()

    async def _sample(self) -> float:
        """Take a sample if one is due. Returns the seconds until the next attempt."""
        # The catalog watch already logs that the database cannot be reached.
        if not self._watch.ready or not self._pool.available:
            return RETRY_SECONDS
        try:
            async with self._pool.connection() as connection:
                due: float = await connection.fetchval(
                    SAMPLE, self._interval, self._keep, timeout=SAMPLE_TIMEOUT_SECONDS
                )
        except NOT_INSTALLED as error:
            logger.debug("no history: %s", error)
            return self._interval
        except (*SERVER_ERRORS, *BROKEN, GatewayError, TimeoutError) as error:
            self._failed(error)
            return self._interval
        self._failing = False
        # Slightly later than due, against rounding.
        return due + 0.001

    def _failed(self, error: Exception) -> None:
        if not self._failing:
            logger.warning(
                "cannot take a sample for the history; the charts have a gap until a retry succeeds: %s",
                str(error) or type(error).__name__,
            )
        self._failing = True
