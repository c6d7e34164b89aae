"""Calls that wait for messages. The gateway looks at its queues once a minute, so that only wake-ups are in time."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from pgmq_gateway.auth.authenticator import CLOCK_SKEW_SECONDS
from pgmq_gateway.auth.signing import token
from pgmq_gateway.http.server import DRAIN_SECONDS
from tests.gateways import Bearer, Headers, RunningGateway
from tests.integration.waits import Received, Waits, attempts, waiting, waits_at
from tests.server import SECRET
from tests.waiting import repeated, until

GATEWAY = {"PGMQ_GATEWAY_WAIT_POLL": "60"}
QUEUES = ("jobs", "second", "third")
# Readers that wait for a lock of the test.
LOCK = 1720
HELD = """
create function public.{name}(queue_name text) returns setof {type} volatile language plpgsql as
$$ begin perform pg_advisory_xact_lock({lock}); return query select * from {reader}; end $$
"""
RECEIVE = """
create function public.{name}(queue_name text, n int default 1) returns setof pgmq.message_record volatile {settings}
begin atomic select * from pgmq.read(queue_name, 30, n); end
"""
SCHEMAS = (
    *(f"select pgmq_admin.create_queue('{queue}')" for queue in QUEUES),
    "select pgmq_admin.grant_queue('jobs', 'authenticated', '{read}')",
    "create policy nobody on pgmq.q_jobs to authenticated using (false)",
    # Readers of a user, one of which may not run for long.
    RECEIVE.format(name="receive", settings=""),
    RECEIVE.format(name="receive_quickly", settings="set statement_timeout = '300ms'"),
    HELD.format(name="with_receipts", type="pgmq_api.message", lock=LOCK, reader="pgmq_api.read(queue_name)"),
    HELD.format(name="without_receipts", type="pgmq.message_record", lock=LOCK, reader="pgmq.read(queue_name, 30, 1)"),
)
SINGULAR = {"Accept": "application/vnd.pgrst.object+json"}


@pytest.fixture(autouse=True)
def empty(gateway: RunningGateway) -> None:
    gateway.sql("truncate pgmq.q_jobs, pgmq.q_second, pgmq.q_third")


@pytest.fixture
def service(bearer: Bearer) -> Headers:
    return {**bearer("service_role"), "Content-Profile": "pgmq_api"}


@pytest.fixture
def waits(gateway: RunningGateway) -> Iterator[Waits]:
    with waits_at(gateway) as waits:
        yield waits


def send(
    gateway: RunningGateway, headers: Headers, *messages: object, queue_name: str = "jobs", delay: int = 0
) -> None:
    arguments = {"queue_name": queue_name, "messages": messages, "sleep_seconds": delay}
    gateway.client.post("/rpc/send_batch", headers=headers, json=arguments).raise_for_status()


def test_wait_returns_at_once_with_a_message(gateway: RunningGateway, service: Headers, waits: Waits) -> None:
    send(gateway, service, 1)
    assert waits.send(service, "read", {"queue_name": "jobs"}).received().messages == [1]


def test_time_up_is_an_empty_read(waits: Waits, service: Headers) -> None:
    """And 406 for a single object, also of a waiter that has made no attempt because another one has."""
    waits.begin(service | SINGULAR)
    read, singular = [
        waits.send(headers, "read", {"queue_name": "jobs"}, 1) for headers in (service, service | SINGULAR)
    ]
    response, refused = read.received(), singular.received()
    assert (response.messages, response.headers["preference-applied"]) == ([], "wait=1")
    assert (refused.status, refused.body["code"]) == (406, "PGRST116")


@pytest.mark.parametrize("profile", ["pgmq_api", "pgmq_public"])
@pytest.mark.parametrize("queue_name", ["jobs", "JOBS"])
def test_send_in_this_process_wakes_a_waiter(
    gateway: RunningGateway, waits: Waits, service: Headers, profile: str, queue_name: str
) -> None:
    wait = waits.begin(service, queue_name=queue_name)
    send(gateway, service | {"Content-Profile": profile}, profile, queue_name="Jobs")
    assert wait.received().messages == [profile]


def test_a_resource_waits(gateway: RunningGateway, waits: Waits, service: Headers) -> None:
    """A POST of `/queues/…` sends, and the dashboard does the same."""
    wait = waits.begin(service)
    gateway.client.post("/queues/jobs/messages", headers=service, json=1).raise_for_status()
    assert wait.received().messages == [1]


def test_delayed_message_is_found_by_its_timer(gateway: RunningGateway, waits: Waits, service: Headers) -> None:
    profiles = {"jobs": "pgmq_api", "second": "pgmq_public"}
    begun = {queue: waits.begin(service, queue_name=queue) for queue in profiles}
    for queue, profile in profiles.items():
        send(gateway, service | {"Content-Profile": profile}, profile, queue_name=queue, delay=1)
    assert [begun[queue].received().messages for queue in profiles] == [[profile] for profile in profiles.values()]


def test_delayed_message_is_found_by_a_later_wait(gateway: RunningGateway, waits: Waits, service: Headers) -> None:
    gateway.sql("select pgmq.send('jobs', '1', clock_timestamp() + interval '0.3 s')")
    assert waits.send(service, "read", {"queue_name": "jobs"}).received().messages == [1]


def test_expired_lease_is_found_by_its_timer(gateway: RunningGateway, waits: Waits, service: Headers) -> None:
    send(gateway, service, 1)
    gateway.sql("update pgmq.q_jobs set vt = clock_timestamp() + interval '0.3 s', read_ct = 1")
    assert waits.send(service, "read", {"queue_name": "jobs"}).received().messages == [1]


def test_a_retry_wakes_a_waiter(gateway: RunningGateway, waits: Waits, service: Headers) -> None:
    send(gateway, service, 1)
    (read,) = gateway.client.post("/rpc/read", headers=service, json={"queue_name": "jobs"}).json()
    wait = waits.begin(service)
    settled = {"queue_name": "jobs", "receipt": read["receipt"], "delay_seconds": 0}
    gateway.client.post("/rpc/retry", headers=service, json=settled).raise_for_status()
    assert wait.received().messages == [1]


def test_thousand_waiters_use_no_connection(gateway: RunningGateway, waits: Waits, service: Headers) -> None:
    for _ in range(1000):
        waits.send(service, "read", {"queue_name": "jobs"})
    until(lambda: waiting(gateway) == 1000)
    # The pool, the catalog's connection, the look at queues, and this test.
    assert gateway.sql("select count(*) <= 5 from pg_stat_activity where datname = current_database()") == [(True,)]
    assert gateway.client.get("/").status_code == 200


def test_one_message_wakes_one_of_a_waiter_group(gateway: RunningGateway, waits: Waits, service: Headers) -> None:
    # With n = 1, the first one's read would be full, and wake the next.
    first, *others = [waits.begin(service, n=2) for _ in range(5)]
    before = attempts(gateway, "messages"), attempts(gateway, "empty")
    send(gateway, service, 1)
    assert first.received().messages == [1]
    assert waiting(gateway) == len(others)
    assert (attempts(gateway, "messages"), attempts(gateway, "empty")) == (before[0] + 1, before[1])


def test_waiter_group_is_served_in_order(gateway: RunningGateway, waits: Waits, service: Headers) -> None:
    # No read is full, or the next waiter would be looking for more messages when the next one is sent.
    begun = [waits.begin(service, n=2) for _ in range(3)]
    for number, wait in enumerate(begun):
        send(gateway, service, number)
        assert wait.received().messages == [number]


def test_batch_wakes_as_many_as_it_has_messages(gateway: RunningGateway, waits: Waits, service: Headers) -> None:
    begun = [waits.begin(service) for _ in range(5)]
    send(gateway, service, 1, 2, 3)
    until(lambda: sum(wait.answered for wait in begun) == 3)
    received = [message for wait in begun if wait.answered for message in wait.received().messages]
    assert sorted(received) == [1, 2, 3]  # type: ignore[type-var]
    assert waiting(gateway) == 2


def test_full_read_wakes_the_next(gateway: RunningGateway, waits: Waits, service: Headers) -> None:
    begun = [waits.begin(service, n=2) for _ in range(3)]
    gateway.sql("select pgmq.send_batch('jobs', array['1', '2', '3', '4']::jsonb[])")
    send(gateway, service, 5)
    assert sorted(message for wait in begun for message in wait.received().messages) == [1, 2, 3, 4, 5]  # type: ignore[type-var]


def test_groups_of_one_caller_are_woken_in_turn(gateway: RunningGateway, waits: Waits, service: Headers) -> None:
    """A wake-up is passed on if the first group cannot see the message."""
    picky = waits.begin(service, conditional={"kind": "rare"})
    wait = waits.begin(service)
    send(gateway, service, {"kind": "common"})
    assert wait.received().messages == [{"kind": "common"}]
    send(gateway, service, {"kind": "rare"})
    assert picky.received().messages == [{"kind": "rare"}]


def test_f50_a_disconnected_waiter_passes_its_wakeup_on(
    gateway: RunningGateway, waits: Waits, service: Headers
) -> None:
    first, second = waits.begin(service), waits.begin(service)
    waits.end(first)
    send(gateway, service, 1)
    assert second.received().messages == [1]


def test_disconnected_waiters_are_forgotten(gateway: RunningGateway, waits: Waits, service: Headers) -> None:
    begun = [waits.begin(service) for _ in range(3)]
    waits.end(*begun[1:])
    until(lambda: waiting(gateway) == 1)


@pytest.mark.parametrize(("function", "sent_again"), [("with_receipts", True), ("without_receipts", False)])
def test_f50_reads_of_a_disconnected_client_are_given_back(
    gateway: RunningGateway, waits: Waits, service: Headers, function: str, *, sent_again: bool
) -> None:
    gateway.sql("select pgmq.send('jobs', '1')")
    gateway.sql("select pg_advisory_lock(%s)", LOCK)
    wait = waits.send(service | {"Content-Profile": "public"}, function, {"queue_name": "jobs"})
    until(
        lambda: gateway.sql("select 1 from pg_locks where locktype = 'advisory' and objid = %s and not granted", LOCK)
    )
    wait.disconnect(gateway)
    gateway.sql("select pg_advisory_unlock(%s)", LOCK)
    waits.end(wait)
    until(lambda: waiting(gateway) == 0)
    again = gateway.client.post("/rpc/read", headers=service, json={"queue_name": "jobs"}).json()
    # The count of reads stays: a receipt must not be valid twice.
    assert [row["read_ct"] for row in again] == ([2] if sent_again else [])


def test_hiding_policy_does_not_spin(gateway: RunningGateway, waits: Waits, service: Headers, bearer: Bearer) -> None:
    waits.begin({**bearer("authenticated"), "Content-Profile": "pgmq_public"}, sleep_seconds=30, n=1)
    before, began = attempts(gateway, "empty"), time.monotonic()
    for _ in range(100):
        send(gateway, service, 1)
    # Seven in the first two seconds, then one in each.
    assert attempts(gateway, "empty") - before <= 8 + time.monotonic() - began
    assert waiting(gateway) == 1


def test_token_expiry_ends_the_wait(waits: Waits) -> None:
    """One that has expired is accepted for a while. On a busy machine it may be rejected at once."""

    def receive() -> Received:
        expired = token(SECRET.encode(), "service_role", {}, 1 - CLOCK_SKEW_SECONDS)
        headers = {"Authorization": f"Bearer {expired}", "Content-Profile": "pgmq_api"}
        return waits.send(headers, "read", {"queue_name": "jobs"}).received()

    # Otherwise this would exceed the test's time limit.
    assert repeated(receive, lambda response: response.status == 401).messages == []


def test_role_timeout_does_not_cut_the_wait(waits: Waits, service: Headers) -> None:
    """The time limit is that of the function, which applies to each attempt; on a busy machine one may exceed it."""

    def receive() -> Received:
        return waits.send(
            service | {"Content-Profile": "public"}, "receive_quickly", {"queue_name": "jobs"}, 1
        ).received()

    assert repeated(receive, lambda response: response.status == 500).messages == []


def test_user_defined_reader_waits(gateway: RunningGateway, waits: Waits, service: Headers) -> None:
    wait = waits.begin(service | {"Content-Profile": "public"}, "receive")
    send(gateway, service, 1)
    assert wait.received().messages == [1]


@pytest.mark.parametrize("queue_name", ["second", "missing"])
def test_missing_privilege_is_refused_at_once(waits: Waits, bearer: Bearer, queue_name: str) -> None:
    headers = {**bearer("authenticated"), "Content-Profile": "pgmq_api"}
    response = waits.send(headers, "read", {"queue_name": queue_name}).received()
    assert (response.status, response.body["code"]) == ((403, "42501") if queue_name == "second" else (404, "42P01"))


def test_read_any_waits_on_three_queues(gateway: RunningGateway, waits: Waits, service: Headers) -> None:
    begun = [waits.send(service, "read_any", {"queue_names": QUEUES}) for _ in QUEUES]
    until(lambda: waiting(gateway) == 3)
    for queue in QUEUES:
        send(gateway, service, queue, queue_name=queue.upper())
    assert sorted(wait.received().body[0]["queue_name"] for wait in begun) == sorted(QUEUES)


def test_a_form_waits(gateway: RunningGateway, service: Headers) -> None:
    """Its arguments are texts."""
    url, form = f"{gateway.server.url}/rpc/read_any", {"queue_names": '{second,"jobs"}'}
    with ThreadPoolExecutor(1) as thread:
        wait = thread.submit(httpx.post, url, headers=service | {"Prefer": "wait=50"}, data=form, timeout=60)
        until(lambda: waiting(gateway) == 1)
        send(gateway, service, 1)
        assert [row["message"] for row in wait.result().json()] == [1]


def test_empty_wait_with_a_key_is_not_stored(gateway: RunningGateway, waits: Waits, service: Headers) -> None:
    """Its repetition waits again, and what that finds is stored."""
    keys = gateway.sql("select count(*) from pgmq_gateway.idempotency_keys")
    arguments = {"queue_name": "jobs"}
    calls = {
        function: service | {"Content-Profile": schema, "Idempotency-Key": f'"a key for {function} that can be shared"'}
        for function, schema in {"pop": "pgmq_api", "receive": "public"}.items()
    }

    def csv(function: str) -> str:
        key = f'"a key for {function} as CSV that can be shared"'
        headers = calls[function] | {"Prefer": "wait=1", "Accept": "text/csv", "Idempotency-Key": key}
        return gateway.client.post(f"/rpc/{function}", headers=headers, json=arguments).raise_for_status().text

    with ThreadPoolExecutor(len(calls)) as threads:
        texts = threads.map(csv, calls)
        empty = [waits.send(keyed, function, arguments, 1) for function, keyed in calls.items()]
        assert [wait.received().messages for wait in empty] == [[], []]
        assert list(texts) == ["\n", "\n"]
    assert gateway.sql("select count(*) from pgmq_gateway.idempotency_keys") == keys
    for function, keyed in calls.items():
        gateway.sql("truncate pgmq.q_jobs")
        wait = waits.send(keyed, function, arguments)
        until(lambda: waiting(gateway) == 1)
        send(gateway, service, 1, 2)
        assert wait.received().messages == [1]
        repeated = waits.send(keyed, function, arguments).received()
        assert repeated.messages == [1]
        assert repeated.headers["idempotency-replayed"] == "true"


def test_waits_with_one_key_get_one_answer(gateway: RunningGateway, waits: Waits, service: Headers) -> None:
    keyed = service | {"Idempotency-Key": '"another key that is long enough to be shared"'}
    begun = [waits.begin(keyed, n=5) for _ in range(3)]
    send(gateway, service, 1)
    assert [wait.received().messages for wait in begun] == [[1]] * 3
    assert gateway.sql("select read_ct from pgmq.q_jobs") == [(1,)]


def test_f51_a_reload_ends_waits_of_the_old_gateway(gateway: RunningGateway, waits: Waits, service: Headers) -> None:
    begun = [waits.begin(service) for _ in range(3)]
    gateway.server.process.send_signal(signal.SIGHUP)
    assert [wait.received().messages for wait in begun] == [[]] * 3
    waits.end(*begun)
    wait = waits.begin(service)
    send(gateway, service, 1)
    assert wait.received().messages == [1]


def test_f51_sigterm_ends_all_waits(alone: RunningGateway, service: Headers) -> None:
    """Otherwise they would use up the drain, which takes longer than this test allows."""
    alone.sql("select pgmq_admin.create_queue('jobs')")
    waits = Waits(alone)
    begun = [waits.begin(service) for _ in range(3)]
    alone.server.process.send_signal(signal.SIGTERM)
    for wait in begun:
        response = wait.received()
        assert (response.messages, response.headers["connection"]) == ([], "close")
    waits.end(*begun)
    assert alone.server.process.wait(DRAIN_SECONDS - 5) == 0
