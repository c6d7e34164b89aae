"""The admission queue: order, overflow, disconnected clients, and connections that are lost under shared calls."""

import asyncio
import contextlib
import gc
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from pgmq_gateway.calls.batching import MAX_WAITING_PER_CONNECTION, AdmissionQueue
from pgmq_gateway.calls.waiting import WaitingCall
from pgmq_gateway.embedded.cluster import SOCKET_NAME, socket_folder, socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.gateway import Gateway, create_app
from pgmq_gateway.settings.model import Settings
from tests.gateways import Bearer, Headers, RunningGateway
from tests.integration.crowd import GATE, HOLD, PATIENT, Crowd, crowd_of
from tests.integration.test_sharing import SLOW, until_shared
from tests.server import SECRET, Serve
from tests.waiting import until_async

GATEWAY = PATIENT | {"PGRST_DB_POOL": "1"}

FUNCTIONS = (
    "create table public.trace (who text, transaction text, at bigserial); grant all on public.trace to public;"
    "grant usage on sequence public.trace_at_seq to public",
    HOLD,
    "create function public.note(who text, wait boolean default false) returns text volatile language plpgsql as "
    "$f$ begin insert into public.trace values (who, pg_current_xact_id()::text);"
    f"if wait then perform pg_advisory_xact_lock_shared({GATE}); end if; return who; end $f$",
)


@pytest.fixture(scope="module")
def gateway(gateway: RunningGateway) -> RunningGateway:
    """A gateway with one connection and a function that records its calls."""
    gateway.define(*FUNCTIONS)
    return gateway


@pytest.fixture
async def crowd(gateway: RunningGateway) -> AsyncIterator[Crowd]:
    """Its callers, with an empty record."""
    gateway.sql("truncate public.trace")
    async with crowd_of(gateway) as crowd:
        yield crowd
        await crowd.waiting(0)


def note(crowd: Crowd, who: str, caller: Headers, *, wait: bool = False) -> asyncio.Task[httpx.Response]:
    """A call that records `who`, as a running task."""
    return asyncio.create_task(crowd.call("note", {"who": who, "wait": wait}, caller))


def notes(crowd: Crowd) -> list[str]:
    """The recorded calls, in order."""
    return [who for (who,) in crowd.sql("select who from public.trace order by at")]


async def stand(crowd: Crowd, *calls: tuple[str, Headers]) -> list[asyncio.Task[httpx.Response]]:
    """Calls that arrive one after the other while all connections are busy."""
    return await crowd.in_turn(*(crowd.call("note", {"who": who}, caller) for who, caller in calls))


async def test_n5_waiting_callers_take_turns(crowd: Crowd, bearer: Bearer) -> None:
    ann, bob, eve = (bearer("authenticated", sub=sub) for sub in ("ann", "bob", "eve"))
    async with crowd.busy():
        tasks = await stand(crowd, ("a1", ann), ("a2", ann), ("a3", ann), ("b1", bob), ("e1", eve))
    await asyncio.gather(*tasks)
    assert notes(crowd)[:3] == ["a1", "b1", "e1"]
    assert notes(crowd)[3:] == ["a2", "a3"]


async def test_many_calls_of_one_caller_do_not_delay_another(crowd: Crowd, bearer: Bearer) -> None:
    ann, bob = (bearer("authenticated", sub=sub) for sub in ("ann", "bob"))
    async with crowd.busy():
        flood = [note(crowd, "ann", ann) for _ in range(100)]
        await crowd.waiting(100)
        late = note(crowd, "bob", bob)
        await crowd.waiting(101)
    assert {answer.status_code for answer in await asyncio.gather(late, *flood)} == {200}
    assert notes(crowd).index("bob") <= 1
    assert len(notes(crowd)) == 101


async def test_the_call_of_a_client_that_disconnects_while_it_waits_does_not_run(crowd: Crowd, bearer: Bearer) -> None:
    ann, bob = (bearer("authenticated", sub=sub) for sub in ("ann", "bob"))
    async with crowd.busy():
        tasks = await stand(crowd, ("1", ann), ("2", ann), ("3", bob), ("4", ann), ("5", bob))
        gone = tasks[0], tasks[1], tasks[4]
        for one in gone:
            one.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        # The gateway notices the disconnect before the next request on a new connection.
        assert (await crowd.client.post("/rpc/nothing")).status_code == 404
    assert [(await tasks[n]).text for n in (2, 3)] == ['"3"', '"4"']
    assert notes(crowd) == ["3", "4"]


