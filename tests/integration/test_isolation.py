"""A call leaves no state on its connection for the next caller."""

import contextlib
import json
import random
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import pytest

from tests.answers import refusal
from tests.databases import Sql
from tests.gateways import Bearer, RunningGateway
from tests.server import Server
from tests.sessions import LEFT_BEHIND, SESSION_FUNCTIONS
from tests.waiting import until

LOOK = """
create function public.look() returns json language sql volatile as $f$
select json_build_object(
    'user', current_user,
    'session', session_user,
    'claims', current_setting('request.jwt.claims', true),
    'path', current_setting('search_path'),
    'read_only', current_setting('transaction_read_only'),
    'status', current_setting('response.status', true),
    'headers', current_setting('response.headers', true),
    'method', current_setting('request.method', true),
    'cookies', current_setting('request.cookies', true),
    'timeout', current_setting('statement_timeout'),
    'process', pg_backend_pid()
) $f$
"""

DO = """
create function public.do(code text) returns json language plpgsql volatile as $f$
begin
    execute code;
    return public.look();
end $f$
"""

GATEWAY = {"PGRST_DB_POOL": "1"}


@pytest.fixture(scope="module")
def gateway(gateway: RunningGateway) -> RunningGateway:
    """A gateway with one connection, and functions that inspect their session or run given SQL."""
    gateway.define(
        "create table public.trace (what text); grant all on public.trace to public",
        *(LOOK, DO, *SESSION_FUNCTIONS),
    )
    gateway.sql("select pgmq_admin.create_queue('jobs')")
    return gateway


@pytest.fixture
def alone(gateway: RunningGateway) -> RunningGateway:
    """The same with empty tables, and a connection without calls of other tests."""
    gateway.sql("truncate public.trace, pgmq.q_jobs restart identity")
    gateway.client.cookies.clear()
    before = seen(gateway)["process"]
    gateway.sql("select pg_terminate_backend(%s)", before)
    until(lambda: gateway.client.post("/rpc/look").status_code == 200)
    assert seen(gateway)["process"] != before
    return gateway


