"""Plain calls on a plain queue share a transaction, and each has the outcome that it would have alone."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from itertools import count
from typing import Any

import httpx
import psycopg
import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.gateways import Bearer, Headers, RunningGateway
from tests.integration.crowd import HOLD, PATIENT, Crowd, Json, crowd_of
from tests.waiting import until_async

GATEWAY = PATIENT | {"PGRST_DB_POOL": "1", "PGRST_DB_TX_END": "commit-allow-override", "PGRST_DB_PLAN_ENABLED": "true"}
SCHEMAS = (
    "do $d$ begin execute format('alter database %I set deadlock_timeout = ''50ms''', current_database()); end $d$",
)

# The metrics of shared transactions after which calls run alone for a while.
SLOW = 'pgmq_gateway_unshared_total{reason="slow"}'
DEADLOCK = 'pgmq_gateway_unshared_total{reason="deadlock"}'
PROFILE = {"Content-Profile": "pgmq_public"}
ALL = "{send, read, pop, archive, delete}"
# As Supabase publishes it.
UID = (
    "create schema auth; grant usage on schema auth to public;"
    "create function auth.uid() returns uuid language sql stable as $f$ select coalesce("
    "nullif(current_setting('request.jwt.claim.sub', true), ''),"
    "(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'))::uuid $f$"
)
ANN = "0a000000-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def gateway(gateway: RunningGateway) -> RunningGateway:
    """A gateway with one connection on a database with Supabase's auth.uid()."""
    gateway.define(HOLD, UID)
    return gateway


@pytest.fixture
async def crowd(gateway: RunningGateway) -> AsyncIterator[Crowd]:
    """Its callers."""
    async with crowd_of(gateway) as crowd:
        yield crowd
        await crowd.waiting(0)


@pytest.fixture
def ann(bearer: Bearer) -> Headers:
    """The headers of one caller."""
    return {**PROFILE, **bearer("authenticated", sub=ANN)}


@pytest.fixture
def service(bearer: Bearer) -> Headers:
    """The headers of a caller without policies."""
    return {**PROFILE, **bearer("service_role")}


@pytest.fixture
def jobs(gateway: RunningGateway) -> str:
    """A queue for one test on which each caller owns the messages with its id."""
    return create_queue(gateway)


def create_queue(gateway: RunningGateway) -> str:
    """Create a queue with policies as Supabase's users write them. Returns its name."""
    name, own = f"q{uuid.uuid4().hex[:12]}", "(message->>'owner')::uuid = (select auth.uid())"
    gateway.sql("select pgmq_admin.create_queue(%s)", name)
    gateway.sql(f"alter table pgmq.a_{name} enable row level security")
    for role in ("authenticated", "anon", "service_role"):
        gateway.sql("select pgmq_admin.grant_queue(%s, %s, %s)", name, role, ALL)
    for table in (f"q_{name}", f"a_{name}"):
        gateway.sql(f"create policy own on pgmq.{table} to authenticated using ({own}) with check ({own})")
    return name


Response = Coroutine[Any, Any, httpx.Response]
Send = Callable[..., Response]


@pytest.fixture
def send(crowd: Crowd, jobs: str, ann: Headers) -> Send:
    """A call that sends a message: send(n, headers, sleep_seconds=0)."""

    def call(n: int, headers: Headers | None = None, queue: str = jobs, **more: Any) -> Response:  # noqa: ANN401 as JSON has it
        message = {"owner": ANN, "n": n}
        return crowd.call("send", {"queue_name": queue, "message": message, **more}, headers or ann)

    return call


def transactions(crowd: Crowd, queue: str) -> dict[int, str]:
    """The transaction that stored or changed each message, by its n."""
    rows = crowd.sql(f"select (message->>'n')::int, xmin::text from pgmq.q_{queue} where message->>'n' is not null")
    return dict(rows)


async def count_transactions(crowd: Crowd) -> int:
    """The number of transactions so far, by the metrics."""
    return await crowd.metric("pgmq_gateway_transaction_calls_count")


