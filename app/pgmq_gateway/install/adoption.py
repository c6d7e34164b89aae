"""Adopts queues whose tables exist but that pgmq.meta does not list, as after `drop extension pgmq cascade`."""

from collections.abc import Sequence
from dataclasses import dataclass

from pgmq_gateway.database.driver import Connection

# Tables with the columns of a queue and of its archive. pgmq folds a queue's name to lower case in table names.
_ORPHANS = """
with tables as (
    select c.oid, c.relname::text as name, c.relkind = 'p' as is_partitioned, c.relpersistence = 'u' as is_unlogged
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = 'pgmq' and c.relkind in ('r', 'p') and not c.relispartition
)
select substr(q.name, 3) as name, q.is_partitioned, q.is_unlogged
from tables as q
join tables as a on a.name = 'a_' || substr(q.name, 3)
where q.name like 'q\\_%'
  and length(q.name) > 2
  and not exists (select from pgmq.meta as m where lower(m.queue_name) = substr(q.name, 3))
  and not exists (
      -- A partition that was detached.
      select from tables as p
      where p.is_partitioned and starts_with(q.name, p.name || '_')
        and substr(q.name, length(p.name) + 2) ~ '^(default|p[0-9_]+)$'
  )
  and (
      select count(*) from pg_catalog.pg_attribute as c
      where c.attrelid = q.oid and not c.attisdropped
        and c.attname in ('msg_id', 'read_ct', 'enqueued_at', 'vt', 'message')
  ) = 5
  and (
      select count(*) from pg_catalog.pg_attribute as c
      where c.attrelid = a.oid and not c.attisdropped and c.attname in ('msg_id', 'archived_at', 'message')
  ) = 3
order by 1
"""


@dataclass(frozen=True, slots=True)
class Orphan:
    """A queue that pgmq.meta does not list; its kind is that of its table."""

    name: str
    is_partitioned: bool
    is_unlogged: bool

    def __str__(self) -> str:
        kind = "partitioned" if self.is_partitioned else "unlogged" if self.is_unlogged else "basic"
        return f"{kind} queue {self.name} (tables pgmq.q_{self.name} and pgmq.a_{self.name})"


async def orphans(connection: Connection) -> Sequence[Orphan]:
    """The queues that pgmq.meta does not list. It must exist."""
    return [Orphan(row["name"], row["is_partitioned"], row["is_unlogged"]) for row in await connection.fetch(_ORPHANS)]


async def adopt(connection: Connection, found: Sequence[Orphan]) -> None:
    """Add these queues to pgmq.meta."""
    await connection.executemany(
        "insert into pgmq.meta (queue_name, is_partitioned, is_unlogged) values ($1, $2, $3) on conflict do nothing",
        [(orphan.name, orphan.is_partitioned, orphan.is_unlogged) for orphan in found],
    )