def seen(gateway: RunningGateway, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """The state that a call finds; `process` identifies its connection."""
    answer = gateway.client.post("/rpc/look", headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
def look(alone: RunningGateway) -> Callable[..., dict[str, Any]]:
    """look(headers) returns the state that a call finds."""
    return partial(seen, alone)


Look = Callable[..., dict[str, Any]]

CLEAN = {
    "user": "anon",
    "session": "authenticator",
    "claims": '{"role":"anon"}',
    "path": '"public", "extensions"',
    "read_only": "off",
    "status": "",
    "headers": "",
    "method": "POST",
    "cookies": "{}",
    "timeout": "4min",
}


def assert_clean(found: dict[str, Any]) -> None:
    """Assert that an anonymous caller without cookies finds its own state only."""
    assert {name: value for name, value in found.items() if name != "process"} == CLEAN


LOCAL = """
set local role service_role; set local request.jwt.claims = '{"sub": "mine"}'; set local search_path = pgmq;
set local statement_timeout = '1h'; set local response.status = '418'; set local request.cookies = '{"a": "b"}'
"""
WRITE = "insert into public.trace values ('x')"


@pytest.mark.parametrize(
    ("ending", "rows"),
    [
        ("", 1),
        ("; set local transaction_read_only = on", 1),
        ("; select 1/0", 0),
        ("; do $d$ begin raise exception using errcode = '42501'; end $d$", 0),
    ],
)
def test_a16_settings_of_a_call_end_with_it(
    alone: RunningGateway, look: Look, bearer: Bearer, ending: str, rows: int
) -> None:
    process = look()["process"]
    code = f"{WRITE}; {LOCAL} {ending}"
    answer = alone.client.post("/rpc/do", json={"code": code}, headers=bearer("authenticated", sub="ann"))
    assert answer.is_error == (rows == 0 or answer.status_code == 418)
    found = look()
    assert found["process"] == process
    assert_clean(found)
    assert alone.sql("select count(*) from public.trace") == [(rows,)]


def test_each_caller_finds_its_own(alone: RunningGateway, look: Look, bearer: Bearer) -> None:
    for sub in ("ann", "bob"):
        found = look(bearer("authenticated", sub=sub))
        assert (found["user"], json.loads(found["claims"])["sub"]) == ("authenticated", sub)
        assert_clean(look())
    assert look(bearer("service_role", sub="job"))["user"] == "service_role"
    assert alone.client.get("/rpc/nothing").status_code == 404
    assert_clean(look())


def test_a_reading_call_does_not_make_the_next_one_read_only(alone: RunningGateway, look: Look) -> None:
    refused = alone.client.get("/rpc/do", params={"code": WRITE})
    assert refusal(refused) == (405, "25006", "cannot execute INSERT in a read-only transaction")
    assert alone.client.get("/rpc/look").json()["read_only"] == "on"
    assert_clean(look())
    assert alone.client.post("/rpc/do", json={"code": WRITE}).status_code == 200
    assert alone.sql("select count(*) from public.trace") == [(1,)]


SESSION = {
    "the role": "select set_config('role', 'service_role', false)",
    "the role to that of everybody": "select set_config('role', 'authenticated', false)",
    "the role to none": "select set_config('role', 'none', false)",
    "the claims": """select set_config('request.jwt.claims', '{"sub": "mine"}', false)""",
    "the search path": "select set_config('search_path', 'pgmq, pg_catalog', false)",
    "an empty search path": "select set_config('search_path', '', false)",
    "the answer's status": "select set_config('response.status', '418', false)",
    "the answer's headers": """select set_config('response.headers', '[{"Set-Cookie": "a=b"}]', false)""",
    "the cookies": """select set_config('request.cookies', '{"a": "b"}', false)""",
    "the encoding": "select set_config('client_encoding', 'latin1', false)",
    "the isolation": "select set_config('default_transaction_isolation', 'serializable', false)",
    "all to the default": "reset all",
    "the role to the default": "reset role",
    "the session": "set session authorization default",
    "the driver's statements": "deallocate all",
}


@pytest.mark.parametrize("code", SESSION.values(), ids=SESSION)
def test_a15_session_settings_of_a_call_do_not_reach_the_next(
    alone: RunningGateway, look: Look, bearer: Bearer, code: str
) -> None:
    answer = alone.client.post("/rpc/do", json={"code": code}, headers=bearer("authenticated", sub="ann"))
    assert answer.status_code in {200, 418}, answer.text
    alone.client.cookies.clear()
    for _ in range(3):
        assert_clean(look())
    assert alone.client.post("/rpc/do", json={"code": WRITE}).status_code == 200
    assert alone.sql("select count(*) from public.trace") == [(1,)]
    found = look(bearer("authenticated", sub="é"))
    assert json.loads(found["claims"])["sub"] == "é"


OTHERS = {
    "another role": (("anon", ""), ("authenticated", "ann")),
    "other claims": (("authenticated", "ann"), ("authenticated", "bob")),
}


@pytest.mark.parametrize(("caller", "other"), OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize(("code", "shown"), LEFT_BEHIND.values(), ids=LEFT_BEHIND)
def test_a15_a_caller_finds_nothing_that_another_caller_left_in_the_session(
    alone: RunningGateway, bearer: Bearer, code: str, shown: str, caller: tuple[str, str], other: tuple[str, str]
) -> None:
    def show(role: str, sub: str) -> object:
        answer = alone.client.post("/rpc/show", json={"expression": shown}, headers=bearer(role, sub=sub))
        assert answer.status_code == 200, answer.text
        return answer.json()

    clean = show(*other)
    left = alone.client.post("/rpc/do", json={"code": code}, headers=bearer(caller[0], sub=caller[1]))
    assert left.status_code == 200, left.text
    assert show(*other) == clean


def test_a15_a_seed_that_a_function_left_predicts_no_random_numbers(alone: RunningGateway, bearer: Bearer) -> None:
    seeded = {"code": "select setseed(0.5)"}
    assert alone.client.post("/rpc/do", json=seeded, headers=bearer("authenticated", sub="ann")).status_code == 200
    answer = alone.client.post("/rpc/show", json={"expression": "random()"}, headers=bearer("authenticated", sub="bob"))
    assert alone.sql("select random()::text from setseed(0.5)") != [(answer.json(),)]


def test_a_session_that_a_function_made_read_only_is_replaced(alone: RunningGateway) -> None:
    assert alone.client.post("/rpc/do", json={"code": "set default_transaction_read_only = on"}).status_code == 200
    assert alone.client.post("/rpc/do", json={"code": WRITE}).status_code == 200
    assert alone.sql("select count(*) from public.trace") == [(1,)]


@pytest.mark.parametrize("name", ["json", "jsonb", "trace"])
def test_a_temporary_table_does_not_stand_in_the_way(
    alone: RunningGateway, look: Look, bearer: Bearer, name: str
) -> None:
    code = f'create temporary table "{name}" (a int, b int, c int)'
    assert alone.client.post("/rpc/do", json={"code": code}).status_code == 200
    assert_clean(look())
    headers = {"Content-Profile": "pgmq_public", **bearer("service_role")}
    sent = alone.client.post("/rpc/send", json={"queue_name": "jobs", "message": {"a": 1}}, headers=headers)
    assert (sent.status_code, sent.text) == (200, "[1]")
    assert alone.sql("select message from pgmq.q_jobs") == [({"a": 1},)]


@pytest.mark.parametrize("code", ["select set_config('role', 'service_role', false)", "deallocate all"])
@pytest.mark.parametrize("count", [1, 5])
def test_a_session_that_its_own_caller_spoilt_is_replaced(
    alone: RunningGateway, look: Look, code: str, count: int
) -> None:
    for _ in range(count):
        assert alone.client.post("/rpc/do", json={"code": code}).status_code == 200
    assert_clean(look())


def test_a_client_that_disconnects_leaves_no_state(alone: RunningGateway, look: Look, bearer: Bearer) -> None:
    process = look()["process"]
    alone.sql("select pg_advisory_lock(1)")
    code = f"{LOCAL.strip()}; select pg_advisory_xact_lock(1)"
    body = json.dumps({"code": code}).encode()
    with _request(alone.server, body, bearer("authenticated", sub="ann")):
        until(lambda: alone.sql("select 1 from pg_locks where not granted and pid = %s", process))
    alone.sql("select pg_advisory_unlock(1)")
    assert_clean(look())
    assert alone.sql("select count(*) from pg_locks where locktype = 'advisory'") == [(0,)]


def test_a30_a_body_that_never_ends_holds_no_connection(alone: RunningGateway, look: Look) -> None:
    with contextlib.ExitStack() as clients:
        for _ in range(5):
            clients.enter_context(_request(alone.server, b'{"code": "', {}, length=1000))
        assert_clean(look())
    assert_clean(look())


@contextlib.contextmanager
def _request(server: Server, body: bytes, headers: dict[str, str], length: int | None = None) -> Any:  # noqa: ANN401
    """A call of `do` whose response is not awaited; the connection is closed at the end."""
    host, port = server.url.removeprefix("http://").split(":")
    lines = [
        f"{name}: {value}" for name, value in {"Host": host, "Content-Length": length or len(body), **headers}.items()
    ]
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall("\r\n".join(["POST /rpc/do HTTP/1.1", *lines, "", ""]).encode() + body)
        yield connection


def test_failing_calls_among_good_ones(alone: RunningGateway, bearer: Bearer) -> None:
    failing = ["select 1/0", "select * from nowhere", "nonsense", "select pg_catalog.set_config('role', 'ghost', true)"]
    codes = [*failing, WRITE] * 20
    random.Random(1).shuffle(codes)  # noqa: S311

    def call(code: str) -> bool:
        answer = alone.client.post("/rpc/do", json={"code": code}, headers=bearer("authenticated", sub=code))
        assert answer.status_code in {200, 400, 401, 404}
        return answer.is_success and json.loads(answer.json()["claims"])["sub"] == code

    with ThreadPoolExecutor(8) as threads:
        good = list(threads.map(call, codes))
    assert good == [code == WRITE for code in codes]
    assert alone.sql("select count(*) from public.trace") == [(20,)]


@pytest.mark.usefixtures("owned")
def test_many_callers_at_once_see_only_their_own(api: httpx.Client, bearer: Bearer, queue: str, sql: Sql) -> None:
    names = [f"user{n}" for n in range(8)]
    chance = random.Random(7)  # noqa: S311
    work = [
        (chance.choice(names), chance.choice(["send", "send", "read", "pop", "delete", "archive"])) for _ in range(300)
    ]

    def call(sub: str, function: str) -> tuple[str, str, Any]:
        arguments: dict[str, Any] = {"message_id": chance.randrange(1, 100)}
        if function == "send":
            arguments = {"message": {"owner": sub}}
        elif function in {"read", "pop"}:
            arguments = {"sleep_seconds": 0, "n": 5} if function == "read" else {}
        headers = bearer("authenticated", sub=sub)
        answer = api.post(f"/rpc/{function}", json={"queue_name": queue, **arguments}, headers=headers)
        assert answer.status_code == 200, answer.text
        return sub, function, answer.json()

    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(lambda one: call(*one), work))
    seen = [
        (sub, row["message"]["owner"]) for sub, function, rows in done if function in {"read", "pop"} for row in rows
    ]
    assert seen
    assert all(sub == owner for sub, owner in seen)
    sent = sorted(id_ for _, function, ids in done if function == "send" for id_ in ids)
    gone = [row["msg_id"] for _, function, rows in done if function == "pop" for row in rows]
    finished = sum(result is True for _, _, result in done)
    assert sent == list(range(1, len(sent) + 1))
    assert len(set(gone)) == len(gone)
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(len(sent) - len(gone) - finished,)]
    assert sql(f"select count(*) from pgmq.a_{queue}") == [
        (sum(result is True for _, function, result in done if function == "archive"),)
    ]


@pytest.fixture
def owned(sql: Sql, queue: str, grant: Callable[..., None]) -> None:
    """A policy: each `sub` owns the messages with its name, and only the owner can delete or archive them."""
    grant("authenticated", "send", "read", "pop", "archive", "delete")
    owner = "message->>'owner' = current_setting('request.jwt.claims', true)::json->>'sub'"
    sql(f"create policy own on pgmq.q_{queue} to authenticated using ({owner}) with check ({owner})")
    sql(f"alter table pgmq.a_{queue} enable row level security")
    sql(f"create policy own on pgmq.a_{queue} to authenticated using ({owner}) with check ({owner})")
