"""Runs the embedded Postgres' pg_dump, for backups and for moving to another version."""

import asyncio
from collections.abc import Sequence

from pgmq_gateway.embedded.cluster import binary, socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.embedded.server import running
from pgmq_gateway.install.migrations import Progress


async def pg_dump(directory: DataDirectory, arguments: Sequence[str], progress: Progress) -> int:
    """Run pg_dump on the embedded database, which is started unless it is being served. Returns the exit status.

    Raises DataDirectoryError if there is no database, and DataDirectoryHeld while another command uses it.
    """
    directory.require_database()
    holder = directory.holder()
    if holder is not None and holder.serves:
        return await _run(directory, arguments)
    async with running(directory, "pg_dump", progress):
        return await _run(directory, arguments)


async def _run(directory: DataDirectory, arguments: Sequence[str]) -> int:
    child = await asyncio.create_subprocess_exec(binary("pg_dump"), *arguments, "-d", socket_uri(directory))
    return await child.wait()
