"""Has the database take samples of its queues, so that charts have a past; any number of gateways make one history."""

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
# Seconds that a sample may take: it uses a connection that calls might want.
LONGEST = 5.0
# Seconds until the next look at whether there is a database, and a connection that nobody waits for.
SOON = 1.0
# A database without the function: not installed, or by an older version. With it goes what else a login may lack.
ABSENT = (asyncpg.UndefinedFunctionError, asyncpg.InvalidSchemaNameError, asyncpg.InsufficientPrivilegeError)


class History:
    """Takes samples until it is cancelled."""

    def __init__(self, settings: Settings, pool: ConnectionPool, watch: CatalogWatch) -> None:
        self._interval = float(settings.history_interval)
        self._keep = float(settings.history_keep)
        self._pool = pool
        self._watch = watch
        self._failing = False

    async def run(self) -> None:
        """Ask for a sample whenever one is due, which the database says: others may be asking too."""
        wait = 0.0
        while self._interval:
            await asyncio.sleep(wait)
            wait = await self._sample()

    async def _sample(self) -> float:
        """Seconds until the next try."""
        # While there is no database, the watch says so and tries again; here it need not be said once more.
        if not self._watch.ready or not self._pool.available:
            return SOON
        try:
            async with self._pool.connection() as connection:
                due: float = await connection.fetchval(SAMPLE, self._interval, self._keep, timeout=LONGEST)
        except ABSENT as error:
            logger.debug("no history: %s", error)
            return self._interval
        except (*SERVER_ERRORS, *BROKEN, GatewayError, TimeoutError) as error:
            self._failed(error)
            return self._interval
        self._failing = False
        # A little later than due, so that clocks need not agree to the millisecond.
        return due + 0.001

    def _failed(self, error: Exception) -> None:
        if not self._failing:
            logger.warning(
                "cannot take a sample for the history, and will try again: %s", str(error) or type(error).__name__
            )
        self._failing = True
