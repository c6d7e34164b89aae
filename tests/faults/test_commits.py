"""Commits that stopped waiting for their synchronous standby: Postgres reports success after a cancel."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.answers import refusal
from tests.databases import maintain
from tests.gateways import Bearer, RunningGateway
from tests.integration.crowd import HOLD, PATIENT, Crowd, crowd_of
from tests.server import Serve
from tests.waiting import until, until_async

POOL = 8
GATEWAY = PATIENT | {"PGRST_DB_POOL": str(POOL), "PGMQ_GATEWAY_TRUSTED_PROXIES": "127.0.0.1"}
# Only the gateway waits for standbys.
SCHEMAS = (
    "do $d$ begin"
    " execute format('alter database %I set synchronous_commit = local', current_database());"
    " execute format('alter role authenticator in database %I set synchronous_commit = on', current_database());"
    " end $d$",
)
# Calls that reach it before their commit are repeated.
LIMIT = "500ms"
ROLE = (
    "create role hurried nologin inherit in role service_role; grant hurried to authenticator",
    f"alter role hurried set statement_timeout = '{LIMIT}'",
    "create policy everybody on pgmq.q_jobs to hurried using (true) with check (true)",
)
# They hide warnings.
PUT = (
    "create function public.put() returns bigint volatile language plpgsql as $f$ begin"
    " perform set_config('client_min_messages', 'error', false); return pgmq_public.send('jobs', '{}'); end $f$",
    "create function public.put_in_time() returns bigint volatile language sql"
    f" set statement_timeout = '{LIMIT}' as 'select public.put()'",
)
COMMITTING = "from pg_stat_activity where datname = current_database() and wait_event = 'SyncRep'"
UNKNOWN = (503, "PGRST001", "The call was cancelled while it was being committed.")
CANCELLED = (500, "57014")

Call = Callable[[], Awaitable[httpx.Response]]


@pytest.fixture(scope="module")
def gateway(gateway: RunningGateway, directory: DataDirectory) -> Iterator[RunningGateway]:
    """A gateway whose commits wait for a standby that does not exist."""
    gateway.define("select pgmq_admin.create_queue('jobs')", HOLD, *ROLE, *PUT)
    with no_standby(gateway, directory):
        yield gateway
    gateway.sql("drop policy everybody on pgmq.q_jobs; drop role hurried")


@contextmanager
def no_standby(gateway: RunningGateway, directory: DataDirectory) -> Iterator[None]:
    maintain(directory, "alter system set synchronous_standby_names = 'nobody'")
    try:
        maintain(directory, "select pg_reload_conf()")
        until(lambda: commits_wait(gateway, directory))
        yield
    finally:
        maintain(directory, "alter system reset synchronous_standby_names")
        maintain(directory, "select pg_reload_conf()")


def commits_wait(gateway: RunningGateway, directory: DataDirectory) -> bool:
    """True if Postgres has applied the setting, which takes it some time."""
    ((database,),) = gateway.sql("select current_database()")
    with psycopg.connect(socket_uri(directory, database=database)) as probe, ThreadPoolExecutor(1) as aside:
        probe.execute("set synchronous_commit = on")
        probe.execute("select pg_logical_emit_message(true, 'probe', '')")
        commit = aside.submit(probe.commit)
        this = f"{COMMITTING} and pid = {probe.info.backend_pid}"
        try:
            until(lambda: commit.done() or gateway.sql(f"select pid {this}"))
        finally:
            waited = bool(gateway.sql(f"select pg_cancel_backend(pid) {this}"))
        return waited


@pytest.fixture
async def crowd(gateway: RunningGateway) -> AsyncIterator[Crowd]:
    async with crowd_of(gateway, POOL) as crowd:
        yield crowd


async def outcome(call: Call) -> tuple[Any, ...]:
    """Status, code and message of an error. A call that was cancelled before its commit is repeated."""
    while True:
        answer = await call()
        assert not answer.is_success, answer.text
        if refusal(answer)[:2] != CANCELLED:
            assert answer.headers["retry-after"] == "1"
            return refusal(answer)


async def until_done(crowd: Crowd, outcomes: list["asyncio.Task[tuple[Any, ...]]"], *, cancel: bool) -> None:
    """Wait for calls. With `cancel`, an operator cancels all that wait for the standby."""

    def done() -> bool:
        if cancel:
            crowd.sql(f"select pg_cancel_backend(pid) {COMMITTING}")
        return all(outcome.done() for outcome in outcomes)

    await until_async(done)


@pytest.mark.parametrize("callers", [["a"], ["a", "a", "a"], ["a", "b", "c"]], ids=["alone", "shared", "in turn"])
@pytest.mark.parametrize(("role", "cancel"), [("service_role", True), ("hurried", False)], ids=["operator", "role"])
async def test_d1_f43_a_call_whose_commit_is_cancelled_is_no_success(
    crowd: Crowd, bearer: Bearer, role: str, callers: list[str], *, cancel: bool
) -> None:
    each = len(callers)

    def call(caller: str, function: str, **arguments: object) -> Call:
        headers = {"Content-Profile": "pgmq_public", **bearer(role, sub=caller)}
        return lambda: crowd.call(function, {"queue_name": "jobs", **arguments}, headers)

    async def transactions() -> int:
        """Make the calls, one of each function and caller. Returns the number of their transactions."""
        crowd.sql("with q as (delete from pgmq.q_jobs) delete from pgmq.a_jobs")
        ids = [
            row[0] for row in crowd.sql("select pgmq.send_batch('jobs', array_fill('{}'::jsonb, array[%s]))", 3 * each)
        ]
        calls = [
            *(call(one, "pop") for one in callers),
            *(call(one, "delete", message_id=id_) for one, id_ in zip(callers, ids[each : 2 * each], strict=True)),
            *(call(one, "archive", message_id=id_) for one, id_ in zip(callers, ids[2 * each :], strict=True)),
            *(call(one, "send", message="sent") for one in callers),
            *(call(one, "send_batch", messages=["sent", "sent"]) for one in callers),
        ]
        async with crowd.busy():
            before = await crowd.metric("pgmq_gateway_transaction_calls_count")
            outcomes = [asyncio.create_task(outcome(one)) for one in calls]
            await crowd.waiting(len(calls))
        await until_done(crowd, outcomes, cancel=cancel)
        assert {await one for one in outcomes} == {UNKNOWN}
        assert crowd.sql("select message #>> '{}' from pgmq.q_jobs") == [("sent",)] * 3 * each
        assert crowd.sql("select msg_id from pgmq.a_jobs order by 1") == [(id_,) for id_ in ids[2 * each :]]
        return await crowd.metric("pgmq_gateway_transaction_calls_count") - before

    async def one_for_each_function_and_caller() -> bool:
        return await transactions() == 5 * len(set(callers))

    # Calls of one caller share them once their queue was judged.
    await until_async(one_for_each_function_and_caller)


@pytest.mark.parametrize(("function", "cancel"), [("put", True), ("put_in_time", False)], ids=["operator", "function"])
async def test_d1_f43_a_function_that_hides_warnings_hides_no_cancelled_commit(
    crowd: Crowd, bearer: Bearer, function: str, *, cancel: bool
) -> None:
    crowd.sql("delete from pgmq.q_jobs")
    call = asyncio.create_task(outcome(lambda: crowd.call(function, headers=bearer("service_role"))))
    await until_done(crowd, [call], cancel=cancel)
    assert await call == UNKNOWN
    assert crowd.sql("select count(*) from pgmq.q_jobs") == [(1,)]


async def test_d1_f43_a_login_role_that_hides_warnings_hides_no_cancelled_commit_of_a_pooler(
    gateway: RunningGateway, crowd: Crowd, serve: Serve, bearer: Bearer
) -> None:
    gateway.sql("delete from pgmq.q_jobs")
    ((database,),) = gateway.sql("select current_database()")
    login = f"alter role authenticator in database {database}"
    gateway.sql(f"{login} set client_min_messages = error")
    # Off only behind poolers.
    pooled = serve(database, PGRST_DB_PREPARED_STATEMENTS="false")
    async with httpx.AsyncClient(base_url=pooled.url, headers=bearer("service_role"), timeout=60) as client:
        call = asyncio.create_task(outcome(lambda: client.post("/rpc/put")))
        await until_done(crowd, [call], cancel=True)
        assert await call == UNKNOWN
    gateway.sql(f"{login} reset client_min_messages")
    assert gateway.sql("select count(*) from pgmq.q_jobs") == [(1,)]


async def test_d1_f43_the_time_limit_of_the_gateway_applies_to_commits(
    gateway: RunningGateway, serve: Serve, bearer: Bearer
) -> None:
    gateway.sql("delete from pgmq.q_jobs")
    ((database,),) = gateway.sql("select current_database()")
    limited = serve(database, PGMQ_GATEWAY_CALL_TIMEOUT="0.5")
    headers = {"Content-Profile": "pgmq_public", **bearer("service_role")}
    async with httpx.AsyncClient(base_url=limited.url, headers=headers, timeout=60) as client:
        call = {"queue_name": "jobs", "message": "sent"}
        assert await outcome(lambda: client.post("/rpc/send", json=call)) == UNKNOWN
    assert gateway.sql("select count(*) from pgmq.q_jobs") == [(1,)]


async def test_a_repeated_call_is_no_success_before_the_first_one_is_on_the_standby(
    crowd: Crowd, bearer: Bearer
) -> None:
    crowd.sql("delete from pgmq.q_jobs")
    headers = {"Content-Profile": "pgmq_public", "Idempotency-Key": "a", **bearer("service_role", sub="a")}
    arguments = {"queue_name": "jobs", "message": "sent"}
    for _ in range(2):
        call = asyncio.create_task(outcome(lambda: crowd.call("send", arguments, headers)))
        await until_done(crowd, [call], cancel=True)
        assert await call == UNKNOWN
    assert crowd.sql("select count(*) from pgmq.q_jobs") == [(1,)]
