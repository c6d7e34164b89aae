"""The checker's queues, through a connection of the owner."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from bench.checker import leased, visits
from bench.checker.history import Left, Rest
from bench.checker.people import TEAMS
from bench.measurement import BenchError
from pgmq_gateway.database.driver import BROKEN, Connection
from pgmq_gateway.database.identifiers import quote

# Only the last queue is popped, so that no loss in the others can be due to a pop whose response was lost.
QUEUES = ("work", "traced", "takes")
# The queue with triggers of its own, whose calls must not share transactions.
TRACED = "traced"

OPERATIONS = "{send, read, pop, archive, delete}"
OWN = f"message->>'owner' = {visits.OWNER}"
HASTY_MILLISECONDS = 150

# Raised on a connection to a killed server.
LOST = (asyncpg.PostgresError, *BROKEN)

CONNECT_TIMEOUT_SECONDS = 10
RECOVERY_TIMEOUT_SECONDS = 60
POLL_SECONDS = 0.05


async def lay(owner: Connection, queues: Sequence[str] = QUEUES) -> None:
    """Create queues with policies by which a message belongs to the identity it names, a claim or a role."""
    for team in TEAMS:
        if not await owner.fetchval("select exists(select from pg_roles where rolname = $1)", team):
            await owner.execute(f"create role {team} nologin inherit in role authenticated")
    await owner.execute(f"grant {', '.join(TEAMS)} to authenticator")
    await owner.execute(f"alter role {TEAMS[1]} set statement_timeout = {HASTY_MILLISECONDS}")
    for queue in queues:
        await _create(owner, queue)
    for statement in visits.SQL:
        await owner.execute(statement)
    await owner.execute(
        f"create trigger arrive before insert on pgmq.q_{TRACED} for each row execute function public.arrive();"
        f"create constraint trigger depart after insert on pgmq.q_{TRACED} deferrable initially deferred"
        " for each row execute function public.depart()"
    )


async def lay_leased(owner: Connection) -> None:
    """Create queues with settings and the same policies. The roles must exist."""
    for queue, settings in leased.SETTINGS.items():
        await _create(owner, queue)
        await owner.execute("select pgmq_admin.set_queue_settings($1, $2::text::jsonb)", queue, json.dumps(settings))


async def _create(owner: Connection, queue: str) -> None:
    await owner.execute("select pgmq_admin.create_queue($1)", queue)
    await owner.execute(f"select pgmq_admin.grant_queue($1, 'authenticated', '{OPERATIONS}')", queue)
    await owner.execute(f"alter table pgmq.a_{queue} enable row level security")
    for table in (f"q_{queue}", f"a_{queue}"):
        await owner.execute(f"create policy own on pgmq.{table} to authenticated using ({OWN}) with check ({OWN})")


async def sweep(owner: Connection) -> None:
    """Promote parked messages as the background does."""
    await owner.execute(
        "select pgmq_settings.sweep_groups(s.queue_table, s.group_limit, '', clock_timestamp() + interval '1 minute')"
        " from pgmq_settings.queues as s where s.group_limit is not null"
    )


async def rest(owner: Connection, queue: str) -> Rest:
    """The messages of a queue and its archive."""
    waiting, archived = [
        [
            Left(row["msg_id"], row["read_ct"], json.loads(row["message"]), json.loads(row["headers"]), row["parked"])
            for row in await owner.fetch(
                "select msg_id, read_ct, message::text, coalesce(headers, '{}')::text as headers,"
                f" vt = 'infinity' as parked from pgmq.{quote(table + queue)}"
            )
        ]
        for table in ("q_", "a_")
    ]
    return Rest(waiting, archived)


async def departures(owner: Connection) -> list[str]:
    """Rows that triggers wrote because they ran for one identity with what another had left."""
    rows = await owner.fetch("select found_by, seen, owner from public.departures")
    return [f"{row['found_by']} of {row['owner']} found {row['seen']}" for row in rows]


async def deadlocks(owner: Connection) -> int:
    """Deadlocks since the last call of this function or the last crash."""
    count = await owner.fetchval("select deadlocks from pg_stat_database where datname = current_database()")
    await owner.execute("select pg_stat_reset()")
    return int(count)


async def clear(owner: Connection, queues: Sequence[str] = QUEUES) -> None:
    """Delete all messages; ids continue."""
    tables = ["public.visitors", "public.departures", *(f"pgmq.{kind}_{queue}" for queue in queues for kind in "qa")]
    await owner.execute(f"truncate {', '.join(tables)}")


async def visible(owner: Connection, queues: Sequence[str] = QUEUES) -> None:
    """Wait until all leases have expired."""
    for queue in queues:
        query = (
            f"select extract(epoch from max(vt) - clock_timestamp())::float8 from pgmq.q_{queue} where vt < 'infinity'"
        )
        left = await owner.fetchval(query)
        # No client runs any more, so leases are not extended.
        await asyncio.sleep(0 if left is None else max(0, left + POLL_SECONDS))


async def quiet(owner: Connection) -> None:
    """Wait until the gateways' connections are closed. Raises BenchError."""
    query = (
        "select string_agg(concat_ws(' ', pid, state, wait_event, state_change, left(query, 100)), '; ')"
        " from pg_stat_activity where usename = 'authenticator'"
    )
    for _ in range(int(RECOVERY_TIMEOUT_SECONDS / POLL_SECONDS)):
        if (left := await owner.fetchval(query)) is None:
            return
        await asyncio.sleep(POLL_SECONDS)
    raise BenchError(f"open connections although no gateway runs: {left}")


@asynccontextmanager
async def owning(uri: str) -> AsyncIterator[Connection]:
    """A connection of the owner, once the database accepts one."""
    deadline = asyncio.get_running_loop().time() + RECOVERY_TIMEOUT_SECONDS
    while True:
        try:
            connection = await asyncpg.connect(uri, timeout=CONNECT_TIMEOUT_SECONDS)
            break
        except LOST as error:
            if asyncio.get_running_loop().time() > deadline:
                raise BenchError(f"the database did not recover: {error}") from None
            await asyncio.sleep(POLL_SECONDS)
    try:
        yield connection
    finally:
        connection.terminate()
