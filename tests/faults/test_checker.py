"""Short runs of the checker and the isolation test: no false alarms, and planted faults are found."""

import asyncio
import itertools
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from bench import isolation
from bench.checker import ground, leased, site
from bench.checker.consumers import MOVES as CONSUMER_MOVES
from bench.checker.consumers import Consumer
from bench.checker.history import SERVED_SECONDS, History
from bench.checker.lease_model import judge_leases
from bench.checker.model import Promise, Violation, judge
from bench.checker.people import TEAMS, people
from bench.checker.rounds import FLOOD_MESSAGES
from bench.checker.turns import PATIENCE_SECONDS, delays
from bench.checker.visits import ROWS, VISIT
from bench.checker.wait_model import judge_waits
from bench.checker.waits import WAIT_SECONDS, serve
from bench.checker.workload import MOVES, Client, Plan, flood, work
from bench.isolation import FUNCTIONS, Tally, load
from pgmq_gateway.auth.signing import token
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.install.installer import install
from tests import server
from tests.faults.lease_plants import LEASE_PLANTS, Plant
from tests.gateways import RunningGateway

GATEWAY = {"PGRST_DB_POOL": "4", "PGRST_JWT_SECRET": site.SECRET}

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
    "two calls lock two rows in any order": (
        "create or replace function pgmq_public.visit(kind text) returns json language plpgsql as $f$ begin"
        " for place in 1..2 loop update public.counters set n = n + 1"
        f" where id = (select floor({ROWS} * random())::int); perform pg_sleep(0.001); end loop;"
        " return json_build_object('transaction', random()::text, 'local', '{}'::text[], 'session', '{}'::text[]);"
        " end $f$",
        Promise.DEADLOCKED,
    ),
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
            await ground.lay_leased(owner)

    asyncio.run(lay())
    gateway.define(*FUNCTIONS)
    yield uri
    # Roles belong to the whole server, and other tests list privileges.
    for team in TEAMS:
        gateway.sql(f"drop owned by {team}")
        gateway.sql(f"drop role {team}")


@pytest.fixture
def owner(laid: str) -> Iterator[str]:
    """The same for one test, restored afterwards."""
    yield laid
    asyncio.run(restore(laid))


async def restore(owner: str) -> None:
    """Install the functions again, and empty the queues."""
    async with ground.owning(owner) as connection:
        await install(connection, replace=True)
        for statement in FUNCTIONS:
            await connection.execute(statement)
        await connection.execute(VISIT)
        await connection.execute("drop policy if exists everybody on pgmq.q_work")
        await ground.clear(connection)


@dataclass(frozen=True)
class Clients:
    """A kind of clients, and how their history is judged."""

    kind: type[Client]
    queues: Sequence[str]
    tables: Iterable[str]
    moves: Mapping[str, int]
    users: int
    judge: Callable[[History], list[Violation]]


PUBLIC = Clients(Client, ground.QUEUES, ground.QUEUES, MOVES, 3, judge)
LEASES = Clients(Consumer, leased.CONSUMED, leased.SETTINGS, CONSUMER_MOVES, 1, judge_leases)
STREAMS = replace(LEASES, queues=[leased.TASKS], moves={"send": 16, "entries": 3, "stream": 1})


async def play(url: str, owner: str, wanted: Promise | None, clients: Clients = PUBLIC) -> set[Promise]:
    """The violations found, until the wanted one is; without one, after some calls."""
    history = History()
    plan = Plan(
        [url],
        people(site.SECRET.encode(), clients.users, teams=False),
        clients.queues,
        leases=(1, 1),
        patience=30,
        calm=True,
        moves=clients.moves,
    )
    found: set[Promise] = set()
    end = time.monotonic() + (DETECTION_TIMEOUT_SECONDS if wanted else 0)
    for look in itertools.count(1):
        await work(plan, history, look, 6, lambda: len(history.calls) >= look * CALLS_PER_CHECK, clients.kind)  # noqa: B023 awaited here
        async with ground.owning(owner) as connection:
            history.rest = {queue: await ground.rest(connection, queue) for queue in clients.tables}
            history.deadlocks = await ground.deadlocks(connection)
        found = {violation.promise for violation in clients.judge(history)}
        if wanted in found or time.monotonic() > end:
            break
    return found


@pytest.mark.parametrize(("plant", "promise"), PLANTS.values(), ids=PLANTS)
def test_planted_faults_are_found(gateway: RunningGateway, owner: str, plant: str, promise: Promise) -> None:
    gateway.sql(plant)
    assert promise in asyncio.run(play(gateway.server.url, owner, promise))


def test_a_correct_queue_has_no_violations(gateway: RunningGateway, owner: str) -> None:
    assert asyncio.run(play(gateway.server.url, owner, None)) == set()


