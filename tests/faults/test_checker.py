"""Short runs of the checker and the isolation test: no false alarms, and planted faults are found."""

import asyncio
import itertools
import re
import subprocess
import sys
import time
from collections.abc import Iterator

import asyncpg
import pytest

from bench import isolation
from bench.checker import ground, site
from bench.checker.history import History
from bench.checker.model import Promise, judge
from bench.checker.people import TEAMS, people
from bench.checker.workload import Plan, work
from bench.isolation import FUNCTIONS, LOOK, Tally, load
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.install.installer import install
from tests.gateways import RunningGateway

GATEWAY = {"PGRST_DB_POOL": "2", "PGRST_JWT_SECRET": site.SECRET}

# Calls between two checks, and the time in which a fault must be found: leases must expire meanwhile.
CALLS_PER_CHECK, DETECTION_TIMEOUT_SECONDS = 120, 60

SEND = """
create or replace function pgmq_public.send(queue_name text, message jsonb, sleep_seconds integer default 0)
returns setof bigint language plpgsql as $f$ declare id bigint; begin
    {}
end $f$
"""
STORE = "select s into id from pgmq.send(queue_name, message) as s; return next id;"
READ = """
create or replace function pgmq_public.read(queue_name text, sleep_seconds integer, n integer)
returns setof pgmq.message_record language plpgsql as $f$ begin
    return query select msg_id, {}, enqueued_at, last_read_at, vt, {}, headers
    from pgmq.read(queue_name, {}, n);
end $f$
"""

PLANTS = {
    "send answers, and sometimes does not store": (
        SEND.format(STORE + "if id % 3 = 0 then perform pgmq.delete(queue_name, id); end if;"),
        Promise.LOST,
    ),
    "archive deletes": (
        "create or replace function pgmq_public.archive(queue_name text, message_id bigint) returns boolean"
        " language sql as 'select pgmq.delete(queue_name, message_id)'",
        Promise.LOST,
    ),
    "delete answers false": (
        "create or replace function pgmq_public.delete(queue_name text, message_id bigint) returns boolean"
        " language sql as 'select false'",
        Promise.LOST,
    ),
    "read leases for no time": (READ.format("read_ct", "message", "0"), Promise.SHARED),
    "read runs as its owner": (
        "alter function pgmq_public.read(text, integer, integer) security definer",
        Promise.STRANGER,
    ),
    "a policy lets everybody in": (
        "create policy everybody on pgmq.q_work to authenticated using (true)",
        Promise.STRANGER,
    ),
    "delete answers true, and does nothing": (
        "create or replace function pgmq_public.delete(queue_name text, message_id bigint) returns boolean"
        " language sql as 'select true'",
        Promise.UNDEAD,
    ),
    "pop leaves the message there": (
        "create or replace function pgmq_public.pop(queue_name text) returns setof pgmq.message_record"
        " language sql as 'select * from pgmq.read(queue_name, 0, 1)'",
        Promise.UNDEAD,
    ),
    "read answers something else": (
        READ.format("read_ct", """message || '{"text": ""}'""", "sleep_seconds"),
        Promise.INVENTED,
    ),
    "send stores twice": (SEND.format("perform pgmq.send(queue_name, message);" + STORE), Promise.DOUBLED),
    "send_batch stores the first half": (
        "create or replace function pgmq_public.send_batch("
        "queue_name text, messages jsonb[], sleep_seconds integer default 0) returns setof bigint language sql as"
        " 'select * from pgmq.send_batch(queue_name, messages[1:(cardinality(messages) + 1) / 2])'",
        Promise.HALVED,
    ),
    "send says that it has failed, and has not": (
        SEND.format(STORE + "perform set_config('response.status', '500', true);"),
        Promise.REFUSED,
    ),
    "read does not count": (READ.format("1", "message", "sleep_seconds"), Promise.UNCOUNTED),
}


@pytest.fixture(scope="module")
def laid(gateway: RunningGateway, directory: DataDirectory) -> Iterator[str]:
    """The URI of the owner of a database with the queues and functions of both runs."""
    ((name,),) = gateway.sql("select current_database()")
    uri = socket_uri(directory, database=name)

    async def lay() -> None:
        async with ground.owning(uri) as owner:
            await ground.lay(owner)

    asyncio.run(lay())
    gateway.define(*FUNCTIONS)
    yield uri
    # Roles belong to the whole server, and other tests list privileges.
    for team in TEAMS:
        gateway.sql(f"drop owned by {team}")
        gateway.sql(f"drop role {team}")


