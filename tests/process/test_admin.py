"""The admin port: health, metrics, the schema cache, and no other page."""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.observe.gauges import SHARED_PREFIXES
from tests import server
from tests.databases import Sql
from tests.process.metrics import AVAILABLE, FAIL, MAX, QUERY_TIME, SUCCESS, TIMEOUTS, WAITING, metrics
from tests.server import SECRET, Serve, Server, call, ready
from tests.waiting import until

BLOCKED = "select count(*) from pg_locks where not granted and relation = 'pgmq.q_kept'::regclass"


def known(gateway: Server) -> dict[str, Any]:
    """The functions of /schema_cache by their qualified names."""
    answer = httpx.get(f"{gateway.admin_url}/schema_cache")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    return {f"{function['schema']}.{function['name']}": function for function in answer.json()["functions"]}


@pytest.fixture
def nowhere(tmp_path: Path) -> Iterator[Server]:
    """A gateway whose database does not exist."""
    uri = f"postgresql://authenticator@/postgres?host={quote(str(tmp_path), safe='')}"
    running = server.start(tmp_path / "nowhere.log", env={"PGRST_DB_URI": uri, "PGRST_JWT_SECRET": SECRET})
    yield running
    assert running.stop() == 0


@contextmanager
def locked(directory: DataDirectory, database: str, table: str) -> Iterator[None]:
    """The table, locked against all other sessions."""
    with psycopg.connect(socket_uri(directory, database=database)) as blocker:
        blocker.execute(f"lock table {table} in access exclusive mode".encode())
        yield


def test_all_metrics_are_there_under_their_types_and_nothing_else(serve: Serve, database: str) -> None:
    gateway = serve(database)
    answer = httpx.get(f"{gateway.admin_url}/metrics")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    types = dict(line.split()[2:] for line in answer.text.splitlines() if line.startswith("# TYPE"))
    shared = {name for name in types if name.startswith(SHARED_PREFIXES)}
    # tests/faults/test_metrics.py covers those.
    assert {"pgmq_gateway_queue_messages", "pgmq_gateway_database_oldest_xmin_transactions"} <= shared
    assert {name: type_ for name, type_ in types.items() if name not in shared} == {
        TIMEOUTS: "counter",
        AVAILABLE: "gauge",
        WAITING: "gauge",
        MAX: "gauge",
        "pgrst_schema_cache_loads_total": "counter",
        QUERY_TIME: "gauge",
        **{f"pgrst_jwt_cache_{name}_total": "counter" for name in ("requests", "hits", "evictions")},
        **{
            f"pgmq_gateway_{name}_total": "counter"
            for name in (
                "answers",
                "errors",
                "log_lines_dropped",
                "notifications_dropped",
                "policy_probe_seconds",
                "policy_probes",
                "replays",
                "unshared",
                "wait_attempts",
                "wakeups",
                "watch_lost",
            )
        },
        **{f"pgmq_gateway_connections_{name}_total": "counter" for name in ("opened", "lost", "failed")},
        **{f"pgmq_gateway_{name}": "histogram" for name in ("answer_seconds", "transaction_calls", "wakeup_seconds")},
        **{
            f"pgmq_gateway_{name}": "gauge"
            for name in ("connections_busy", "connections_open", "ready", "streams", "waiting", "workers")
        },
    }
    values = {name: value for name, value in metrics(gateway).items() if name.startswith("pgrst_")}
    assert values.pop(QUERY_TIME) > 0
    assert tokens(values) == (0, 0, 0)
    assert values == {TIMEOUTS: 0, AVAILABLE: 0, WAITING: 0, MAX: 2, SUCCESS: 1, FAIL: 0}


def tokens(values: dict[str, float]) -> tuple[float, ...]:
    """Requests, hits and evictions of the token cache, removed from the values."""
    return tuple(values.pop(f"pgrst_jwt_cache_{name}_total") for name in ("requests", "hits", "evictions"))


def test_tokens_are_verified_once_and_make_room_for_others(
    serve: Serve, database: str, bearer: Callable[..., dict[str, str]]
) -> None:
    gateway = serve(database, PGRST_JWT_CACHE_MAX_ENTRIES="1")
    one, other = bearer("anon", sub="a"), bearer("anon", sub="b")
    for headers in (one, one, other, {"Authorization": "Bearer a.b.c"}, other, one):
        httpx.post(f"{gateway.url}/rpc/nothing", headers=headers)
    assert tokens(metrics(gateway)) == (6, 2, 2)