@pytest.fixture
def planted(gateway: RunningGateway, laid: str, plant: Plant) -> Iterator[str]:
    """The URI of the owner of a database with a fault in a function, which is then restored."""
    ((source,),) = gateway.sql("select pg_get_functiondef(%s::regproc)", plant.function)
    assert isinstance(source, str)
    assert source.count(plant.part) == 1
    gateway.define(source.replace(plant.part, plant.wrong))
    yield laid
    gateway.define(source)
    asyncio.run(emptied(laid))


async def emptied(owner: str) -> None:
    """Empty the queues with settings."""
    async with ground.owning(owner) as connection:
        await ground.clear(connection, list(leased.SETTINGS))


@pytest.mark.parametrize("plant", LEASE_PLANTS.values(), ids=LEASE_PLANTS)
def test_78_planted_faults_of_leases_are_found(gateway: RunningGateway, planted: str, plant: Plant) -> None:
    """Receipts, dead letters, groups, deduplication and keys."""
    assert plant.promise in asyncio.run(play(gateway.server.url, planted, plant.promise, LEASES))


def test_78_correct_leases_have_no_violations(gateway: RunningGateway, laid: str) -> None:
    assert asyncio.run(play(gateway.server.url, laid, None, LEASES)) == set()


@pytest.mark.usefixtures("owner")
def test_calls_share_on_all_queues_but_the_traced_one(gateway: RunningGateway) -> None:
    """On the others, identities that differ by a header only meet in one transaction."""
    for queue in ground.QUEUES:
        ((obstacles,),) = gateway.sql("select obstacles from pgmq_gateway.judgement(%s, 'read')", queue)
        assert bool(obstacles) == (queue == ground.TRACED), obstacles


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
    """Calls of many identities, until there were all kinds and shared sends, or a leak is found."""
    tally, end = Tally(), time.monotonic() + DETECTION_TIMEOUT_SECONDS

    async def run() -> None:
        for rounds in itertools.count(1):
            enough = partial(over, 400 * rounds)
            await load([url], tally, 1, 20, 4, 8, enough)
            async with ground.owning(owner) as connection:
                await isolation.purge(connection, tally, kept="0")
            enough_seen = tally.fused and {move for move, _ in tally.calls} == set(isolation.MOVES)
            if enough_seen or tally.leaks or time.monotonic() > end:
                return

    def over(calls: int) -> bool:
        return tally.total >= calls or bool(tally.leaks)

    asyncio.run(run())
    return tally


def test_f40_shared_transactions_leak_nothing_between_callers(gateway: RunningGateway, owner: str) -> None:
    tally = callers(gateway.server.url, owner)
    assert tally.leaks == []
    assert 0 < tally.fused <= tally.shared <= tally.stored
    assert {move for move, _ in tally.calls} == set(isolation.MOVES)
    assert gateway.sql("select count(*) from pgmq.q_work") == [(0,)]


def test_planted_leaks_are_found(gateway: RunningGateway, owner: str) -> None:
    gateway.sql("alter function pgmq_public.read(text, integer, integer) security definer")
    assert callers(gateway.server.url, owner).leaks


def test_the_loss_of_one_send_in_a_thousand_is_found(gateway: RunningGateway, owner: str) -> None:
    gateway.sql(SEND.format(STORE + "if id % 1000 = 0 then perform pgmq.delete(queue_name, id); end if;"))
    plan = Plan([gateway.server.url], people(site.SECRET.encode(), 3, teams=False), ground.QUEUES, patience=30)
    assert Promise.LOST in asyncio.run(flooded(plan, owner, "work", FLOOD_MESSAGES))


async def flooded(plan: Plan, owner: str, queue: str, number: int) -> dict[Promise, str]:
    """The violations after sends to a queue, with their texts."""
    history = History()
    await flood(plan, history, queue, number)
    async with ground.owning(owner) as connection:
        history.rest = {queue: await ground.rest(connection, queue)}
        history.departures = await ground.departures(connection)
    texts: defaultdict[Promise, str] = defaultdict(str)
    for violation in judge(history):
        texts[violation.promise] += violation.text + "\n"
    return texts


