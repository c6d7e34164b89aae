"""Incomplete queues, as after a partial restore or `drop extension pgmq cascade`.

A queue that pgmq.meta does not list is adopted if its tables exist; the other ones are reported.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote

import asyncpg

from pgmq_gateway.database.driver import Connection
from pgmq_gateway.install.findings import Finding

_ORPHANS = """
select
    name, array_remove(array[queue_table::text, archive_table::text], null) as tables, obstacle,
    case when is_partitioned then 'partitioned' when is_unlogged then 'unlogged' else 'basic' end as queue_type
from pgmq_gateway.orphans()
"""
# No row if the queue was dropped or adopted meanwhile: create_queue would create a new one.
_ADOPT = "select pgmq_admin.create_queue(name, $2, adopt => true) from pgmq_gateway.orphans(array[$1])"


@dataclass(frozen=True, slots=True)
class Orphan:
    """A queue that pgmq.meta does not list.

    queue_type  that of its tables
    tables      its table and its archive, or one of them
    obstacle    why no queue can be made of the tables
    """

    name: str
    queue_type: str
    tables: tuple[str, ...]
    obstacle: str | None

    @property
    def is_restorable(self) -> bool:
        """True if `install` adopts it: nothing is missing but its row of pgmq.meta."""
        return len(self.tables) == 2 and self.obstacle is None

    @property
    def finding(self) -> Finding:
        """The line of `install --check`."""
        if self.is_restorable:
            return Finding("missing", f"row of pgmq.meta for {self}")
        return Finding("orphaned", f"{self._tables} ({self._remedies})")

    def __str__(self) -> str:
        return f"{self.queue_type} queue {self.name} ({self._tables})"

    @property
    def _tables(self) -> str:
        return f"table{'s' if len(self.tables) > 1 else ''} {' and '.join(self.tables)}"

    @property
    def _remedies(self) -> str:
        name = quote(self.name)
        drop = f"pgmq-gateway queue drop {name} drops {'them' if len(self.tables) > 1 else 'it'}"
        if self.obstacle is not None:
            return f"{self.obstacle}; {drop}"
        type_option = "" if self.queue_type == "basic" else f" --type {self.queue_type}"
        return f"{drop}, pgmq-gateway queue create {name}{type_option} --adopt makes a queue of it"


async def findings(connection: Connection) -> list[Finding]:
    """The queues that pgmq.meta does not list, and those that lack a table. pgmq.meta must exist."""
    incomplete = await connection.fetch("select queue_name, missing from pgmq_gateway.incomplete_queues()")
    return [orphan.finding for orphan in await _orphans(connection)] + [
        Finding(
            "incomplete",
            f"queue {row['queue_name']} lacks {row['missing']}"
            f" (pgmq-gateway queue drop {quote(row['queue_name'])} drops the rest)",
        )
        for row in incomplete
    ]


async def _orphans(connection: Connection) -> Sequence[Orphan]:
    return [
        Orphan(row["name"], row["queue_type"], tuple(row["tables"]), row["obstacle"])
        for row in await connection.fetch(_ORPHANS)
    ]


async def adopt(connection: Connection) -> list[str]:
    """Adopt the queues that have both tables, each in a transaction of its own. Returns a line for each."""
    lines = [await _adopt(connection, orphan) for orphan in await _orphans(connection) if orphan.is_restorable]
    return [line for line in lines if line is not None]


async def _adopt(connection: Connection, orphan: Orphan) -> str | None:
    try:
        async with connection.transaction():
            await connection.execute("select pgmq_gateway.lock_privileges()")
            adopted = await connection.fetchval(_ADOPT, orphan.name, orphan.queue_type)
    except asyncpg.InsufficientPrivilegeError as error:
        # Tables of another owner, or with code of other roles.
        return f"not adopted: {orphan}: {error.message}"
    return f"adopted: {orphan}" if adopted else None