async def test_the_call_of_a_client_that_disconnects_while_it_runs_is_committed(crowd: Crowd, bearer: Bearer) -> None:
    ann = bearer("authenticated", sub="ann")
    async with crowd.gate():
        async with crowd.busy():
            tasks = await stand(crowd, ("1", ann), ("2", ann), ("3", ann))
            slow = note(crowd, "0", ann, wait=True)
            await crowd.waiting(4)
        await until_async(lambda: crowd.blocked(GATE) == 1)
        for one in (slow, tasks[0]):
            one.cancel()
        await asyncio.gather(slow, tasks[0], return_exceptions=True)
    assert [(await one).text for one in tasks[1:]] == ['"2"', '"3"']
    # Nobody receives the response that says when the call is committed.
    await until_async(lambda: sorted(notes(crowd)) == ["0", "1", "2", "3"])


@contextlib.asynccontextmanager
async def inside(gateway: RunningGateway, directory: DataDirectory, patience: float = 30) -> AsyncIterator["Inside"]:
    """The callers of a gateway with one connection in this process, reached without sockets."""
    ((database,),) = gateway.sql("select current_database()")
    uri = SecretStr(socket_uri(directory, "authenticator", database))
    in_process = Gateway(Settings(db_uri=uri, db_pool=1, jwt_secret=SecretStr(SECRET), jwt_aud=None))
    # Not the setting, which also limits the time to open the connection.
    in_process.admission._wait_seconds = patience
    transport = httpx.ASGITransport(create_app(gateway=in_process))
    async with in_process.running(), httpx.AsyncClient(transport=transport, base_url="http://inside") as client:
        await until_async(lambda: in_process.watch.loads > 0)
        yield Inside(gateway, client, in_process.admission)


class Inside(Crowd):
    """Callers of a gateway in this process, with access to its admission queue."""

    def __init__(self, gateway: RunningGateway, client: httpx.AsyncClient, admission: AdmissionQueue) -> None:
        super().__init__(gateway, client)
        self._admission = admission

    async def queued(self) -> int:
        return self._admission.waiting


async def test_a_call_that_waits_too_long_gets_504_and_does_not_run(
    gateway: RunningGateway, crowd: Crowd, directory: DataDirectory
) -> None:
    async with inside(gateway, directory, patience=0.2) as hasty, hasty.busy():
        answers = await asyncio.gather(*(note(hasty, f"{n}", {}) for n in range(5)))
        assert [(a.status_code, a.json()["code"]) for a in answers] == [(504, "PGRST003")] * 5
        assert await hasty.queued() == 0
    assert notes(crowd) == []


async def test_n5_one_caller_cannot_fill_the_admission_queue(
    gateway: RunningGateway, crowd: Crowd, directory: DataDirectory, bearer: Bearer
) -> None:
    share = MAX_WAITING_PER_CONNECTION * 3 // 4
    async with inside(gateway, directory) as many:
        async with many.busy():
            tasks = [note(many, f"{n:04}", {}) for n in range(share)]
            await many.waiting(share)
            refused = await note(many, "too many", {})
            assert (refused.status_code, refused.json()["code"]) == (504, "PGRST003")
            tasks.append(note(many, "another", bearer("authenticated", sub="ann")))
            await many.waiting(share + 1)
        assert {answer.status_code for answer in await asyncio.gather(*tasks)} == {200}
        assert await many.queued() == 0
    assert sorted(notes(crowd)) == [*(f"{n:04}" for n in range(share)), "another"]


async def test_a_call_that_timed_out_leaves_the_queue(
    gateway: RunningGateway, crowd: Crowd, directory: DataDirectory
) -> None:
    async with inside(gateway, directory, patience=0.2) as hasty, hasty.busy():
        await asyncio.gather(*(note(hasty, f"{n}", {}) for n in range(5)))
        gc.collect()
        left = [one for one in gc.get_objects() if isinstance(one, WaitingCall)]
        assert [one for one in left if not one.taken] == []
    assert notes(crowd) == []