async def until_shared(calls: Callable[[], Sequence[Response]], crowd: Crowd) -> None:
    """Make these calls, all waiting together, until they share a transaction.

    A queue is judged in the background, and calls run alone for some seconds after a slow transaction.
    """

    async def shared() -> bool:
        before, slow = await count_transactions(crowd), await crowd.metric(SLOW)
        await crowd.together(*calls())
        # One more keeps the connection busy. After a slow one, the next calls would run alone.
        return await count_transactions(crowd) - before == 2 and await crowd.metric(SLOW) == slow

    await until_async(shared)


@pytest.fixture
async def sharing(crowd: Crowd, jobs: str, send: Send) -> str:
    """The queue, once sends to it share transactions; without messages."""
    await until_shared(lambda: [send(n) for n in range(3)], crowd)
    crowd.sql(f"delete from pgmq.q_{jobs}")
    return jobs


MESSAGE = {"owner": ANN}
CALLS: dict[str, tuple[str, Json]] = {
    "send": ("send", {"message": MESSAGE}),
    "send with a delay": ("send", {"message": MESSAGE, "sleep_seconds": 1}),
    "send_batch": ("send_batch", {"messages": [MESSAGE]}),
    "send_batch with a delay": ("send_batch", {"messages": [MESSAGE], "sleep_seconds": 1}),
    "read": ("read", {"n": 1, "sleep_seconds": 600}),
    "pop": ("pop", {}),
    "delete": ("delete", {"message_id": 1}),
    "archive": ("archive", {"message_id": 1}),
}


@pytest.mark.parametrize(("function", "arguments"), CALLS.values(), ids=CALLS)
async def test_waiting_calls_of_one_function_share_a_transaction(
    crowd: Crowd, jobs: str, ann: Headers, function: str, arguments: Json
) -> None:
    crowd.sql(f"select pgmq.send_batch('{jobs}', array_fill(%s::jsonb, array[100]))", json.dumps(MESSAGE))
    asked = {"queue_name": jobs, **arguments}
    await until_shared(lambda: [crowd.call(function, asked, ann) for _ in range(5)], crowd)


def delivered(gateway: RunningGateway, queue: str, count: int) -> list[str]:
    """The receipts of new messages that were read."""
    gateway.sql(f"select pgmq.send_batch('{queue}', array_fill(%s::jsonb, array[{count}]))", json.dumps(MESSAGE))
    return [receipt for (receipt,) in gateway.sql("select receipt from pgmq_api.read(%s, 600, %s)", queue, count)]


# Method and path, body; %s is a receipt.
LEASES: dict[str, tuple[str, str, Json | None]] = {
    "send": ("POST", "/rpc/send", {"message": MESSAGE}),
    "read": ("POST", "/rpc/read", {"n": 1}),
    "pop": ("POST", "/rpc/pop", {}),
    "ack": ("POST", "/rpc/ack", {"receipt": "%s"}),
    "settle": ("POST", "/rpc/settle", {"acks": ["%s"]}),
    "delete": ("POST", "/rpc/delete", {"message_id": 1}),
    "a resource: send": ("POST", "/queues/%q/messages?sleep_seconds=1", MESSAGE),
    "a resource: read": ("GET", "/queues/%q/messages", None),
    "a resource: pop": ("POST", "/queues/%q/messages/pop", None),
    "a resource: ack": ("DELETE", "/queues/%q/messages/%s", None),
    "a resource: settle": ("POST", "/queues/%q/settle", {"acks": ["%s"]}),
}


@pytest.mark.parametrize(("method", "path", "body"), LEASES.values(), ids=LEASES)
async def test_waiting_calls_of_pgmq_api_share_a_transaction(
    gateway: RunningGateway, crowd: Crowd, jobs: str, ann: Headers, method: str, path: str, body: Json | None
) -> None:
    headers = {**ann, "Content-Profile": "pgmq_api", "Content-Type": "application/json"}

    def call(receipt: str) -> Response:
        given = None if body is None else body if "queues" in path else {**body, "queue_name": jobs}
        content = None if given is None else json.dumps(given).replace("%s", receipt)
        url = path.replace("%q", jobs).replace("%s", receipt)
        return crowd.client.request(method, url, headers=headers, content=content)

    await until_shared(lambda: [call(receipt) for receipt in delivered(gateway, jobs, 5)], crowd)


