"""Removes what a call left in its session, so that another caller can use it."""

from pgmq_gateway.database.driver import Connection

# Settings of the gateway's sessions, sent as startup parameters.
SESSION_SETTINGS = {"application_name": "pgmq-gateway"}

CLEANING_TIMEOUT_SECONDS = 5

# DISCARD ALL without DEALLOCATE ALL, which would drop the driver's prepared statements, and DISCARD PLANS, which only
# costs time. RESET ALL returns to the values that the connection was opened with. It is the first, because the others
# run within the statement_timeout that was left.
CLEANING = """
reset all; reset session authorization; reset role;
close all; unlisten *; discard temp; discard sequences;
select pgmq_gateway.clean_session()
"""

# For the end of a transaction of a pooler, whose next one may run in another session. RESET ALL returns to the values
# that the pooler opened the session with, so those of the driver and the gateway follow.
CLEANING_OF_POOLED = "; ".join([
    CLEANING, "set client_encoding = 'UTF8'", *(f"set {name} = '{value}'" for name, value in SESSION_SETTINGS.items())
])  # fmt: skip

# Between it and a commit: the login role may hide warnings, and Postgres reports an interrupted commit by one.
SHOW_WARNINGS = "set local client_min_messages = warning"


async def clean(connection: Connection) -> None:
    """Make a connection as clean as a new one, in one round trip. Raises what the driver raises, and TimeoutError."""
    await connection.execute(CLEANING, timeout=CLEANING_TIMEOUT_SECONDS)