def test_answers_are_counted_by_status_and_errors_by_code(serve: Serve, database: str, own_sql: Sql) -> None:
    own_sql("select pgmq_admin.create_queue('kept')")
    own_sql(
        "create function pgmq_public.fail(code text) returns void language plpgsql as $$ begin"
        " raise sqlstate 'PGRST' using message = json_build_object('code', code, 'message', '')::text,"
        ' detail = \'{"status": 418, "headers": {}}\'; end $$'
    )
    gateway = serve(database)
    for message in range(3):
        assert call(gateway, "send", queue_name="kept", message=message).status_code == 200
    assert call(gateway, "nothing").status_code == 404
    for code in ('"} 1', "X" * 9, "", "ABC12"):
        assert call(gateway, "fail", code=code).status_code == 418
    values = metrics(gateway)
    answers = {name: value for name, value in values.items() if name.startswith("pgmq_gateway_answers_total")}
    assert answers == {
        'pgmq_gateway_answers_total{status="200"}': 3,
        'pgmq_gateway_answers_total{status="404"}': 1,
        'pgmq_gateway_answers_total{status="418"}': 4,
    }
    errors = {name: value for name, value in values.items() if name.startswith("pgmq_gateway_errors_total")}
    # Functions can raise any code, so the number of labels must be bounded.
    assert errors == {
        'pgmq_gateway_errors_total{code="ABC12"}': 1,
        'pgmq_gateway_errors_total{code="PGRST202"}': 1,
        'pgmq_gateway_errors_total{code="other"}': 2,
    }
    seconds = {name: value for name, value in values.items() if name.startswith("pgmq_gateway_answer_seconds")}
    assert seconds["pgmq_gateway_answer_seconds_count"] == 8
    assert seconds['pgmq_gateway_answer_seconds_bucket{le="+Inf"}'] == 8
    assert 0 < seconds["pgmq_gateway_answer_seconds_sum"] < 60
    assert values['pgmq_gateway_transaction_calls_bucket{le="1"}'] == 7


def test_a_connection_is_available_between_calls_only(
    serve: Serve, database: str, directory: DataDirectory, own_sql: Sql
) -> None:
    own_sql("select pgmq_admin.create_queue('kept')")
    gateway = serve(database)
    assert call(gateway, "send", queue_name="kept", message=1).status_code == 200
    # Not while it is cleaned.
    until(lambda: metrics(gateway)[AVAILABLE] == 1)
    with ThreadPoolExecutor() as threads, locked(directory, database, "pgmq.q_kept"):
        threads.submit(call, gateway, "send", queue_name="kept", message=2)
        until(lambda: metrics(gateway)[AVAILABLE] == 0)
    until(lambda: metrics(gateway)[AVAILABLE] == 1)


def test_calls_without_a_connection_are_waiting_until_they_have_one(
    serve: Serve, database: str, directory: DataDirectory, own_sql: Sql
) -> None:
    own_sql("select pgmq_admin.create_queue('kept')")
    gateway = serve(database, PGRST_DB_POOL="1")
    with ThreadPoolExecutor() as threads, locked(directory, database, "pgmq.q_kept"):
        answers = [threads.submit(call, gateway, "send", queue_name="kept", message=1) for _ in range(3)]
        until(lambda: metrics(gateway)[WAITING] == 2)
    assert [answer.result().status_code for answer in answers] == [200, 200, 200]
    until(lambda: metrics(gateway)[AVAILABLE] == 1)
    values = metrics(gateway)
    assert (values[WAITING], values[TIMEOUTS], values[MAX]) == (0, 0, 1)
    # The queue has not been judged yet, so each had a transaction of its own.
    assert values['pgmq_gateway_transaction_calls_bucket{le="1"}'] == 3
    assert (values["pgmq_gateway_transaction_calls_count"], values["pgmq_gateway_transaction_calls_sum"]) == (3, 3)


def test_a_call_that_waited_in_vain_is_a_timeout(
    serve: Serve, database: str, directory: DataDirectory, own_sql: Sql
) -> None:
    own_sql("select pgmq_admin.create_queue('kept')")
    gateway = serve(database, PGRST_DB_POOL="1", PGRST_DB_POOL_ACQUISITION_TIMEOUT="0.2")
    with ThreadPoolExecutor() as threads, locked(directory, database, "pgmq.q_kept"):
        threads.submit(call, gateway, "send", queue_name="kept", message=1)
        until(lambda: own_sql(BLOCKED) == [(1,)])
        for number in (1, 2):
            assert call(gateway, "send", queue_name="kept", message=2).status_code == 504
            values = metrics(gateway)
            assert (values[TIMEOUTS], values[WAITING]) == (number, 0)