async def test_acks_that_share_a_transaction_do_not_notice_each_other(
    gateway: RunningGateway, crowd: Crowd, jobs: str, ann: Headers
) -> None:
    headers = {**ann, "Content-Profile": "pgmq_api"}

    def ack(receipt: str) -> Response:
        return crowd.call("ack", {"queue_name": jobs, "receipt": receipt}, headers)

    await until_shared(lambda: [ack(one) for one in delivered(gateway, jobs, 3)], crowd)
    one, two, three, four = delivered(gateway, jobs, 4)
    number = three.partition(".")[0]
    answers = await crowd.together(
        ack(one), ack(three.replace(".1.", ".2.")), ack(f"{number}.x"), ack(one), ack(two), ack("9999.1.1")
    )
    outcomes = [answer.json() if answer.is_success else answer.json()["code"] for answer in answers]
    assert sorted([outcomes.pop(3), outcomes.pop(0)]) == ["acked", "gone"]
    assert outcomes == ["stale", "22P02", "acked", "gone"]
    assert crowd.sql(f"select q.msg_id::text from pgmq.q_{jobs} as q order by q.msg_id") == [
        (left.partition(".")[0],) for left in (three, four)
    ]


@pytest.mark.parametrize("settings", ['{"group_limit": 2}', '{"deduplication_by_content": true}'])
async def test_settings_that_forbid_it_end_sharing_at_once(
    crowd: Crowd, jobs: str, ann: Headers, settings: str
) -> None:
    headers = {**ann, "Content-Profile": "pgmq_api"}

    def send(n: int) -> Response:
        return crowd.call("send", {"queue_name": jobs, "message": {**MESSAGE, "n": n}}, headers)

    await until_shared(lambda: [send(n) for n in range(4)], crowd)
    crowd.sql(f"delete from pgmq.q_{jobs}")
    crowd.sql("select pgmq_admin.set_queue_settings(%s, %s::jsonb)", jobs, settings)
    for number in (4, 8):
        answers = await crowd.together(*(send(n) for n in range(number)))
        assert [answer.status_code for answer in answers] == [200] * number
    found = transactions(crowd, jobs)
    assert sorted(found) == list(range(8))
    assert len(set(found.values())) == len(found)


async def test_n6_sends_that_wait_are_one_statement(crowd: Crowd, sharing: str, send: Send) -> None:
    async def fused() -> bool:
        crowd.sql(f"delete from pgmq.q_{sharing}")
        answers = await crowd.together(*(send(n) for n in range(5)))
        rows = crowd.sql(f"select msg_id, message->>'n', xmin::text, cmin::text from pgmq.q_{sharing}")
        assert {(answer.json()[0], str(n)) for n, answer in enumerate(answers)} == {row[:2] for row in rows}
        return len({row[2:] for row in rows}) == 1

    await until_async(fused)


def keyed(headers: Headers, key: str) -> Headers:
    return {**headers, "Idempotency-Key": key}


def replayed(answers: Sequence[httpx.Response]) -> list[bool]:
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    return ["Idempotency-Replayed" in answer.headers for answer in answers]


async def test_sends_with_new_keys_share_a_transaction_and_can_be_repeated(
    crowd: Crowd, sharing: str, send: Send, ann: Headers
) -> None:
    async def shared() -> bool:
        crowd.sql(f"delete from pgmq.q_{sharing}")
        keys = [str(uuid.uuid4()) for _ in range(4)]

        def calls() -> list[Response]:
            return [send(n, keyed(ann, key)) for n, key in enumerate(keys)]

        first, again = await crowd.together(*calls()), await crowd.together(*calls())
        assert (replayed(first), replayed(again)) == ([False] * 4, [True] * 4)
        assert [answer.text for answer in again] == [answer.text for answer in first]
        found = transactions(crowd, sharing)
        assert sorted(found) == [0, 1, 2, 3]
        return len(set(found.values())) == 1

    await until_async(shared)


