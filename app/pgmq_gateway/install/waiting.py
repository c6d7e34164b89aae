"""Waits for a database that does not accept connections yet."""

import asyncio
import logging
import ssl

import asyncpg

from pgmq_gateway.backoff import Backoff
from pgmq_gateway.database.connector import connect
from pgmq_gateway.database.driver import Connection, loggable

# Between two attempts.
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.1, 2.0
# The server cannot be reached, starts up, shuts down or has no connection left. A wrong password is none of these.
TEMPORARY = (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError)

logger = logging.getLogger("pgmq_gateway")


async def connect_within(uri: str, seconds: float) -> Connection:
    """A connection, as soon as the server accepts one.

    Raises TimeoutError when the time is over, and other errors than temporary ones at once.
    """
    loop, backoff = asyncio.get_running_loop(), Backoff(FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS)
    end, logged = loop.time() + seconds, False
    while True:
        try:
            async with asyncio.timeout_at(end):
                return await connect(uri)
        except TEMPORARY as error:
            if isinstance(error, ssl.SSLCertVerificationError):
                raise
            delay = backoff.delay()
            if loop.time() + delay >= end:
                raise TimeoutError(_too_late(seconds, error)) from None
            if not logged:
                logger.warning("waiting up to %g s for the database: %s", seconds, loggable(error))
                logged = True
        await asyncio.sleep(delay)


def _too_late(seconds: float, error: Exception) -> str:
    reason = "no response" if isinstance(error, TimeoutError) else loggable(error)
    return (
        f"no connection was accepted for {seconds:g} s ({reason}): check that the server is running, and the host and"
        " port in PGMQ_GATEWAY_ADMIN_URI or --db-uri"
    )
