"""Removes what a call left in its session, so that another caller can use the connection."""

from pgmq_gateway.database.driver import Connection

CLEANING_TIMEOUT_SECONDS = 5

# DISCARD ALL without DEALLOCATE ALL, which would drop the driver's prepared statements, and DISCARD PLANS, which only
# costs time. RESET ALL returns to the values that the connection was opened with. It is the first, because the others
# run within the statement_timeout that was left.
CLEANING = """
reset all; reset session authorization; reset role;
close all; unlisten *; discard temp; discard sequences;
select pgmq_gateway.clean_session()
"""


async def clean(connection: Connection) -> None:
    """Make a connection as clean as a new one, in one round trip. Raises what the driver raises, and TimeoutError."""
    await connection.execute(CLEANING, timeout=CLEANING_TIMEOUT_SECONDS)