async def test_a_failed_call_beside_others_with_keys_leaves_no_key(
    crowd: Crowd, sharing: str, send: Send, ann: Headers
) -> None:
    crowd.sql(f"alter table pgmq.q_{sharing} add constraint no_ones check (message->>'n' <> '1')")
    await until_shared(lambda: [send(n) for n in (5, 6, 7)], crowd)
    crowd.sql(f"delete from pgmq.q_{sharing}")
    keys = [str(uuid.uuid4()) for _ in range(3)]

    def calls() -> list[Response]:
        return [send(n, keyed(ann, key)) for n, key in enumerate(keys)]

    for known in (False, True):
        first, failed, last = await crowd.together(*calls())
        assert replayed([first, last]) == [known, known]
        assert failed.json()["code"] == "23514"
    crowd.sql(f"alter table pgmq.q_{sharing} drop constraint no_ones")
    assert replayed(await crowd.together(*calls())) == [True, False, True]
    assert sorted(transactions(crowd, sharing)) == [0, 1, 2]


async def test_calls_beside_used_keys_and_other_callers_execute_once(
    crowd: Crowd, sharing: str, send: Send, ann: Headers, service: Headers
) -> None:
    used, *keys = (str(uuid.uuid4()) for _ in range(5))
    assert replayed([await send(0, keyed(ann, used))]) == [False]

    def calls() -> list[Response]:
        return [
            send(0, keyed(ann, used)),
            send(1, keyed(ann, keys[0])),
            send(2, keyed(ann, keys[1])),
            send(2, keyed(ann, keys[1])),
            send(3, keyed(service, keys[2])),
            send(4, keyed(service, keys[3])),
        ]

    first = await crowd.together(*calls(), send(5), send(6), send(7, service))
    assert replayed(first)[:2] == [True, False]
    assert sorted(replayed(first)[2:4]) == [False, True]
    assert replayed(first)[4:] == [False] * 5
    assert sorted(transactions(crowd, sharing)) == list(range(8))
    assert replayed(await crowd.together(*calls())) == [True] * 6
    assert sorted(transactions(crowd, sharing)) == list(range(8))


async def test_a_transaction_has_a_limited_number_of_calls(crowd: Crowd, jobs: str, send: Send) -> None:
    async def limited() -> bool:
        crowd.sql(f"delete from pgmq.q_{jobs}")
        await crowd.together(*(send(n) for n in range(140)))
        found = list(transactions(crowd, jobs).values())
        sizes = sorted(found.count(one) for one in set(found))
        assert sizes[-1] <= 64
        return sizes[-1] == 64

    await until_async(limited)


async def test_calls_that_do_not_wait_have_a_transaction_each(crowd: Crowd, sharing: str, send: Send) -> None:
    for n in range(5):
        await send(n)
    assert len(set(transactions(crowd, sharing).values())) == 5


async def test_callers_that_differ_in_one_byte_do_not_share(
    gateway: RunningGateway, crowd: Crowd, jobs: str, send: Send, bearer: Bearer
) -> None:
    gateway.sql(f"create policy everybody on pgmq.q_{jobs} using (true)")
    subs = ["ann", "anm", "ann ", "Ann", "änn", "a\u0308nn"]
    callers = [bearer("authenticated", sub=ANN, name=name) for name in subs]
    callers += [bearer("authenticated", sub=ANN, n=n) for n in (1, 1.0, "1", True, None)]
    callers += [bearer("service_role", sub=ANN), bearer("anon", sub=ANN), bearer("anon"), {}]
    both = [{**PROFILE, **caller} for caller in callers * 2]

    async def shared_by_caller() -> bool:
        crowd.sql(f"delete from pgmq.q_{jobs}")
        answers = await crowd.together(*(send(n, caller) for n, caller in enumerate(both)))
        assert [answer.status_code for answer in answers] == [200] * len(both)
        found = transactions(crowd, jobs)
        first, second = ([found[n + start] for n in range(len(callers))] for start in (0, len(callers)))
        assert len(set(first)) == len(set(second)) == len(callers)
        assert all(other == first[n] or other not in first for n, other in enumerate(second))
        return first == second

    await until_async(shared_by_caller)


