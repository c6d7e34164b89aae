"""The queues under load, through a connection of the owner: created, filled, vacuumed and counted."""

from dataclasses import dataclass

import asyncpg

from bench.cell import BATCH, Cell
from bench.measurement import BenchError
from bench.pgbench import ROLE
from pgmq_gateway.database.driver import Connection
from pgmq_gateway.install.installer import install

# An upper bound of the messages consumed in a second; a queue that runs empty fails its row.
STOCK_PER_SECOND = 25_000
STOCK_BYTES_PER_SECOND = 200_000_000

# Messages per statement, so that a large queue is not filled in one transaction.
CHUNK_MESSAGES = 100_000


@dataclass(frozen=True, slots=True)
class Count:
    """Number of messages in a queue, and of visible ones."""

    messages: int
    visible: int


@dataclass(frozen=True, slots=True)
class Health:
    """State of a queue's table: dead rows, sizes in bytes, number of vacuums."""

    dead: int
    table: int
    index: int
    autovacuums: int


class Queues:
    """The contenders' queues, one each."""

    def __init__(self, owner: Connection) -> None:
        self.owner = owner
        self._states: dict[str, object] = {}

    async def create(self, name: str) -> None:
        """Create a queue with row-level security and a policy that allows the benchmark's role everything."""
        await self.drop(name)
        await self.owner.execute("select pgmq_admin.create_queue($1)", name)
        await self.owner.execute("select pgmq_admin.grant_queue($1, $2, '{send,read,pop,delete,archive}')", name, ROLE)
        for table in (f"pgmq.q_{name}", f"pgmq.a_{name}"):
            await self.owner.execute(f"create policy bench on {table} to {ROLE} using (true)")

    async def run(self, *statements: str) -> None:
        """Run SQL as the owner, and let the gateways load new functions."""
        for statement in statements:
            await self.owner.execute(statement)
        await self.owner.execute("notify pgrst, 'reload schema'")

    async def drop(self, name: str) -> None:
        """Drop a queue if it exists."""
        if await self.owner.fetchval("select exists(select from pgmq.meta where queue_name = $1)", name):
            await self.owner.execute("select pgmq.drop_queue($1)", name)

    async def prepare(self, name: str, cell: Cell, seconds: int) -> int | None:
        """Bring a queue into the cell's state, with enough messages to consume for some seconds.

        Returns the first of their ids, which have no gap, for an operation that names messages.
        """
        state = (cell.depth, cell.payload)
        backlog = cell.depth.waiting + cell.depth.in_flight
        if not backlog or self._states.get(name) != state or cell.operation.by_id:
            await self.owner.execute(f"truncate pgmq.q_{name}, pgmq.a_{name}")
            await self.fill(name, cell.message, cell.depth.in_flight, leased=True)
        self._states[name] = state
        await self._keep_payload(cell)
        wanted = cell.depth.waiting + (stock(cell, seconds) if cell.operation.consumes else 0)
        have = (await self.count(name)).visible if backlog else 0
        await self.fill(name, cell.message, wanted - have)
        await self.owner.execute(f"vacuum (analyze) pgmq.q_{name}")
        await self._checkpoint()
        return await self._first_id(name) if cell.operation.by_id else None

    async def _first_id(self, name: str) -> int:
        """The smallest id of a visible message."""
        found: int = await self.owner.fetchval(f"select min(msg_id) from pgmq.q_{name} where vt <= now()")
        return found

    async def count(self, name: str) -> Count:
        """Count the messages of a queue."""
        row = await self.owner.fetchrow(
            f"select count(*) as messages, count(*) filter (where vt <= now()) as visible from pgmq.q_{name}"
        )
        assert row is not None
        return Count(row["messages"], row["visible"])

    async def health(self, name: str) -> Health:
        """The state of a queue's table."""
        row = await self.owner.fetchrow(
            "select n_dead_tup, pg_table_size(relid), pg_indexes_size(relid), autovacuum_count"
            " from pg_stat_all_tables where schemaname = 'pgmq' and relname = $1",
            f"q_{name}",
        )
        assert row is not None
        return Health(*row.values())

    async def busy(self) -> bool:
        """True if a client runs a statement in this database."""
        return bool(
            await self.owner.fetchval(
                "select exists(select from pg_stat_activity where datname = current_database() and state <> 'idle'"
                " and backend_type = 'client backend' and pid <> pg_backend_pid())"
            )
        )

    async def fill(self, name: str, message: str, number: int, *, leased: bool = False) -> None:
        """Add messages, visible or leased for a day."""
        vt = "clock_timestamp() + interval '1 day'" if leased else "clock_timestamp()"
        for done in range(0, max(0, number), CHUNK_MESSAGES):
            await self.owner.execute(
                f"insert into pgmq.q_{name} (read_ct, enqueued_at, vt, message)"
                f" select $3, now(), {vt}, $1::jsonb from generate_series(1, $2)",
                message, min(CHUNK_MESSAGES, number - done), int(leased),
            )  # fmt: skip

    async def _keep_payload(self, cell: Cell) -> None:
        """Create the table from which pgbench's clients send."""
        async with self.owner.transaction():
            await self.owner.execute(
                "create schema if not exists bench; drop table if exists bench.payload;"
                "create table bench.payload (message text, messages text);"
                f"grant usage on schema bench to {ROLE}; grant select on bench.payload to {ROLE}"
            )
            await self.owner.execute(
                "insert into bench.payload"
                " select $1, (select array_agg($1::text)::text from generate_series(1, $2))", cell.message, BATCH,
            )  # fmt: skip

    async def _checkpoint(self) -> None:
        """Checkpoint now, not during the run of one contender. Ignored where the owner lacks the privilege."""
        try:
            await self.owner.execute("checkpoint")
        except asyncpg.InsufficientPrivilegeError:
            return

    async def close(self) -> None:
        """Drop what the bench created."""
        for name in self._states:
            await self.drop(name)
        await self.owner.execute("drop schema if exists bench cascade")


async def installed(owner: Connection) -> None:
    """Install the gateway. Raises BenchError for a server that the bench must not change."""
    if await owner.fetchval("select pg_is_in_recovery()"):
        raise BenchError("this database is a standby: name a primary")
    await install(owner)


def stock(cell: Cell, seconds: int) -> int:
    """Number of messages needed for some seconds."""
    rate = min(STOCK_PER_SECOND, STOCK_BYTES_PER_SECOND // cell.payload)
    return rate * seconds + cell.connections * cell.operation.messages * 2
