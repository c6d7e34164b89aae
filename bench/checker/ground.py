"""The queues that the checker works on, as their owner sees them: made, looked into, emptied."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from bench.checker.history import Left, Rest
from bench.checker.people import TEAMS
from bench.measurement import BenchError
from pgmq_gateway.calls.statement import quote
from pgmq_gateway.database.driver import BROKEN, Connection

# Nothing is popped from the first, so that there no loss can be explained by a pop whose answer was lost.
QUEUES = ("work", "takes")

OPERATIONS = "{send, read, pop, archive, delete}"
OWN = "message->>'owner' = coalesce(current_setting('request.jwt.claims', true)::json->>'sub', current_user)"
HASTY_MILLISECONDS = 150

# What a connection says whose server is killed.
LOST = (asyncpg.PostgresError, *BROKEN)

CONNECT_SECONDS = 10
PATIENCE_SECONDS = 60
POLL_SECONDS = 0.05


async def lay(owner: Connection, queues: Sequence[str] = QUEUES) -> None:
    """Make queues on which a message belongs to the identity that it names, by claim or by role."""
    for team in TEAMS:
        if not await owner.fetchval("select exists(select from pg_roles where rolname = $1)", team):
            await owner.execute(f"create role {team} nologin inherit in role authenticated")
    await owner.execute(f"grant {', '.join(TEAMS)} to authenticator")
    await owner.execute(f"alter role {TEAMS[1]} set statement_timeout = {HASTY_MILLISECONDS}")
    for queue in queues:
        await owner.execute("select pgmq_admin.create_queue($1)", queue)
        await owner.execute(f"select pgmq_admin.grant_queue($1, 'authenticated', '{OPERATIONS}')", queue)
        await owner.execute(f"alter table pgmq.a_{queue} enable row level security")
        for table in (f"q_{queue}", f"a_{queue}"):
            await owner.execute(f"create policy own on pgmq.{table} to authenticated using ({OWN}) with check ({OWN})")


async def rest(owner: Connection, queue: str) -> Rest:
    """What a queue and its archive hold."""
    waiting, archived = [
        [
            Left(row["msg_id"], row["read_ct"], json.loads(row["message"]))
            for row in await owner.fetch(f"select msg_id, read_ct, message::text from pgmq.{quote(table + queue)}")
        ]
        for table in ("q_", "a_")
    ]
    return Rest(waiting, archived)


async def clear(owner: Connection, queues: Sequence[str] = QUEUES) -> None:
    """Empty them; ids go on."""
    await owner.execute(f"truncate {', '.join(f'pgmq.q_{queue}, pgmq.a_{queue}' for queue in queues)}")


async def visible(owner: Connection, queues: Sequence[str] = QUEUES) -> None:
    """Wait until no message is leased any more."""
    for queue in queues:
        query = f"select extract(epoch from max(vt) - clock_timestamp())::float8 from pgmq.q_{queue}"
        left = await owner.fetchval(query)
        # Nobody works any more, so this does not get later.
        await asyncio.sleep(0 if left is None else max(0, left + POLL_SECONDS))


async def quiet(owner: Connection) -> None:
    """Wait until no connection of a gateway's is left, so that nothing happens any more. Raises BenchError."""
    query = (
        "select string_agg(concat_ws(' ', pid, state, wait_event, state_change, left(query, 100)), '; ')"
        " from pg_stat_activity where usename = 'authenticator'"
    )
    for _ in range(int(PATIENCE_SECONDS / POLL_SECONDS)):
        if (left := await owner.fetchval(query)) is None:
            return
        await asyncio.sleep(POLL_SECONDS)
    raise BenchError(f"connections are left although no gateway runs: {left}")


@asynccontextmanager
async def owning(uri: str) -> AsyncIterator[Connection]:
    """A connection of the owner's, as soon as the database lets anybody in."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while True:
        try:
            connection = await asyncpg.connect(uri, timeout=CONNECT_SECONDS)
            break
        except LOST as error:
            if asyncio.get_running_loop().time() > deadline:
                raise BenchError(f"the database does not come back: {error}") from None
            await asyncio.sleep(POLL_SECONDS)
    try:
        yield connection
    finally:
        connection.terminate()