@pytest.mark.parametrize(
    "asked",
    [
        {"headers": {"Prefer": "timezone=Asia/Tokyo"}},
        {"headers": {"Prefer": "tx=commit"}, "params": {"limit": "1"}},
        {"headers": {"Accept": "application/vnd.pgrst.object+json"}},
        {"headers": {"Accept": "text/csv"}},
        {"arguments": {"message": {"owner": ANN, "n": -1, "pad": "x" * 65536}}},
    ],
    ids=["a time zone", "a limit", "one object", "CSV", "a long body"],
)
async def test_shaped_and_long_calls_have_a_transaction_of_their_own(
    crowd: Crowd, jobs: str, send: Send, ann: Headers, asked: Json
) -> None:
    arguments = {"queue_name": jobs, "message": {"owner": ANN, "n": -1}, **asked.get("arguments", {})}

    async def others_share() -> bool:
        crowd.sql(f"delete from pgmq.q_{jobs}")
        shaped = crowd.call("send", arguments, {**ann, **asked.get("headers", {})}, params=asked.get("params"))
        answers = await crowd.together(send(1), shaped, send(2))
        assert [answer.is_success for answer in answers] == [True] * 3, [answer.text for answer in answers]
        found = transactions(crowd, jobs)
        assert found[-1] not in (found[1], found[2])
        return found[1] == found[2]

    await until_async(others_share)


async def test_calls_on_other_queues_and_of_other_functions_have_other_transactions(
    gateway: RunningGateway, crowd: Crowd, jobs: str, send: Send, ann: Headers
) -> None:
    other = create_queue(gateway)
    batch = {"queue_name": jobs, "messages": [{"owner": ANN, "n": 5}]}

    async def only_equal_ones_share() -> bool:
        crowd.sql(f"delete from pgmq.q_{jobs}; delete from pgmq.q_{other}")
        await crowd.together(
            send(1), send(2, queue=other), crowd.call("send_batch", batch, ann), send(3), send(4, queue=other)
        )
        here, there = transactions(crowd, jobs), transactions(crowd, other)
        assert not {here[1], here[3]} & set(there.values())
        assert here[5] not in (here[1], here[3], *there.values())
        return here[1] == here[3] and there[2] == there[4]

    await until_async(only_equal_ones_share)


FAILING: dict[str, tuple[Json, int, str]] = {
    "a policy": ({"message": {"owner": str(uuid.UUID(int=1))}}, 403, "42501"),
    "a message that the policy cannot read": ({"message": {"owner": "x"}}, 400, "22P02"),
    "a zero character": ({"message": {"owner": ANN, "text": "\0"}}, 400, "22P05"),
    "a constraint": ({"message": {"owner": ANN, "n": -1}}, 400, "23514"),
    "a delay out of range": ({"sleep_seconds": 2**31}, 400, "22003"),
}


@pytest.mark.parametrize(("wrong", "status", "code"), FAILING.values(), ids=FAILING)
async def test_a_failing_call_has_its_own_error_and_the_others_their_results(
    crowd: Crowd, jobs: str, send: Send, wrong: Json, status: int, code: str
) -> None:
    crowd.sql(f"alter table pgmq.q_{jobs} add check ((message->>'n')::int >= 0)")
    await until_shared(lambda: [send(n) for n in range(3)], crowd)
    crowd.sql(f"delete from pgmq.q_{jobs}")
    single = await send(0, **wrong)
    answers = await crowd.together(send(1), send(0, **wrong), send(2), send(0, **wrong), send(3))
    assert [answers[n].status_code for n in (0, 2, 4)] == [200] * 3
    for answer in (single, answers[1], answers[3]):
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.json() == single.json()
    assert sorted(transactions(crowd, jobs)) == [1, 2, 3]
    assert crowd.sql(f"select count(*) from pgmq.q_{jobs}") == [(3,)]


