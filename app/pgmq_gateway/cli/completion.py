"""Completion of arguments by the shell."""

import asyncio
import os
from pathlib import Path

import typer

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DEFAULT_NAME, DataDirectory

TIMEOUT_SECONDS = 1.0
NAMES = "select queue_name from pgmq.meta where starts_with(queue_name, $1) order by 1 limit 200"


def queue_names(context: typer.Context, incomplete: str) -> list[str]:
    """The names of queues that begin with `incomplete`; none if they cannot be had at once."""
    try:
        return asyncio.run(asyncio.wait_for(_names(_uri(context), incomplete), TIMEOUT_SECONDS))
    # The shell shows whatever a completion prints in the middle of the command line.
    except Exception:
        return []


async def _names(uri: str, prefix: str) -> list[str]:
    # Imported here because every command imports this module.
    from pgmq_gateway.database.connector import connect

    connection = await connect(uri)
    try:
        return [row["queue_name"] for row in await connection.fetch(NAMES, prefix)]
    finally:
        connection.terminate()


def _uri(context: typer.Context) -> str:
    """The database that the command line so far, or else the environment, names."""
    given = context.params.get("db_uri") or os.environ.get("PGMQ_GATEWAY_ADMIN_URI")
    if given:
        return str(given)
    folder = context.params.get("data_dir") or os.environ.get("PGMQ_GATEWAY_DATA_DIR") or DEFAULT_NAME
    return socket_uri(DataDirectory(Path(str(folder))))
