"""The policy probe: which of many waiting callers see a new message, by the policies of its queue."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import msgspec
import psycopg
import pytest
from pydantic import SecretStr

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.call import Call, executable
from pgmq_gateway.calls.execution import Database
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.http.request import RequestSettings
from pgmq_gateway.settings.model import Settings
from pgmq_gateway.waiting import probes
from pgmq_gateway.waiting.counters import Counters
from pgmq_gateway.waiting.policy_probe import PolicyProbe, Sighting
from pgmq_gateway.waiting.probes import ProbeConnection, ProbeFailed
from pgmq_gateway.waiting.queue_probe import QueueProbe
from tests import databases
from tests.databases import Sql, runner
from tests.server import SECRET, TIMEOUT_SECONDS
from tests.waiting import until_async

# A test may be paused for this long between the send of a message and the probe.
WINDOW = 3600.0
USERS = [f"00000000-0000-0000-0000-{n:012d}" for n in range(12)]
UID = """
create schema auth; grant usage on schema auth to anon, authenticated;
create function auth.uid() returns uuid language sql stable as
    $$ select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$
"""
PER_ROW = "message ->> 'to' = auth.uid()::text"
SLOW = "(select count(*) from generate_series(1, 1000000000)) > 0"
PER_STATEMENT = "message ->> 'to' = (select auth.uid())::text"

PROBING = (
    "select pid from pg_stat_activity where state = 'active' and query ~ 'probe_policy_' and pid <> pg_backend_pid()"
)

Waiting = dict[str, tuple[Caller, Call]]


@pytest.fixture(scope="module")
def installed(directory: DataDirectory, template: str) -> Iterator[str]:
    """The name of an installed database for the tests of this module."""
    with databases.new_database(directory, template) as name:
        yield name


@pytest.fixture(scope="module")
def owner(directory: DataDirectory, installed: str) -> Iterator[Sql]:
    with psycopg.connect(socket_uri(directory, database=installed), autocommit=True) as connection:
        sql = runner(connection)
        sql(UID)
        sql("select pgmq_admin.create_queue('jobs')")
        sql("grant select, update on pgmq.q_jobs to anon, authenticated")
        yield sql


@pytest.fixture
def jobs(owner: Sql) -> Iterator[Callable[[str], None]]:
    """jobs(policy): the queue `jobs`, empty, with a policy."""

    def have(policy: str) -> None:
        owner(f"create policy p on pgmq.q_jobs to anon, authenticated using ({policy})")

    owner("delete from pgmq.q_jobs; drop policy if exists p on pgmq.q_jobs")
    yield have
    owner("drop policy if exists p on pgmq.q_jobs")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test may be paused during a probe."""
    monkeypatch.setattr(probes, "SET_TIMEOUT", "set statement_timeout = '20s'")
    monkeypatch.setattr(probes, "TIMEOUT_SECONDS", 30)


@pytest.fixture
async def probe(directory: DataDirectory, installed: str) -> AsyncIterator["Probe"]:
    async with probing(directory, installed) as opened:
        yield opened


class Probe:
    """The probes of a gateway, and its connection for them."""

    def __init__(self, settings: Settings) -> None:
        database = Database(settings)
        self.counters = Counters()
        self.connection = ProbeConnection(settings, database.connector.servers)
        self.queues = QueueProbe(self.connection)
        self.policies = PolicyProbe(self.connection, database, self.counters)

    async def sighting(self, waiting: Mapping[str, tuple[Caller, Call]]) -> Sighting[str] | None:
        return await self.policies.seeing("jobs", lambda: waiting, WINDOW)

    async def seeing(self, waiting: Mapping[str, tuple[Caller, Call]]) -> set[str] | None:
        sighting = await self.sighting(waiting)
        return None if sighting is None else set(sighting.groups)


@asynccontextmanager
async def probing(directory: DataDirectory, database: str, **settings: object) -> AsyncIterator[Probe]:
    uri = SecretStr(socket_uri(directory, "authenticator", database))
    probe = Probe(Settings.model_validate({"db_uri": uri, "jwt_secret": SECRET, **settings}))
    yield probe
    probe.connection.close()