class Cut:
    """A relay to Postgres whose connections can be cut before a call arrives or before its result returns."""

    def __init__(self, target: Path) -> None:
        self.mute = False
        self.answers = 0
        self._target = target
        self._writers: list[asyncio.StreamWriter] = []

    async def relay(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Copy the bytes of both directions."""
        server, forth = await asyncio.open_unix_connection(self._target / SOCKET_NAME)
        self._writers += [back, forth]
        await asyncio.gather(self._carry(client, forth), self._carry(server, back, answer=True))

    def cut(self) -> None:
        """End all connections."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()
        self.mute, self.answers = False, 0

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, answer: bool = False) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(65536):
                if answer and self.mute:
                    self.answers += 1
                else:
                    target.write(chunk)
        target.close()


@pytest.fixture
async def lossy(
    gateway: RunningGateway, folder: Path, directory: DataDirectory, serve: Serve
) -> AsyncIterator[tuple[Crowd, Cut]]:
    """The callers of a gateway whose connection to Postgres can be cut."""
    gateway.sql("truncate public.trace")
    place = folder / f"cut{uuid.uuid4().hex[:6]}"
    place.mkdir()
    wire = Cut(socket_folder(directory))
    ((database,),) = gateway.sql("select current_database()")
    relay = await asyncio.start_unix_server(wire.relay, place / SOCKET_NAME)
    uri = f"postgresql://authenticator@/{database}?host={place}&sslmode=disable"
    server = await asyncio.to_thread(serve, database, PGRST_DB_URI=uri, PGRST_DB_POOL="1")
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        yield Crowd(RunningGateway(server, gateway.client, gateway.sql), client), wire
    await asyncio.to_thread(server.stop)
    wire.cut()
    relay.close()


LOST = (503, "PGRST001")
Sends = Callable[[], list[Coroutine[Any, Any, httpx.Response]]]


def outcomes(answers: list[httpx.Response]) -> list[tuple[int, str]]:
    """Status and code of error answers."""
    return [(answer.status_code, answer.json()["code"]) for answer in answers]


@pytest.fixture
async def sends(lossy: tuple[Crowd, Cut], bearer: Bearer) -> Sends:
    """Three sends to a queue whose sends share a transaction."""
    crowd, _ = lossy
    crowd.sql("select pgmq_admin.create_queue('jobs')")
    headers = {"Content-Profile": "pgmq_public", **bearer("service_role")}

    def calls() -> list[Coroutine[Any, Any, httpx.Response]]:
        return [crowd.call("send", {"queue_name": "jobs", "message": {"n": n}}, headers) for n in range(3)]

    await until_shared(calls, crowd)
    crowd.sql("delete from pgmq.q_jobs")
    return calls


def sent(crowd: Crowd) -> list[int]:
    """The messages that are stored."""
    return [n for (n,) in crowd.sql("select (message->>'n')::int from pgmq.q_jobs order by 1")]


async def test_a_connection_lost_before_the_commit(lossy: tuple[Crowd, Cut], sends: Sends) -> None:
    crowd, wire = lossy
    async with crowd.busy():
        tasks = [asyncio.create_task(call) for call in sends()]
        await crowd.waiting(3)
        crowd.sql("begin; lock table pgmq.q_jobs in exclusive mode")
    try:
        await until_async(lambda: locked_out(crowd))
        ((process,),) = locked_out(crowd)
        wire.cut()
        assert outcomes(await asyncio.gather(*tasks)) == [LOST] * 3
        crowd.sql("select pg_terminate_backend(%s)", process)
        await until_async(lambda: not locked_out(crowd))
    finally:
        crowd.sql("rollback")
    assert sent(crowd) == []
    assert {answer.status_code for answer in await asyncio.gather(*sends())} == {200}
    assert sent(crowd) == [0, 1, 2]


async def test_f6_a_connection_lost_behind_the_commit(lossy: tuple[Crowd, Cut], sends: Sends) -> None:
    crowd, wire = lossy
    async with crowd.busy():
        tasks = [asyncio.create_task(call) for call in sends()]
        await crowd.waiting(3)
        crowd.sql("begin; lock table pgmq.q_jobs in exclusive mode")
    await until_async(lambda: locked_out(crowd))
    wire.mute = True
    crowd.sql("rollback")
    await until_async(lambda: len(sent(crowd)) == 3)
    wire.cut()
    assert outcomes(await asyncio.gather(*tasks)) == [LOST] * 3
    assert (await note(crowd, "next", {})).text == '"next"'
    assert sent(crowd) == [0, 1, 2]


