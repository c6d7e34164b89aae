"""A gateway behind PgBouncer in transaction mode, where each transaction can run on another server connection."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest

from bench.pgbouncer import PROGRAM, PgBouncer, pgbouncer
from pgmq_gateway.database.connector import connect
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import server
from tests.answers import refusal
from tests.conftest import missing
from tests.databases import runner
from tests.gateways import Bearer, RunningGateway
from tests.process.metrics import metrics
from tests.server import SECRET, Serve
from tests.sessions import LEFT_BEHIND, SESSION_FUNCTIONS
from tests.waiting import until


@pytest.fixture(scope="module")
def bouncer(directory: DataDirectory, template: str, folder: Path) -> Iterator[PgBouncer]:
    """PgBouncer with two server connections for each role, in front of a database of its own."""
    if PROGRAM is None:
        missing("pgbouncer", "PgBouncer is not installed")
    with psycopg.connect(socket_uri(directory), autocommit=True) as maintenance:
        maintenance.execute(f"create database pooled template {template}".encode())
        with pgbouncer(folder / "pgbouncer", socket_uri(directory, "authenticator", "pooled"), 2) as running:
            yield running
        maintenance.execute("drop database pooled with (force)")


@pytest.fixture(scope="module")
def pooled(
    directory: DataDirectory, bouncer: PgBouncer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """A gateway whose four connections for calls share two server connections of PgBouncer."""
    settings = {
        "PGRST_JWT_SECRET": SECRET,
        "PGRST_DB_POOL": "4",
        "PGMQ_GATEWAY_CALL_TIMEOUT": "60",
        "PGMQ_GATEWAY_WAIT_POLL": "0.1",
        **bouncer.settings,
    }
    running = server.start(tmp_path_factory.mktemp("pooled") / "log", env=settings)
    with (
        httpx.Client(base_url=running.url, timeout=30) as client,
        psycopg.connect(socket_uri(directory, database="pooled"), autocommit=True) as connection,
    ):
        yield RunningGateway(running, client, runner(connection))
    assert running.stop() == 0, running.log.read_text()


def test_37_f46_pgbouncer_without_listen_uri_still_delivers(
    pooled: RunningGateway, bouncer: PgBouncer, serve: Serve, bearer: Bearer
) -> None:
    """Twice: a message that SQL sends, which the next poll finds, and one that the same gateway sends."""
    pooled.sql("select pgmq_admin.create_queue('awaited')")
    without = {name: value for name, value in bouncer.settings.items() if name != "PGMQ_GATEWAY_LISTEN_URI"}
    gateway = serve("pooled", **without)
    headers = {"Content-Profile": "pgmq_public", **bearer("service_role")}
    with httpx.Client(base_url=gateway.url, headers=headers, timeout=60) as client:

        def pop() -> list[object]:
            answer = client.post("/rpc/pop", json={"queue_name": "awaited"}, headers={"Prefer": "wait=50"})
            return [message["message"] for message in answer.json()]

        def send() -> object:
            return client.post("/rpc/send", json={"queue_name": "awaited", "message": 1})

        for sends in (lambda: pooled.sql("select pgmq.send('awaited', '1')"), send):
            with ThreadPoolExecutor(1) as threads:
                waiting = threads.submit(pop)
                until(lambda: metrics(gateway)["pgmq_gateway_waiting"] == 1)
                sends()
                assert waiting.result() == [1]


WHO = (
    "create or replace function public.who() returns text volatile language sql as "
    "$f$ select concat_ws(' ', current_user, current_setting('request.jwt.claims')::json ->> 'sub') $f$"
)
REST = (
    "create function public.rest() returns void volatile language plpgsql set statement_timeout = '200ms' as "
    "$f$ begin perform pg_sleep(600); end $f$"
)


def test_a16_a17_callers_behind_a_pooler_are_isolated_and_lose_nothing(pooled: RunningGateway, bearer: Bearer) -> None:
    pooled.sql("select pgmq_admin.create_queue('jobs')")
    pooled.define(WHO)

    def call(number: int) -> str:
        role, sub = ("authenticated", "service_role")[number % 2], f"s{number % 5}"
        if number % 3:
            answer = pooled.client.post("/rpc/who", headers=bearer(role, sub=sub))
            return "" if answer.json() == f"{role} {sub}" else answer.text
        headers = {"Content-Profile": "pgmq_public", **bearer("service_role")}
        sent = pooled.client.post("/rpc/send", json={"queue_name": "jobs", "message": number}, headers=headers)
        return "" if sent.is_success else sent.text

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(call, range(150))) == {""}
    stored = pooled.sql("select array_agg(message::int order by message::int) from pgmq.q_jobs")
    assert stored == [(list(range(0, 150, 3)),)]


def test_f12_only_the_slow_call_behind_a_pooler_is_cancelled(pooled: RunningGateway, bearer: Bearer) -> None:
    pooled.define(REST, WHO)
    with ThreadPoolExecutor(4) as threads:
        slow = threads.submit(pooled.client.post, "/rpc/rest")
        others = [threads.submit(pooled.client.get, "/rpc/nothing") for _ in range(8)]
        assert {other.result().status_code for other in others} == {404}
        assert refusal(slow.result())[:2] == (500, "57014")
    assert pooled.client.post("/rpc/who", headers=bearer("authenticated", sub="x")).json() == "authenticated x"


def test_d2_a_thousand_calls_open_no_more_connections_than_the_pool_holds(
    pooled: RunningGateway, bouncer: PgBouncer, bearer: Bearer
) -> None:
    pooled.define(WHO)

    def opened() -> int:
        return bouncer.log.read_text().count("login attempt: db=pooled ")

    before = opened()
    headers = bearer("authenticated", sub="x")
    with ThreadPoolExecutor(8) as threads:
        answers = set(threads.map(lambda _: pooled.client.post("/rpc/who", headers=headers).text, range(1000)))
    assert answers == {'"authenticated x"'}
    assert opened() - before <= 4
    assert opened() > 0


def test_d2_an_encoding_left_by_a_function_behind_a_pooler_reaches_no_other_call(
    pooled: RunningGateway, bearer: Bearer
) -> None:
    pooled.define(
        "create function public.latin() returns void language plpgsql as "
        "$f$ begin set client_encoding = 'LATIN1'; end $f$",
        "create function public.accents() returns text language sql as $f$ select 'ÄÖÜ €' $f$",
    )
    headers = bearer("authenticated", sub="x")
    for _ in range(8):
        pooled.client.post("/rpc/latin", headers=headers)
        assert pooled.client.post("/rpc/accents", headers=headers).json() == "ÄÖÜ €"


@pytest.fixture
def through_pooler(bouncer: PgBouncer) -> str:
    """The connection string with which the owner reaches the database through PgBouncer."""
    return bouncer.uri(user="postgres")


def test_d9_admin_commands_work_through_a_pooler(through_pooler: str) -> None:
    """Each is a client of its own, and gets a server connection that earlier clients have used."""
    commands = [
        ("install",),
        ("install", "--check"),
        ("queue", "create", "through"),
        ("queue", "drop", "through", "--yes"),
    ]
    failed = {}
    for command in commands:
        done = server.run(*command, "--db-uri", through_pooler)
        if done.returncode:
            failed[command] = done.stderr
    assert failed == {}


async def test_d9_statements_of_clients_of_a_pooler_are_not_mixed(through_pooler: str) -> None:
    """Outside a transaction, PgBouncer can send the two messages of a statement to two sessions."""
    connections = [await connect(through_pooler) for _ in range(6)]

    async def ask(number: int) -> set[int]:
        return {
            await connections[number].fetchval(f"select {number} + $1", 10 * turn) - 10 * turn for turn in range(50)
        }

    try:
        assert await asyncio.gather(*map(ask, range(6))) == [{number} for number in range(6)]
    finally:
        for connection in connections:
            await connection.close()


LEAVE = (
    "create or replace function public.leave(code text, fail boolean) returns void language plpgsql as "
    "$f$ begin execute code; if fail then raise 'undone'; end if; end $f$"
)
# What is left although the transaction was rolled back.
NOT_UNDONE = ("a lock", "a prepared statement", "the last number of a sequence")


@pytest.mark.parametrize(
    ("left", "fail"),
    # A short time limit also ends the call that sets it, at the end of its transaction.
    [*((left, False) for left in LEFT_BEHIND if left != "a short time limit"), *((left, True) for left in NOT_UNDONE)],
)
def test_a15_a_call_behind_a_pooler_leaves_nothing_in_the_session(
    pooled: RunningGateway, bearer: Bearer, left: str, *, fail: bool
) -> None:
    if not pooled.sql("select to_regproc('public.leave')")[0][0]:
        pooled.define(*SESSION_FUNCTIONS, LEAVE)
    code, shown = LEFT_BEHIND[left]

    def show() -> str:
        answer = pooled.client.post("/rpc/show", json={"expression": shown}, headers=bearer("authenticated", sub="ann"))
        assert answer.status_code == 200, answer.text
        return answer.text

    clean = show()
    answer = pooled.client.post("/rpc/leave", json={"code": code, "fail": fail})
    assert answer.status_code == (400 if fail else 204), answer.text
    # As many as PgBouncer's server connections.
    assert [show(), show()] == [clean, clean]


def test_26_a_policy_probe_behind_a_pooler_leaves_no_role_or_claims(
    pooled: RunningGateway, bouncer: PgBouncer, bearer: Bearer
) -> None:
    pooled.sql("select pgmq_admin.create_queue('each')")
    pooled.sql("select pgmq_admin.grant_queue('each', 'authenticated', '{pop}')")
    pooled.sql("create policy own on pgmq.q_each to authenticated using"
               " (message #>> '{}' = current_setting('request.jwt.claims')::json ->> 'sub')")  # fmt: skip

    def pop(user: str) -> list[object]:
        url = f"{pooled.server.url}/queues/each/messages/pop?wait_seconds=50"
        answer = httpx.post(url, headers=bearer("authenticated", sub=user), timeout=60)
        return [message["message"] for message in answer.json()]

    def probes() -> float:
        return metrics(pooled.server)["pgmq_gateway_policy_probes_total"]

    with ThreadPoolExecutor(2) as threads:
        ann, ben = threads.submit(pop, "ann"), threads.submit(pop, "ben")
        until(lambda: metrics(pooled.server)["pgmq_gateway_waiting"] == 2)
        before = probes()
        pooled.sql("select pgmq.send('each', '\"nobody\"')")
        until(lambda: probes() > before)
        pooled.sql("select pgmq.send('each', '\"ben\"')")
        assert ben.result() == ["ben"]
        assert not ann.done()
        with psycopg.connect(bouncer.uri(), autocommit=True) as connection:
            left = "select current_user, nullif(current_setting('request.jwt.claims', true), '')"
            assert {connection.execute(left).fetchone() for _ in range(4)} == {("authenticator", None)}
        pooled.sql("select pgmq.send('each', '\"ann\"')")
        assert ann.result() == ["ann"]


def test_calls_with_keys_execute_once_behind_a_pooler(pooled: RunningGateway, bearer: Bearer) -> None:
    pooled.sql("select pgmq_admin.create_queue('keyed')")

    def send(n: int) -> httpx.Response:
        headers = {**bearer("service_role", sub="a"), "Content-Profile": "pgmq_public", "Idempotency-Key": f"{n % 8}"}
        return pooled.client.post("/rpc/send", headers=headers, json={"queue_name": "keyed", "message": n % 8})

    with ThreadPoolExecutor(8) as threads:
        first = list(threads.map(send, range(8)))
        again = list(threads.map(send, range(8)))
    assert [answer.status_code for answer in first + again] == [200] * 16
    assert [answer.text for answer in again] == [answer.text for answer in first]
    assert all("Idempotency-Replayed" in answer.headers for answer in again)
    assert sorted(pooled.sql("select message from pgmq.q_keyed")) == [(n,) for n in range(8)]
    pooled.sql("select pgmq.drop_queue('keyed')")