def waiting(*subs: str, role: str = "authenticated", **claims: object) -> Waiting:
    """Callers that wait, by their sub."""
    call = executable("pgmq_public", RequestSettings("POST", "/rpc/read", '{"x-tenant": "a"}', "{}"))
    return {sub: (Caller(role, json.dumps({"role": role, "sub": sub, **claims}), False), call) for sub in subs}


def send(sql: Sql, *to: str) -> None:
    for user in to:
        sql("select pgmq.send('jobs', jsonb_build_object('to', %s::text))", user)


@pytest.mark.parametrize("policy", [PER_ROW, PER_STATEMENT])
@pytest.mark.parametrize("prepared", [True, False], ids=["static", "behind a pooler"])
async def test_22_of_many_users_only_the_recipient_is_woken(
    directory: DataDirectory, installed: str, owner: Sql, jobs: Callable[[str], None], policy: str, prepared: bool
) -> None:
    jobs(policy)
    async with probing(directory, installed, db_prepared_statements=prepared) as probe:
        send(owner, USERS[7], USERS[3], "nobody")
        users = waiting(*USERS) | waiting("00000000-0000-0000-0000-00000000000a", role="anon")
        assert await probe.sighting(users) == Sighting(frozenset({USERS[7], USERS[3]}), 3)
        # Known messages are new to those who were not asked before.
        send(owner, USERS[1])
        asked = waiting(*USERS[:3])
        assert await probe.sighting(asked | waiting(USERS[7])) == Sighting(frozenset({USERS[1]}), 1)
        assert await probe.sighting(asked | waiting(USERS[3])) == Sighting(frozenset({USERS[3]}), 1)
        assert await probe.sighting(asked) == Sighting(frozenset(), 0)
        assert probe.counters.policy_probes == 4
        assert probe.counters.policy_probe_seconds > 0


async def test_callers_can_be_asked_again_about_messages_that_are_left(
    probe: Probe, owner: Sql, jobs: Callable[[str], None]
) -> None:
    jobs(f"message ->> 'to' = 'all' or {PER_ROW}")
    send(owner, "all", USERS[0])
    users = waiting(*USERS)
    assert await probe.sighting(users) == Sighting(frozenset(USERS), 2)
    owner("delete from pgmq.q_jobs where message ->> 'to' = 'all'")
    assert await probe.seeing(users) == set()
    probe.policies.ask_again("jobs", USERS[:5])
    assert await probe.sighting(users) == Sighting(frozenset(USERS[:1]), 1)


async def test_22_a_role_without_temporary_tables_probes_too(
    directory: DataDirectory, new_database: Callable[..., str], template: str
) -> None:
    name = new_database(template)
    with psycopg.connect(socket_uri(directory, database=name), autocommit=True) as connection:
        sql = runner(connection)
        sql(f"revoke temporary on database {name} from public")
        sql("select pgmq_admin.create_queue('jobs'); grant select on pgmq.q_jobs to authenticated")
        sql("create policy p on pgmq.q_jobs to authenticated using (true)")
        async with probing(directory, name) as probe:
            send(sql, USERS[0])
            assert await probe.seeing(waiting(*USERS[:2])) == set(USERS[:2])


