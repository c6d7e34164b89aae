"""Many callers who wait on one queue, each with a policy of its own."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import psycopg
import pytest

from tests.gateways import Bearer, RunningGateway
from tests.process.metrics import metrics
from tests.waiting import until

# More than are woken by every look at the queue.
USERS = [f"00000000-0000-0000-0000-{n:012d}" for n in range(36)]
SLEEPER = USERS[0]
GATEWAY = {"PGMQ_GATEWAY_WAIT_POLL": "0.1", "PGRST_DB_POOL": "4"}
SCHEMAS = [
    "create schema auth; grant usage on schema auth to authenticated",
    """create function auth.uid() returns uuid language sql stable as
    $$ select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$""",
    "select pgmq_admin.create_queue('jobs')",
    "select pgmq_admin.grant_queue('jobs', 'authenticated', '{read,pop}')",
    "drop policy if exists p on pgmq.q_jobs",
]

Receive = Callable[..., list[object]]
Wait = Callable[[str], "Future[list[object]]"]


@pytest.fixture
def receive(gateway: RunningGateway, bearer: Bearer) -> Receive:
    """receive(user, seconds): the messages for which a user waits, on a connection of its own."""

    def received(user: str, seconds: int = 50) -> list[object]:
        url = f"{gateway.server.url}/queues/jobs/messages/pop?wait_seconds={seconds}"
        response = httpx.post(url, headers=bearer("authenticated", sub=user), timeout=60)
        assert response.status_code == 200, response.text
        return [row["message"]["text"] for row in response.json()]

    return received


@pytest.fixture
def wait(gateway: RunningGateway, receive: Receive) -> Iterator[Wait]:
    """wait(user): what a user receives. The users who wait at the end are sent a message each."""
    waits: dict[str, Future[list[object]]] = {}

    def begin(user: str) -> "Future[list[object]]":
        waits[user] = threads.submit(receive, user)
        return waits[user]

    with ThreadPoolExecutor(len(USERS)) as threads:
        yield begin
        replace_policy(gateway, "message ->> 'to' = auth.uid()::text")
        for user, result in waits.items():
            if not result.done():
                send(gateway, user, "end")


@pytest.fixture(autouse=True)
def empty(gateway: RunningGateway) -> None:
    gateway.sql("delete from pgmq.q_jobs")


def replace_policy(gateway: RunningGateway, policy: str) -> None:
    """At once: a probe of the callers before may be running, and would meet the queue without a policy."""
    gateway.sql(
        f"drop policy if exists p on pgmq.q_jobs; create policy p on pgmq.q_jobs to authenticated using ({policy})"
    )


def send(gateway: RunningGateway, to: str, text: str = "hello") -> None:
    gateway.sql("select pgmq.send('jobs', jsonb_build_object('to', %s::text, 'text', %s::text))", to, text)


def metric(gateway: RunningGateway, name: str) -> float:
    return metrics(gateway.server)[f"pgmq_gateway_{name}"]


@pytest.mark.parametrize("uid", ["auth.uid()", "(select auth.uid())"])
def test_22_of_many_users_only_the_recipient_reads(
    gateway: RunningGateway, bearer: Bearer, wait: Wait, uid: str
) -> None:
    replace_policy(gateway, f"message ->> 'to' = {uid}::text")
    probes = metric(gateway, "policy_probes_total")
    results = {user: wait(user) for user in USERS}
    until(lambda: metric(gateway, "waiting") == len(USERS))

    def probed() -> bool:
        # A probe that met the change of policies is followed by a second without probes: then one message is too few.
        send(gateway, "nobody")
        return metric(gateway, "policy_probes_total") > probes

    until(probed)
    # By SQL, in one transaction and so at one time, and by a call of this process.
    gateway.sql("select pgmq.send_batch('jobs', array(select jsonb_build_object('to', u, 'text', 'hello') from"
                " unnest(%s::text[]) as u))", USERS[3:6])  # fmt: skip
    message = {"messages": [{"to": USERS[7], "text": "hello"}]}
    sent = httpx.post(f"{gateway.server.url}/queues/jobs/messages", headers=bearer("service_role"), json=message)
    assert sent.status_code == 201, sent.text
    for user in (*USERS[3:6], USERS[7]):
        assert results[user].result() == ["hello"]
    assert sum(result.done() for result in results.values()) == 4


def test_21_hiding_policy_does_not_spin(gateway: RunningGateway, receive: Receive) -> None:
    replace_policy(gateway, "message ->> 'to' = auth.uid()::text")
    attempts = 'wait_attempts_total{outcome="empty"}'
    before = metric(gateway, attempts)
    with ThreadPoolExecutor(3) as threads:
        results = [threads.submit(receive, user, 1) for user in USERS[:3]]
        while not all(result.done() for result in results):
            send(gateway, "nobody")
        assert [result.result() for result in results] == [[], [], []]
    # Far fewer than messages and looks.
    assert metric(gateway, attempts) - before <= 3 * 8


def test_24_sleeping_policy_stops_no_other_caller(gateway: RunningGateway, wait: Wait) -> None:
    # Its sleep lasts as long as the test holds the lock.
    replace_policy(
        gateway,
        f"case auth.uid() when '{SLEEPER}' then pg_advisory_xact_lock_shared(24) is not null"
        " else message ->> 'to' = auth.uid()::text end",
    )
    sleeper, user = wait(SLEEPER), wait(USERS[1])
    until(lambda: metric(gateway, "waiting") == 2)
    gateway.sql("select pg_advisory_lock(24)")
    try:
        send(gateway, SLEEPER)
        until(lambda: gateway.sql("select 1 from pg_locks where locktype = 'advisory' and not granted"))
        send(gateway, USERS[1])
        assert user.result() == ["hello"]
        assert not sleeper.done()
    finally:
        gateway.sql("select pg_advisory_unlock(24)")
    assert sleeper.result() == ["hello"]


def test_27_late_commit_is_found(gateway: RunningGateway, wait: Wait) -> None:
    replace_policy(gateway, "message ->> 'to' = auth.uid()::text")
    uri = gateway.sql("select current_setting('unix_socket_directories'), current_setting('port'), current_database()")
    (folder, port, database) = uri[0]
    with psycopg.connect(host=folder, port=port, dbname=database, user="postgres") as late:
        late.execute("select pgmq.send('jobs', %s)", [f'{{"to": "{USERS[0]}", "text": "late"}}'])
        # It was visible an hour ago, if it had been committed.
        late.execute("update pgmq.q_jobs set vt = vt - interval '1 hour'")
        first, second = wait(USERS[0]), wait(USERS[1])
        until(lambda: metric(gateway, "waiting") == 2)
        send(gateway, "nobody")
        send(gateway, USERS[1])
        assert second.result() == ["hello"]
        assert not first.done()
        late.commit()
    assert first.result() == ["late"]
