"""Requests that somebody could tell apart have transactions of their own: settings, notifications, locks, triggers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import httpx
import psycopg
import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.gateways import RunningGateway, running_gateway
from tests.integration import tenants
from tests.integration.crowd import GATE, HOLD, PATIENT, Crowd, address, crowd_of
from tests.integration.tenants import KEYS, NONE, TENANT, Key
from tests.waiting import until_async

GATEWAY = PATIENT | {"PGRST_DB_POOL": "2", "PGMQ_GATEWAY_TRUSTED_PROXIES": "127.0.0.1"}

CLIENT = "current_setting('request.headers')::json->>'x-client'"
FUNCTIONS = (
    HOLD,
    *tenants.FUNCTIONS,
    "create table public.counters (id int primary key, n int not null default 0);"
    "insert into public.counters select generate_series(1, 20); grant all on public.counters to public",
    "create function public.count(counter int) returns void volatile language sql as "
    "'update public.counters set n = n + 1 where id = counter'",
    "create table public.audit (client text, row_of text); grant all on public.audit to public",
    "create function public.audit() returns trigger language plpgsql as "
    f"$f$ begin insert into public.audit values ({CLIENT}, to_jsonb(new)->'message'->>'client'); return null; end $f$",
    "create table public.orders (message jsonb); grant all on public.orders to public;"
    "create constraint trigger audit after insert on public.orders deferrable initially deferred"
    " for each row execute function public.audit()",
    "create function public.order(client text) returns void volatile language sql as "
    "$f$ insert into public.orders values (jsonb_build_object('client', client)) $f$",
    "create function public.announce() returns text volatile language sql as "
    "$f$ select pg_current_xact_id()::text from pg_notify('announced', 'x') $f$",
    "create function public.rest() returns void volatile language sql as "
    f"'select pg_advisory_xact_lock_shared({GATE})'",
    # A session reports what it has counted at once, not within a second. Before Postgres 15, it always does.
    "create function public.report_counters() returns void volatile language plpgsql as $f$ begin"
    " if to_regprocedure('pg_catalog.pg_stat_force_next_flush()') is not null then"
    " execute 'select pg_catalog.pg_stat_force_next_flush()'; end if;"
    f" perform pg_advisory_xact_lock_shared({GATE}); end $f$",
    "create table public.trace (who text); grant all on public.trace to public",
    "create function public.note(who text) returns void volatile language sql as "
    "'insert into public.trace values (who)'",
)


@pytest.fixture(scope="module")
def gateway(gateway: RunningGateway) -> RunningGateway:
    """A gateway with two connections, and functions and tables as users make them."""
    gateway.define(*FUNCTIONS)
    return gateway


@pytest.fixture
async def crowd(gateway: RunningGateway) -> AsyncIterator[Crowd]:
    """Its anonymous callers."""
    async with crowd_of(gateway, connections=2) as crowd:
        yield crowd
        await crowd.waiting(0)


@pytest.fixture(scope="module")
def prepared(
    gateway: RunningGateway, directory: DataDirectory, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """A gateway with one connection and a db-pre-request on the same database."""
    ((database,),) = gateway.sql("select current_database()")
    settings = {"PGRST_DB_POOL": "1", "PGRST_DB_PRE_REQUEST": "public.take_tenant"}
    with running_gateway(directory, database, tmp_path_factory.mktemp("prepared") / "log", settings) as running:
        yield running


@pytest.fixture
async def alone(prepared: RunningGateway) -> AsyncIterator[Crowd]:
    """The anonymous callers of a gateway with one connection and a db-pre-request."""
    async with crowd_of(prepared) as crowd:
        yield crowd
        await crowd.waiting(0)


@pytest.fixture
def shop(gateway: RunningGateway) -> str:
    """A queue for one test, that anonymous callers use."""
    return tenants.create_queue(gateway.sql)


def alternating(key: Key) -> list[Key]:
    """Requests of a tenant, each followed by one without a tenant."""
    return [key, NONE] * 8


def tenants_of(answers: list[httpx.Response]) -> list[list[str]]:
    """The tenants whose rows each response has."""
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    return [[row["message"]["tenant"] if isinstance(row, dict) else row for row in answer.json()] for answer in answers]


OWN_ROWS = [[TENANT], []] * 8


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
async def test_n1_a_setting_of_a_function_reaches_no_other_request(crowd: Crowd, key: Key) -> None:
    answers = await crowd.together(*(tenants.notes(crowd, one) for one in alternating(key)))
    assert tenants_of(answers) == OWN_ROWS


@pytest.mark.parametrize("key", [KEYS["header"], KEYS["cookie"], KEYS["path"]], ids=["header", "cookie", "path"])
async def test_n1_a_setting_of_a_pre_request_reaches_no_other_request(alone: Crowd, key: Key) -> None:
    answers = await alone.together(*(tenants.notes(alone, one, "mere_notes") for one in alternating(key)))
    assert tenants_of(answers) == OWN_ROWS


PLACES = {
    "trigger": (
        "create or replace function public.stamp() returns trigger language plpgsql as"
        " $f$ begin new.tenant := public.tenant(new.message->>'named'); return new; end $f$;"
        "alter table pgmq.q_{0} add column tenant text;"
        "create trigger stamp before insert on pgmq.q_{0} for each row execute function public.stamp()"
    ),
    "default": "alter table pgmq.q_{0} add column tenant text default public.tenant()",
}


@pytest.mark.parametrize(
    ("place", "key"),
    [(place, key) for place in PLACES for key in KEYS if (place, key) != ("default", "argument")],
)
async def test_n1_a_setting_of_a_send_reaches_no_other_request(crowd: Crowd, shop: str, place: str, key: str) -> None:
    crowd.sql(PLACES[place].format(shop))
    crowd.sql(f"create policy everybody on pgmq.q_{shop} to anon using (true)")
    await assert_each_has_its_tenant(crowd, shop, KEYS[key])
    await until_judged(crowd)
    await assert_each_has_its_tenant(crowd, shop, KEYS[key])


@pytest.mark.parametrize("place", PLACES)
async def test_n1_a_queue_that_changes_shares_no_longer(crowd: Crowd, shop: str, place: str) -> None:
    await until_shared(crowd, shop)
    crowd.sql(f"delete from pgmq.q_{shop}; " + PLACES[place].format(shop))
    for _ in range(2):
        await assert_each_has_its_tenant(crowd, shop, KEYS["header"])


async def until_shared(crowd: Crowd, queue: str) -> None:
    """Send to a queue, and allow it, until transactions are shared."""
    crowd.sql(f"create policy everybody on pgmq.q_{queue} to anon using (true)")

    async def shared() -> bool:
        await crowd.together(*(tenants.send(crowd, queue, NONE, {}) for _ in range(8)))
        return crowd.sql(f"select count(distinct xmin::text) < count(*) from pgmq.q_{queue}") == [(True,)]

    await until_async(shared)


async def until_judged(crowd: Crowd) -> None:
    """Wait until the gateway has judged what was called before: it judges in order."""
    await until_shared(crowd, tenants.create_queue(crowd.sql))


async def assert_each_has_its_tenant(crowd: Crowd, queue: str, key: Key) -> None:
    """Send messages that name a tenant by this key and others that name none, and assert what was stored with them."""
    crowd.sql(f"delete from pgmq.q_{queue}")
    asked = alternating(key)
    answers = await crowd.together(*(tenants.send(crowd, queue, one, {"named_one": one is not NONE}) for one in asked))
    assert {answer.is_success for answer in answers} == {True}, [answer.text for answer in answers]
    rows = crowd.sql(f"select tenant, (message->>'named_one')::boolean from pgmq.q_{queue}")
    assert sorted(rows, key=str) == [(TENANT, True)] * 8 + [(None, False)] * 8


@pytest.mark.parametrize("key", [KEYS["header"], KEYS["cookie"], KEYS["path"]], ids=["header", "cookie", "path"])
async def test_n1_a_setting_of_a_policy_reaches_no_other_request(crowd: Crowd, shop: str, key: Key) -> None:
    crowd.sql("select pgmq.send(%s, %s::jsonb)", shop, f'{{"tenant": "{TENANT}"}}')
    crowd.sql(f"create policy own on pgmq.q_{shop} to anon using (message->>'tenant' = public.tenant())")
    for _ in range(2):
        answers = await crowd.together(*(tenants.read(crowd, shop, one) for one in alternating(key)))
        assert tenants_of(answers) == OWN_ROWS
        await until_judged(crowd)


@contextlib.asynccontextmanager
async def no_deadlocks(crowd: Crowd) -> AsyncIterator[None]:
    """Postgres must not detect a deadlock in this block."""
    count = "select deadlocks from pg_stat_database where datname = current_database()"
    before = crowd.sql(count)
    yield
    async with crowd.gate():
        reports = [asyncio.create_task(crowd.call("report_counters", headers=address(n))) for n in range(2)]
        await until_async(lambda: crowd.blocked(GATE) == 2)
    assert [(await report).status_code for report in reports] == [204, 204]
    assert crowd.sql(count) == before


async def test_n2_updates_of_single_rows_do_not_deadlock(crowd: Crowd) -> None:
    there = [*range(1, 17)] * 2
    async with no_deadlocks(crowd):
        for _ in range(2):
            calls = (crowd.call("count", {"counter": n}, address(n)) for n in there + there[::-1])
            answers = await crowd.together(*calls)
            assert {answer.status_code for answer in answers} == {204}
    assert crowd.sql("select sum(n), max(n) from public.counters") == [(128, 8)]


async def test_n2_sends_to_queues_with_notifications_do_not_deadlock(gateway: RunningGateway, crowd: Crowd) -> None:
    queues = [tenants.create_queue(gateway.sql) for _ in range(6)]
    for name in queues:
        gateway.sql("select pgmq_admin.enable_notify(%s, 0)", name)
        gateway.sql(f"create policy everybody on pgmq.q_{name} to anon using (true)")
    async with no_deadlocks(crowd):
        for _ in range(2):
            asked = (queues * 6)[:32]
            calls = enumerate(asked + asked[::-1])
            answers = await crowd.together(*(tenants.send(crowd, name, Key(address(n % 8)), {}) for n, name in calls))
            assert {answer.status_code for answer in answers} == {200}
    assert [gateway.sql(f"select count(*) from pgmq.q_{name}") for name in queues] == [
        [(4 * asked.count(name),)] for name in queues
    ]


async def test_n3_slow_calls_run_side_by_side(crowd: Crowd) -> None:
    async with crowd.gate():
        async with crowd.busy():
            slow = await crowd.in_turn(*(crowd.call("rest", headers=address(n)) for n in range(2)))
        await until_async(lambda: crowd.blocked(GATE) == 2)
    assert [(await one).status_code for one in slow] == [204, 204]


async def test_n3_a_call_behind_a_slow_one_does_not_run_for_a_client_that_has_gone(alone: Crowd) -> None:
    alone.sql("truncate public.trace")
    async with alone.gate():
        async with alone.busy():
            slow, *gone, kept = await alone.in_turn(
                alone.call("rest"), *(alone.call("note", {"who": "gone"}) for _ in range(4)),
                alone.call("note", {"who": "kept"}),
            )  # fmt: skip
        await until_async(lambda: alone.blocked(GATE) == 1)
        for one in gone:
            one.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        # The gateway notices the disconnects before the next request on a new connection.
        assert (await alone.client.post("/rpc/nothing")).status_code == 404
    assert [(await one).status_code for one in (slow, kept)] == [204, 204]
    assert alone.sql("select who from public.trace") == [("kept",)]


async def test_n4_a_deferred_trigger_sees_its_own_request(crowd: Crowd, shop: str) -> None:
    crowd.sql(
        f"truncate public.audit; create policy everybody on pgmq.q_{shop} to anon using (true);"
        f"create constraint trigger audit after insert on pgmq.q_{shop} deferrable initially deferred"
        " for each row execute function public.audit()"
    )
    clients = [str(number) for number in range(16)]
    for _ in range(2):
        answers = await crowd.together(
            *(crowd.call("order", {"client": name}, {"X-Client": name}) for name in clients),
            *(tenants.send(crowd, shop, Key({"X-Client": f"q{name}"}), {"client": f"q{name}"}) for name in clients),
        )
        assert {answer.is_success for answer in answers} == {True}
        await until_judged(crowd)
    seen = [*clients, *(f"q{name}" for name in clients)] * 2
    assert sorted(crowd.sql("select client, row_of from public.audit")) == sorted((name, name) for name in seen)


async def test_n4_each_call_has_its_notification_and_its_transaction_id(crowd: Crowd, directory: DataDirectory) -> None:
    ((database,),) = crowd.sql("select current_database()")
    with psycopg.connect(socket_uri(directory, database=database), autocommit=True) as listener:
        listener.execute("listen announced")
        answers = await crowd.together(*(crowd.call("announce") for _ in range(40)))
        assert len({answer.json() for answer in answers}) == 40
        # Notifications arrive in the order of the commits.
        crowd.sql("notify announced, 'end'")
        received = [one.payload for one in listener.notifies(timeout=30, stop_after=41)]
    assert received == ["x"] * 40 + ["end"]