async def test_23_policy_probe_runs_the_pre_request(
    directory: DataDirectory, installed: str, owner: Sql, jobs: Callable[[str], None]
) -> None:
    # It sets a tenant for those who have one, and leaves that of the former call otherwise. It also leaves a lock.
    owner("""
        create or replace function public.set_tenant() returns void language plpgsql as $$ begin
            perform pg_advisory_lock(77);
            if current_setting('request.jwt.claims')::json ->> 'tenant' <> '' then
                perform set_config('app.tenant', current_setting('request.jwt.claims')::json ->> 'tenant', true);
            elsif current_setting('request.headers')::json ->> 'x-tenant' <> 'a' then
                raise exception 'no tenant';
            end if;
        end $$
    """)
    jobs("message ->> 'to' = current_setting('app.tenant', true)")
    async with probing(directory, installed, db_pre_request="public.set_tenant") as probe:
        send(owner, "a")
        users = waiting(USERS[0], tenant="a") | waiting(USERS[1]) | waiting(USERS[2], tenant="b")
        assert await probe.seeing(users) == {USERS[0]}
        assert probe.policies.reads_requests("jobs", policies=False)
        assert await left_behind(probe) == ("authenticator", None, None, 0)


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param("pg_sleep(60) is not null", id="24 sleeping_policy_stops_no_other_caller"),
        pytest.param("set_config('app.cache', 'x', true) = 'x'", id="25 policy_caching_in_a_setting_leaks_nothing"),
        pytest.param("pg_advisory_lock(1) is not null", id="c5 a policy that locks"),
        pytest.param("public.note()", id="c5 a policy that writes"),
    ],
)
async def test_n7_24_25_policies_that_can_leave_something_are_not_probed(
    probe: Probe, owner: Sql, jobs: Callable[[str], None], policy: str
) -> None:
    owner("create table if not exists public.notes (); grant insert on public.notes to authenticated")
    owner("create or replace function public.note() returns boolean language plpgsql as"
          " 'begin insert into public.notes default values; return true; end'")  # fmt: skip
    jobs(policy)
    send(owner, *USERS)
    assert await probe.seeing(waiting(*USERS)) is None
    assert await left_behind(probe) == ("authenticator", None, None, 0)
    assert owner("select count(*) from public.notes") == [(0,)]
    # The others are probed as before.
    assert (await probe.queues.probe(["jobs"]))["jobs"].visible == len(USERS)


async def left_behind(probe: Probe) -> tuple[object, ...]:
    """The role, the claims, a setting and the number of locks of the connection."""
    async with probe.connection.session() as session:
        rows = await session.connection.fetch("""
            select current_user, nullif(current_setting('request.jwt.claims', true), ''),
                nullif(current_setting('app.cache', true), ''),
                (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())
        """)
    return tuple(rows[0].values())


async def test_n7_26_policy_probe_leaves_no_role_or_claims(
    probe: Probe, owner: Sql, jobs: Callable[[str], None]
) -> None:
    jobs(PER_STATEMENT)
    send(owner, USERS[0])
    assert await probe.seeing(waiting(*USERS)) == {USERS[0]}
    assert await left_behind(probe) == ("authenticator", None, None, 0)


async def test_c4_messages_that_commit_late_are_found(
    probe: Probe, owner: Sql, jobs: Callable[[str], None], directory: DataDirectory, installed: str
) -> None:
    jobs(PER_STATEMENT)
    users = waiting(*USERS[:3])
    with psycopg.connect(socket_uri(directory, database=installed)) as slow:
        send(runner(slow), USERS[0])
        send(owner, USERS[1])
        assert await probe.seeing(users) == {USERS[1]}
        slow.commit()
    assert await probe.seeing(users) == {USERS[0]}
    assert await probe.seeing(users) == set()


async def test_a_message_that_returns_is_new(probe: Probe, owner: Sql, jobs: Callable[[str], None]) -> None:
    jobs(PER_ROW)
    users = waiting(*USERS[:3])
    send(owner, USERS[0], USERS[1])
    assert await probe.seeing(users) == {USERS[0], USERS[1]}
    # As after retry(): its id is that of a known message.
    owner("update pgmq.q_jobs set vt = clock_timestamp() where message ->> 'to' = %s", USERS[0])
    assert await probe.sighting(users) == Sighting(frozenset({USERS[0]}), 1)
    assert await probe.seeing(users) == set()