@pytest.mark.parametrize(("wrong", "status", "code"), FAILING.values(), ids=FAILING)
async def test_calls_of_several_callers_have_their_own_transactions_errors_and_results(
    crowd: Crowd, jobs: str, send: Send, bearer: Bearer, wrong: Json, status: int, code: str
) -> None:
    crowd.sql(f"alter table pgmq.q_{jobs} add check ((message->>'n')::int >= 0)")
    await until_shared(lambda: [send(n) for n in range(3)], crowd)
    crowd.sql(f"delete from pgmq.q_{jobs}")
    callers = [{**PROFILE, **bearer("authenticated", sub=ANN, n=n)} for n in range(5)]
    single = await send(0, callers[0], **wrong)
    answers = await crowd.together(*(send(n, one, **(wrong if n % 2 else {})) for n, one in enumerate(callers)))
    assert [answers[n].status_code for n in (0, 2, 4)] == [200] * 3
    for answer in (single, answers[1], answers[3]):
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.json() == single.json()
    found = transactions(crowd, jobs)
    assert (sorted(found), len(set(found.values()))) == ([0, 2, 4], 3)


async def test_n2_calls_that_settle_messages_run_in_the_order_of_the_ids(crowd: Crowd, jobs: str, ann: Headers) -> None:
    """Two shared transactions that lock the same messages in opposite orders would deadlock."""
    numbers = count()

    async def shared() -> bool:
        last = next(numbers)
        ids = [10**power + last for power in range(3, 15)]
        crowd.sql(
            f"insert into pgmq.q_{jobs} (msg_id, vt, message) overriding system value "
            "select n, now(), %s::jsonb from unnest(%s::bigint[]) as n",
            json.dumps(MESSAGE), ids,
        )  # fmt: skip
        settled = [str(n) if n % 3 else n for n in reversed(ids)]
        answers = await crowd.together(
            *(crowd.call("archive", {"queue_name": jobs, "message_id": n}, ann) for n in settled)
        )
        assert [answer.json() for answer in answers] == [True] * len(ids)
        rows = crowd.sql(f"select msg_id, xmin::text from pgmq.a_{jobs} where msg_id = any(%s) order by ctid", ids)
        if len({transaction for _, transaction in rows}) > 1:
            return False
        assert [n for n, _ in rows] == ids
        return True

    await until_async(shared)


async def test_a_locked_message_delays_only_the_call_that_deletes_it(crowd: Crowd, sharing: str, ann: Headers) -> None:
    crowd.sql(f"select pgmq.send_batch('{sharing}', array_fill(%s::jsonb, array[10]))", json.dumps(MESSAGE))
    ids = [n for (n,) in crowd.sql(f"select msg_id from pgmq.q_{sharing} order by msg_id")]

    def delete(message_id: int) -> Response:
        return crowd.call("delete", {"queue_name": sharing, "message_id": message_id}, ann)

    await until_shared(lambda: [delete(0), delete(0)], crowd)
    crowd.sql("begin")
    crowd.sql(f"select from pgmq.q_{sharing} where msg_id = %s for update", ids[-1])
    try:
        async with crowd.busy():
            calls = await crowd.in_turn(*map(delete, ids))
        assert [(await call).json() for call in calls[:-1]] == [True] * 9
        assert not calls[-1].done()
    finally:
        crowd.sql("rollback")
    assert (await calls[-1]).json() is True


async def test_a15_a_shared_transaction_leaves_no_sequence_to_another_caller(
    gateway: RunningGateway, crowd: Crowd, send: Send, service: Headers
) -> None:
    gateway.define("create function public.last() returns bigint language sql security definer as 'select lastval()'")
    try:
        await until_shared(lambda: [send(n) for n in range(3)], crowd)
        answer = await crowd.call("last", headers={**service, "Content-Profile": "public"})
        assert (answer.status_code, answer.json()["code"]) == (500, "55000")
    finally:
        gateway.define("drop function public.last")