async def test_calls_do_not_run_again_after_an_error_that_a_commit_may_precede(
    lossy: tuple[Crowd, Cut], sends: Sends
) -> None:
    crowd, _ = lossy
    crowd.sql("create sequence public.passes; grant usage on sequence public.passes to public")
    crowd.sql("alter function pgmq_gateway.calls rename to shipped_calls")
    # As a pooler reports that it has lost the server, and keeps the client's connection.
    crowd.sql(
        "create function pgmq_gateway.calls(text, text, text[], text[], text, text[], text[], text, oid[], text[],"
        " text, json, boolean, out row_count bigint, out body text, out failure text[],"
        " out seconds double precision, out wakeups text) returns setof record language plpgsql"
        " as $f$ begin perform nextval('public.passes');"
        " raise sqlstate '58000' using message = 'server connection lost'; end $f$"
    )
    try:
        assert outcomes(await crowd.together(*sends())) == [LOST] * 3
    finally:
        crowd.sql("drop function pgmq_gateway.calls")
        crowd.sql("alter function pgmq_gateway.shipped_calls rename to calls")
    assert crowd.sql("select last_value from public.passes") == [(1,)]
    assert sent(crowd) == []


def locked_out(crowd: Crowd) -> list[tuple[int]]:
    """The processes that wait for the lock on the queue."""
    return crowd.sql("select pid from pg_locks where relation = 'pgmq.q_jobs'::regclass and not granted")


@pytest.mark.parametrize("limited", [False, True])
async def test_a_connection_that_is_ended_by_an_operator(
    gateway: RunningGateway, crowd: Crowd, role: str, bearer: Bearer, limited: bool
) -> None:
    if limited:
        gateway.sql(f"alter role {role} set statement_timeout = '1h'")
    gateway.define()
    caller = bearer(role)
    async with crowd.gate():
        async with crowd.busy():
            tasks = [note(crowd, f"{n}", caller, wait=n == 1) for n in range(3)]
            await crowd.waiting(3)
        await until_async(lambda: crowd.blocked(GATE) == 1)
        crowd.sql(f"select pg_terminate_backend(pid) from pg_locks where objid = {GATE} and not granted")
        await until_async(lambda: not crowd.blocked(GATE) or notes(crowd) == ["0"])
    answers = await asyncio.gather(*tasks)
    done = [f"{n}" for n, answer in enumerate(answers) if answer.is_success]
    assert sorted(notes(crowd)) == done
    assert [a.status_code for a in answers if not a.is_success] == [503] * (3 - len(done))
    assert (await note(crowd, "next", caller)).text == '"next"'


async def test_connections_that_are_ended_around_the_commit_store_nothing_twice(
    gateway: RunningGateway, crowd: Crowd, bearer: Bearer
) -> None:
    callers = [bearer("authenticated", sub=sub) for sub in ("ann", "bob")]
    calls = [note(crowd, f"{n}", callers[n % 2]) for n in range(200)]
    ended = 0
    while not all(call.done() for call in calls):
        ended += len(gateway.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgmq-gateway'"
            " and datname = current_database() and query like '%pgmq_gateway.call%'"
        ))  # fmt: skip
        await asyncio.sleep(0)
        if ended > 30:
            break
    answers = await asyncio.gather(*calls)
    stored = Counter(notes(crowd))
    assert ended
    assert set(stored.values()) <= {1}
    assert [f"{n}" for n, answer in enumerate(answers) if answer.is_success and not stored[f"{n}"]] == []
    assert {answer.status_code for answer in answers} <= {200, 503}, gateway.server.log.read_text()[-3000:]


async def test_a_slow_shared_transaction_is_counted(crowd: Crowd, bearer: Bearer) -> None:
    crowd.sql("select pgmq_admin.create_queue('slow')")
    headers = {"Content-Profile": "pgmq_public", **bearer("service_role")}
    blocked = "select 1 from pg_locks where relation = 'pgmq.q_slow'::regclass and not granted"

    async def counted() -> bool:
        async with crowd.busy():
            sends = (crowd.call("send", {"queue_name": "slow", "message": n}, headers) for n in range(3))
            calls = [asyncio.create_task(send) for send in sends]
            await crowd.waiting(3)
            crowd.sql("begin; lock table pgmq.q_slow in exclusive mode")
        try:
            await until_async(lambda: crowd.sql(blocked))
            crowd.sql("select pg_sleep(0.1)")
        finally:
            crowd.sql("rollback")
        assert {answer.status_code for answer in await asyncio.gather(*calls)} == {200}
        return await crowd.metric(SLOW) > 0

    # The queue is judged in the background.
    await until_async(counted)