async def test_callers_with_different_time_zones_are_probed_together(
    probe: Probe, owner: Sql, jobs: Callable[[str], None]
) -> None:
    jobs("message ->> 'to' = current_setting('timezone')")
    zones = ["Asia/Tokyo", "Europe/Berlin", None, "America/Lima"]
    ((own,),) = owner("select reset_val from pg_settings where name = 'TimeZone'")
    users = {}
    for user, zone in zip(USERS, zones, strict=False):
        caller, call = waiting(user)[user]
        preferences = replace(call.preferences, timezone=zone)
        users[user] = caller, msgspec.structs.replace(call, preferences=preferences)
    queries: list[str] = []
    async with probe.connection.session() as session:
        session.connection.add_query_logger(lambda query: queries.append(query.query))
    send(owner, "Europe/Berlin", own)
    assert await probe.seeing(users) == {USERS[1], USERS[2]}
    assert sum("from pg_temp.probe_policy" in query for query in queries) == 1


async def test_n7_c5_a_policy_that_raises_does_so_for_its_caller_only(
    probe: Probe, owner: Sql, jobs: Callable[[str], None]
) -> None:
    jobs(PER_ROW)
    send(owner, USERS[1])
    assert await probe.seeing(waiting(USERS[0], "no uuid", USERS[1], USERS[2])) == {"no uuid", USERS[1]}


async def test_new_policies_apply_at_once(probe: Probe, owner: Sql, jobs: Callable[[str], None]) -> None:
    jobs(PER_ROW)
    send(owner, USERS[0])
    assert probe.policies.reads_requests("jobs", policies=True)
    assert await probe.seeing(waiting(*USERS)) == {USERS[0]}
    assert not probe.policies.reads_requests("jobs", policies=True)
    owner("alter policy p on pgmq.q_jobs using (current_setting('request.headers')::json ->> 'x-tenant' = 'a')")
    send(owner, USERS[0])
    assert await probe.seeing(waiting(*USERS)) == set(USERS)
    assert probe.policies.reads_requests("jobs", policies=True)
    owner("alter policy p on pgmq.q_jobs using (pg_sleep(60) is not null)")
    assert await probe.seeing(waiting(*USERS)) is None