async def test_calls_that_wait_longer_than_they_may_are_cancelled_alone(
    gateway: RunningGateway, crowd: Crowd, sharing: str, send: Send, service: Headers
) -> None:
    """The time limit of a role counts for each call."""
    gateway.sql("alter role service_role set statement_timeout = '200ms'")
    gateway.define()
    try:
        async with crowd.busy():
            calls = await crowd.in_turn(*(send(n, service) for n in range(3)))
            gateway.sql(f"begin; lock table pgmq.q_{sharing} in exclusive mode")
            began = time.monotonic()
        answers = await asyncio.gather(*calls)
        assert time.monotonic() - began > 3 * 0.2
    finally:
        gateway.sql("rollback; alter role service_role reset statement_timeout")
        gateway.define()
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(500, "57014")}
    assert transactions(crowd, sharing) == {}


Session = psycopg.AsyncConnection[tuple[Any, ...]]


@pytest.fixture
async def session(gateway: RunningGateway, directory: DataDirectory) -> AsyncIterator[Session]:
    """A session of another program."""
    ((database,),) = gateway.sql("select current_database()")
    uri = socket_uri(directory, database=database)
    async with await psycopg.AsyncConnection.connect(uri) as session:
        yield session


def blocked_by(crowd: Crowd, session: Session) -> list[bool]:
    """For each process that waits for a lock of a session, whether it runs a shared transaction."""
    rows = crowd.sql(
        "select query ~ 'pgmq_gateway.calls[(]' from pg_stat_activity where %s = any(pg_blocking_pids(pid))",
        session.info.backend_pid,
    )
    return [shared for (shared,) in rows]


@pytest.mark.parametrize("gone", [(), (1,)], ids=["all", "not of clients that have gone"])
async def test_calls_of_a_transaction_that_meets_a_lock_run_again_one_by_one(
    crowd: Crowd, sharing: str, send: Send, service: Headers, session: Session, gone: Sequence[int]
) -> None:
    kept = [n for n in range(3) if n not in gone]

    async def gave_up() -> bool:
        before = await crowd.metric(SLOW)
        crowd.sql(f"delete from pgmq.q_{sharing}")
        async with crowd.busy():
            calls = await crowd.in_turn(*(send(n, service) for n in range(3)))
            await session.execute(f"lock table pgmq.q_{sharing} in exclusive mode".encode())
        await until_async(lambda: blocked_by(crowd, session) == [False])
        for n in gone:
            calls[n].cancel()
        await asyncio.gather(*(calls[n] for n in gone), return_exceptions=True)
        # The gateway notices the disconnects before the next request on a new connection.
        assert (await crowd.client.post("/rpc/nothing")).status_code == 404
        await session.rollback()
        assert [(await calls[n]).status_code for n in kept] == [200] * len(kept)
        stored = transactions(crowd, sharing)
        assert (sorted(stored), len(set(stored.values()))) == (kept, len(kept))
        return await crowd.metric(SLOW) > before

    await until_async(gave_up)


REASONS = {"a deadlock": ("40P01", DEADLOCK), "a cancel": ("57014", SLOW), "a lock": ("55P03", SLOW)}


@pytest.mark.parametrize(("code", "metric"), REASONS.values(), ids=REASONS)
async def test_n2_calls_of_a_transaction_that_deadlocks_run_again_one_by_one(
    gateway: RunningGateway, crowd: Crowd, jobs: str, send: Send, code: str, metric: str
) -> None:
    """A policy raises the error, in a shared transaction only: these do not wait for locks."""
    gateway.sql(
        "create or replace function public.fail() returns boolean stable language plpgsql as $f$ begin "
        f"if current_setting('lock_timeout') = '50ms' then raise sqlstate '{code}'; end if; return true; end $f$"
    )
    gateway.sql(f"create policy fail on pgmq.q_{jobs} as restrictive using (true) with check (public.fail())")
    before = await crowd.metric(metric)

    async def failed() -> bool:
        crowd.sql(f"delete from pgmq.q_{jobs}")
        answers = await crowd.together(*(send(n) for n in range(3)))
        assert [answer.status_code for answer in answers] == [200] * 3
        stored = transactions(crowd, jobs)
        assert (sorted(stored), len(set(stored.values()))) == ([0, 1, 2], 3)
        return await crowd.metric(metric) > before

    await until_async(failed)
    assert await crowd.metric(metric) == before + 1