def test_every_reload_is_a_success(serve: Serve, database: str, own_sql: Sql) -> None:
    gateway = serve(database)
    own_sql("notify pgrst, 'reload schema'")
    until(lambda: metrics(gateway)[SUCCESS] == 2)
    gateway.process.send_signal(signal.SIGUSR1)
    until(lambda: metrics(gateway)[SUCCESS] == 3)
    assert metrics(gateway)[FAIL] == 0


def test_a_database_that_goes_away_is_a_failure_at_each_attempt(serve: Serve, database: str, sql: Sql) -> None:
    gateway = serve(database)
    sql(f"alter database {database} allow_connections false")
    sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", database)
    until(lambda: metrics(gateway)[FAIL] >= 2)
    assert metrics(gateway)[SUCCESS] == 1
    assert httpx.get(f"{gateway.admin_url}/ready").status_code == 503
    assert httpx.get(f"{gateway.admin_url}/live").status_code == 200
    assert "pgmq_public.send" in known(gateway)
    sql(f"alter database {database} allow_connections true")
    until(lambda: ready(gateway))
    until(lambda: metrics(gateway)[SUCCESS] == 2)


def test_a_reload_for_an_unknown_function_that_is_cut_off_is_a_failure(
    serve: Serve, database: str, directory: DataDirectory, sql: Sql
) -> None:
    gateway = serve(database)
    enough = threading.Event()

    def ask() -> None:
        # At most one of these per second causes a reload.
        while not enough.is_set():
            assert call(gateway, "unknown").json()["code"] == "PGRST202"

    loading = "from pg_stat_activity where datname = %s and usename = 'authenticator' and wait_event_type = 'Lock'"
    with ThreadPoolExecutor() as threads, locked(directory, database, "pg_catalog.pg_proc"):
        asking = threads.submit(ask)
        try:
            until(lambda: sql(f"select pg_terminate_backend(pid) {loading}", database) != [])
            until(lambda: metrics(gateway)[FAIL] > 0)
        finally:
            enough.set()
    asking.result()
    until(lambda: "cannot reload the functions" in gateway.log.read_text())


def test_the_schema_cache_says_how_functions_are_called(serve: Serve, database: str, own_sql: Sql) -> None:
    own_sql("create function public.add(a int, variadic b int[] default '{}') returns int language sql as 'select 1'")
    own_sql("create function public.nothing(jsonb) returns void language sql as ''")
    gateway = serve(database)
    functions = known(gateway)
    assert functions["public.add"] == {
        "schema": "public",
        "name": "add",
        "arguments": [
            {"name": "a", "type": "integer", "required": True, "variadic": False},
            {"name": "b", "type": "integer[]", "required": False, "variadic": True},
        ],
        "result": {"kind": "scalar", "set": False, "type": "pg_catalog.int4"},
    }
    assert functions["public.nothing"]["arguments"] == [
        {"name": "", "type": "jsonb", "required": True, "variadic": False}
    ]
    assert functions["public.nothing"]["result"] == {"kind": "void", "set": False, "type": "pg_catalog.void"}
    read = functions["pgmq_public.read"]["result"]
    assert (read["kind"], read["set"], read["columns"][0]) == (
        "record",
        True,
        {"name": "msg_id", "type": "pg_catalog.int8"},
    )
    assert {function["schema"] for function in functions.values()} == {
        "public",
        "pgmq_public",
        "pgmq_api",
        "pgmq_admin",
    }
    own_sql("create function public.later() returns int language sql as 'select 1'")
    own_sql("notify pgrst, 'reload schema'")
    until(lambda: "public.later" in known(gateway))


def test_without_a_database_nothing_is_known_and_attempts_are_counted(nowhere: Server) -> None:
    assert known(nowhere) == {}
    values = metrics(nowhere)
    assert values[FAIL] > 0
    assert (values[SUCCESS], values[QUERY_TIME], values[AVAILABLE]) == (0, 0, 0)
    assert httpx.get(f"{nowhere.admin_url}/ready").status_code == 503


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
def test_the_method_is_not_looked_at(embedded: Server, method: str) -> None:
    for page in ("live", "ready"):
        answer = httpx.request(method, f"{embedded.admin_url}/{page}")
        assert (answer.status_code, answer.content) == (200, b"")
    answer = httpx.request(method, f"{embedded.admin_url}/metrics")
    assert (answer.status_code, bool(answer.content)) == (200, method != "HEAD")
    assert httpx.request(method, f"{embedded.admin_url}/config").status_code == 404