async def test_many_messages_are_probed_in_portions(
    probe: Probe, owner: Sql, jobs: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgmq_gateway.waiting.policy_probe.MAX_PAIRS", 2 * len(USERS))
    jobs(PER_ROW)
    send(owner, *USERS[:5])
    users = waiting(*USERS)
    found: list[set[str] | None] = []
    while not found or probe.policies.unfinished("jobs"):
        found.append(await probe.seeing(users))
    assert found == [set(USERS[:2]), set(USERS[2:4]), {USERS[4]}]
    # What was unfinished is forgotten in a pause.
    send(owner, *USERS[:5])
    await probe.seeing(users)
    assert probe.policies.unfinished("jobs")
    owner("alter policy p on pgmq.q_jobs using (pg_sleep(60) is not null)")
    assert await probe.seeing(users) is None
    assert not probe.policies.unfinished("jobs")


async def test_a_slow_policy_lets_the_callers_be_woken_in_turn(
    probe: Probe, owner: Sql, jobs: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs(SLOW)
    send(owner, USERS[0])
    with monkeypatch.context() as patch:
        patch.setattr(probes, "SET_TIMEOUT", "set statement_timeout = '300ms'")
        assert await probe.seeing(waiting(*USERS)) is None
    assert probe.counters.policy_probes == 1
    assert await probe.seeing(waiting(*USERS)) is None
    assert probe.counters.policy_probes == 1
    # The connection is a new one.
    assert (await probe.queues.probe(["jobs"]))["jobs"].visible == 1


async def test_a_locked_table_and_a_missing_queue_are_not_waited_for(
    probe: Probe, owner: Sql, jobs: Callable[[str], None]
) -> None:
    jobs(PER_ROW)
    owner("begin; lock table pgmq.q_jobs")
    assert await probe.seeing(waiting(*USERS)) is None
    owner("commit")
    assert await probe.policies.seeing("missing", lambda: waiting(*USERS)) is None


async def test_a_lost_connection_is_opened_again(probe: Probe, owner: Sql, jobs: Callable[[str], None]) -> None:
    jobs(PER_ROW)
    assert (await probe.queues.probe(["jobs", "missing"]))["missing"].exists is False
    async with probe.connection.session() as session:
        pid = session.connection.get_server_pid()
    owner("select pg_terminate_backend(%s)", pid)

    async def probed() -> bool:
        try:
            return (await probe.queues.probe(["jobs"]))["jobs"].policies
        except ProbeFailed:
            return False

    await until_async(probed)


async def test_the_connection_is_opened_for_probes_and_closed_afterwards(
    probe: Probe, jobs: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs(PER_ROW)
    assert not probe.connection.open
    await probe.queues.probe(["jobs"])
    assert probe.connection.open
    monkeypatch.setattr(probes, "IDLE_SECONDS", 0.01)
    await probe.queues.probe(["jobs"])
    await until_async(lambda: not probe.connection.open)
    probe.connection.close()
    with pytest.raises(ProbeFailed):
        await probe.queues.probe(["jobs"])


async def test_a_probe_goes_on_without_its_callers_and_the_next_one_waits(
    probe: Probe, owner: Sql, jobs: Callable[[str], None]
) -> None:
    jobs(SLOW)
    send(owner, USERS[0])
    first = asyncio.create_task(probe.seeing(waiting(*USERS)))
    await until_async(lambda: owner(PROBING))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    probe.policies.forget("jobs")
    second = asyncio.create_task(probe.seeing(waiting(*USERS)))
    # As the statement timeout does it. A cancel between two messages of the protocol has no effect.
    cancel = PROBING.replace("pid", "pg_cancel_backend(pid)", 1)
    await until_async(lambda: second.done() or (owner(cancel) and second.done()))
    # The pause is that of the callers that came meanwhile.
    assert second.result() is None
    assert probe.counters.policy_probes == 1


async def test_the_pause_after_a_probe_delays_its_queue_only(
    probe: Probe, owner: Sql, jobs: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgmq_gateway.waiting.policy_probe.PAUSE_PER_SECOND_OF_WORK", 1e9)
    jobs(PER_ROW)
    send(owner, USERS[0])
    assert await probe.seeing(waiting(*USERS)) == {USERS[0]}
    # The callers that come next have the pause too.
    probe.policies.forget("jobs")
    again = asyncio.create_task(probe.seeing(waiting(*USERS)))
    async with asyncio.timeout(TIMEOUT_SECONDS):
        assert await probe.policies.seeing("missing", lambda: waiting(*USERS)) is None
    assert probe.counters.policy_probes == 2
    assert not again.done()
    again.cancel()


async def test_probes_of_other_queues_come_between_the_statements_of_one(
    probe: Probe, jobs: Callable[[str], None]
) -> None:
    jobs(PER_ROW)
    queries: list[str] = []
    async with probe.connection.session() as session:
        session.connection.add_query_logger(lambda query: queries.append(query.query))
        users = waiting(*USERS[:2]) | waiting(USERS[2], role="anon")
        probes_of_two = [
            asyncio.create_task(probe.policies.seeing(queue, lambda: users)) for queue in ("jobs", "missing")
        ]
        # Both wait for the session.
        await until_async(lambda: probe.counters.policy_probes == 2)
    await asyncio.gather(*probes_of_two)
    assert ["policy_judgement" in query for query in queries if "select" in query][:3] == [True, True, False]


async def test_without_callers_nothing_is_probed(probe: Probe, jobs: Callable[[str], None]) -> None:
    jobs(PER_ROW)
    assert await probe.sighting({}) == Sighting(frozenset(), 0)
    assert not probe.connection.open


async def test_a_new_connection_that_brings_no_response_is_closed(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "TIMEOUT_SECONDS", 0.01)
    monkeypatch.setattr(probes, "SET_TIMEOUT", "select pg_sleep(60)")
    with pytest.raises(ProbeFailed):
        await probe.queues.probe(["jobs"])
    assert not probe.connection.open