# The judgement of a queue that finds no obstacle, so that calls share where others can notice.
BLIND = """
create or replace function pgmq_gateway.judgement(
    queue_name text, function_name text,
    out obstacles text[], out relations oid[], out functions text[], out fingerprint text, out fusion json
) language plpgsql stable as $f$ begin
    obstacles := '{}'; relations := '{}'; functions := '{}';
    fingerprint := pgmq_gateway.fingerprint(relations, functions);
end $f$
"""
# First come, first served; and connections that nobody cleans.
UNFAIR = """
from pgmq_gateway.calls.fairness import FairQueue
from pgmq_gateway.database.driver import GatewayConnection
flow, _ = FairQueue.flow, GatewayConnection.is_clean_for
FairQueue.flow = lambda queue, key: flow(queue, "everybody")
GatewayConnection.is_clean_for = lambda *_: True
"""
# One call at a time.
SERIAL = """
import asyncio
from pgmq_gateway.calls.batching import AdmissionQueue
lock, execute = asyncio.Lock(), AdmissionQueue.execute
async def one_by_one(*given):
    async with lock:
        return await execute(*given)
AdmissionQueue.execute = one_by_one
"""
# Nobody is woken, and settled messages are not needed for further ones.
DEAF = """
from pgmq_gateway.waiting.credit import Credit
from pgmq_gateway.waiting.waiter_group import WaiterGroup
WaiterGroup.wake = lambda *_: None
Credit.left = property(lambda credit: credit._limit)
"""
# With the seconds that a wait lasts, and those in which it must be served.
SHORT_WAIT = (2, 0.5)
CONNECTIONS = 4


@contextmanager
def patched(patch: str, owner: str, folder: Path) -> Iterator[str]:
    """The URL of a gateway with a fault in its code, on the database of this owner."""
    program = folder / "pgmq-gateway"
    program.write_text(f"#!{sys.executable}\n{patch}\nfrom pgmq_gateway.cli.main import main\nmain()\n")
    program.chmod(0o755)
    uri = owner.replace("postgres@", "authenticator@")
    env = {**GATEWAY, "PGRST_DB_URI": uri, "PGRST_DB_POOL": str(CONNECTIONS)}
    running = server.start(folder / "log", env=env, program=program)
    try:
        yield running.url
    finally:
        running.stop()


async def delayed(url: str, owner: str, patience: float) -> list[str]:
    quiet, noisy = (token(site.SECRET.encode(), "authenticated", {"sub": sub}, 3600) for sub in ("quiet", "noisy"))
    async with ground.owning(owner) as connection:
        return await delays(connection, url, CONNECTIONS, quiet, noisy, patience)


@pytest.fixture
def faulty(owner: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a gateway that is neither fair nor clean, and shares where others can notice."""

    async def blind() -> None:
        async with ground.owning(owner) as connection:
            await connection.execute(BLIND)

    asyncio.run(blind())
    with patched(UNFAIR, owner, tmp_path) as url:
        yield url


def test_planted_faults_of_the_gateway_are_found(faulty: str, owner: str) -> None:
    """One gateway for all of them, because it takes long to start."""
    assert any("a quiet caller waited" in one for one in asyncio.run(delayed(faulty, owner, PATIENCE_SECONDS)))
    guests = people(site.SECRET.encode(), 0, teams=False)
    plan, found = Plan([faulty], guests, ground.QUEUES, patience=30), ""
    end = time.monotonic() + DETECTION_TIMEOUT_SECONDS
    while ("a deferred trigger" not in found or "a setting" not in found) and time.monotonic() < end:
        found += asyncio.run(flooded(plan, owner, ground.TRACED, 100))[Promise.NOTICED]
    assert "a deferred trigger" in found
    assert "a setting of the transaction" in found
    assert any("received" in leak for leak in callers(faulty, owner).leaks)


def test_calls_that_run_one_by_one_are_found(owner: str, tmp_path: Path) -> None:
    with patched(SERIAL, owner, tmp_path) as url:
        assert asyncio.run(delayed(url, owner, 1)) != []


async def served(url: str, owner: str, seconds: int, within: float) -> set[Promise]:
    """The violations after waits that must be served within some seconds."""
    history = History(served=within)
    plan = Plan([url], people(site.SECRET.encode(), 0, teams=False), ground.QUEUES, patience=30, calm=True)
    async with ground.owning(owner) as connection:
        await serve(plan, history, connection, ground.QUEUES[0], seconds)
        history.rest = {queue: await ground.rest(connection, queue) for queue in plan.queues}
    return {violation.promise for violation in judge(history) + judge_waits(history)}


def test_planted_faults_of_waits_and_streams_are_found(owner: str, tmp_path: Path) -> None:
    with patched(DEAF, owner, tmp_path) as url:
        end = time.monotonic() + DETECTION_TIMEOUT_SECONDS
        while Promise.UNSERVED not in asyncio.run(served(url, owner, *SHORT_WAIT)):
            assert time.monotonic() < end
        assert Promise.OVERDRAWN in asyncio.run(play(url, owner, Promise.OVERDRAWN, STREAMS))
    asyncio.run(emptied(owner))


def test_all_waits_are_served(gateway: RunningGateway, owner: str) -> None:
    assert asyncio.run(served(gateway.server.url, owner, WAIT_SECONDS, SERVED_SECONDS)) == set()


def test_n5_a_gateway_delays_no_call_behind_slow_or_noisy_ones(gateway: RunningGateway, owner: str) -> None:
    assert asyncio.run(delayed(gateway.server.url, owner, PATIENCE_SECONDS)) == []
