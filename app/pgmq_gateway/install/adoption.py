"""Adopts queues whose tables exist but that pgmq.meta does not list, as after `drop extension pgmq cascade`."""

from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote

from pgmq_gateway.database.driver import Connection
from pgmq_gateway.install.findings import Finding

_ORPHANS = """
select name, is_partitioned, is_unlogged, array_remove(array[queue_table::text, archive_table::text], null) as tables
from pgmq_gateway.orphans()
"""


@dataclass(frozen=True, slots=True)
class Orphan:
    """A queue that pgmq.meta does not list; its kind is that of its table.

    tables  its table and its archive, or one of them
    """

    name: str
    is_partitioned: bool
    is_unlogged: bool
    tables: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        return len(self.tables) == 2

    @property
    def finding(self) -> Finding:
        """What `install --check` reports: `install` adopts a whole queue, and leaves a single table as it is."""
        if self.is_whole:
            return Finding("missing", f"row of pgmq.meta for {self}")
        return Finding("orphaned", str(self))

    def __str__(self) -> str:
        if not self.is_whole:
            name = quote(self.name)
            return (
                f"table {self.tables[0]} (pgmq-gateway queue drop {name} drops it,"
                f" pgmq-gateway queue create {name} --adopt makes a queue of it)"
            )
        kind = "partitioned" if self.is_partitioned else "unlogged" if self.is_unlogged else "basic"
        return f"{kind} queue {self.name} (tables {' and '.join(self.tables)})"


async def orphans(connection: Connection) -> Sequence[Orphan]:
    """The queues that pgmq.meta does not list. It must exist."""
    return [
        Orphan(row["name"], row["is_partitioned"], row["is_unlogged"], tuple(row["tables"]))
        for row in await connection.fetch(_ORPHANS)
    ]


async def adopt(connection: Connection) -> Sequence[Orphan]:
    """Add the queues that have both tables to pgmq.meta, and return them."""
    whole = [orphan for orphan in await orphans(connection) if orphan.is_whole]
    await connection.executemany(
        "insert into pgmq.meta (queue_name, is_partitioned, is_unlogged) values ($1, $2, $3) on conflict do nothing",
        [(orphan.name, orphan.is_partitioned, orphan.is_unlogged) for orphan in whole],
    )
    return whole