@pytest.fixture
def owner(gateway: RunningGateway, laid: str) -> Iterator[str]:
    """The same for one test, restored afterwards."""
    yield laid
    asyncio.run(replace_functions(laid))
    gateway.sql(LOOK)
    gateway.sql("drop policy if exists everybody on pgmq.q_work")

    async def clear() -> None:
        async with ground.owning(laid) as connection:
            await ground.clear(connection)

    asyncio.run(clear())


async def replace_functions(owner: str) -> None:
    """Install pgmq_public's functions again."""
    async with ground.owning(owner) as connection:
        await install(connection, replace=True)


async def play(url: str, owner: str, wanted: Promise | None) -> set[Promise]:
    """The violations found, until the wanted one is; without one, after some calls."""
    history = History()
    plan = Plan(
        [url], people(site.SECRET.encode(), 3, teams=False), ground.QUEUES, leases=(1, 1), patience=30, calm=True
    )
    found: set[Promise] = set()
    end = time.monotonic() + (DETECTION_TIMEOUT_SECONDS if wanted else 0)
    for look in itertools.count(1):
        await work(plan, history, look, 6, lambda: len(history.calls) >= look * CALLS_PER_CHECK)  # noqa: B023 awaited here
        async with ground.owning(owner) as connection:
            history.rest = {queue: await ground.rest(connection, queue) for queue in ground.QUEUES}
        found = {violation.promise for violation in judge(history)}
        if wanted in found or time.monotonic() > end:
            break
    return found


@pytest.mark.parametrize(("plant", "promise"), PLANTS.values(), ids=PLANTS)
def test_planted_faults_are_found(gateway: RunningGateway, owner: str, plant: str, promise: Promise) -> None:
    gateway.sql(plant)
    assert promise in asyncio.run(play(gateway.server.url, owner, promise))


def test_a_correct_queue_has_no_violations(gateway: RunningGateway, owner: str) -> None:
    assert asyncio.run(play(gateway.server.url, owner, None)) == set()


async def test_the_rest_is_the_contents_of_the_queue(gateway: RunningGateway, owner: str) -> None:
    gateway.sql("""select pgmq.send('work', '{"mark": 1}'), pgmq.send('work', '{"mark": 2}')""")
    ((number,),) = gateway.sql("select min(msg_id) from pgmq.q_work")
    gateway.sql("select pgmq.archive('work', %s)", number)
    connection = await asyncpg.connect(owner)
    rest = await ground.rest(connection, "work")
    await connection.close()
    assert [one.message for one in rest.waiting] == [{"mark": 2}]
    assert [(one.id, one.message) for one in rest.archived] == [(number, {"mark": 1})]


def test_f35_no_promise_is_broken_under_faults() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.checker", "--minutes", "0.07", "--gateways", "1,1", "--clients", "8"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^0 violations$", done.stdout, re.MULTILINE)
    # There were calls and faults.
    kinds = re.findall(r"^ +\d+ (?!\d)(.+)$", done.stdout, re.MULTILINE)
    assert len(kinds) >= 2, done.stdout
    (acknowledged,) = re.findall(r"([\d,]+) acknowledged", done.stdout)
    assert int(acknowledged.replace(",", "")) > 20


def callers(url: str, owner: str) -> Tally:
    tally = Tally()

    async def run() -> None:
        await load([url], tally, 1, 20, 4, 8, lambda: tally.total >= 400 or bool(tally.leaks))
        async with ground.owning(owner) as connection:
            await isolation.purge(connection, tally, kept="0")

    asyncio.run(run())
    return tally


def test_f40_shared_transactions_leak_nothing_between_callers(gateway: RunningGateway, owner: str) -> None:
    tally = callers(gateway.server.url, owner)
    assert tally.leaks == []
    assert 0 < tally.shared <= tally.stored
    assert {move for move, _ in tally.calls} == set(isolation.MOVES)
    assert gateway.sql("select count(*) from pgmq.q_work") == [(0,)]


def test_planted_leaks_are_found(gateway: RunningGateway, owner: str) -> None:
    gateway.sql("alter function pgmq_public.read(text, integer, integer) security definer")
    assert callers(gateway.server.url, owner).leaks
