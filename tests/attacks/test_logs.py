"""The request log, and secrets and payloads that no log and no error may contain."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from pgmq_gateway.auth.signing import token
from tests.answers import error, refusal
from tests.gateways import Bearer, RunningGateway
from tests.server import SECRET
from tests.waiting import until

GATEWAY = {
    "PGMQ_GATEWAY_LOG_FORMAT": "json",
    "PGMQ_GATEWAY_LOG_REQUESTS": "true",
    "PGRST_LOG_LEVEL": "debug",
    "PGMQ_GATEWAY_ADMIN_HOSTS": "metrics.example, gateway",
}
CANARY = "canary-7d41"

RAISING = """
create function public.blunder(text text) returns void language plpgsql as $f$ begin {} end $f$
"""
# Errors of functions whose Postgres messages quote an argument.
BLUNDERS = (
    "perform text::integer;",
    "raise exception '%', text using detail = text, hint = text;",
    "raise exception 'permission denied for function call %', text using errcode = '42501';",
    "raise sqlstate 'PGRST' using message = text, detail = text;",
    "raise warning '%', text;",
    "perform set_config('role', 'anon', false), set_config('a.b', text, false);",
    "perform public.die(text);",
)


@contextmanager
def logged(gateway: RunningGateway) -> Iterator[list[dict[str, Any]]]:
    """Collects the lines that the block adds to the log, up to that of its last request."""
    size = gateway.server.log.stat().st_size
    lines: list[dict[str, Any]] = []
    yield lines
    gateway.client.get("/rpc/the-end", headers={"X-Request-Id": "the end"})

    def ended() -> bool:
        text = gateway.server.log.read_bytes()[size:].decode()
        lines[:] = [json.loads(line) for line in text.splitlines()] if text.endswith("\n") else []
        return bool(lines) and lines[-1].get("request_id") == "the end"

    until(ended)
    lines.pop()


@pytest.fixture(scope="module")
def tasks(gateway: RunningGateway) -> str:
    """A queue without row-level security that every role can use."""
    gateway.sql("select pgmq_admin.create_queue('tasks', rls => false)")
    gateway.sql("select pgmq_admin.grant_queue('tasks', 'anon', '{send,read,pop,delete,archive}')")
    gateway.sql("select pgmq_admin.grant_queue('tasks', 'authenticated', '{send,read,pop,delete,archive}')")
    return "tasks"


def test_a_request_has_a_line_with_what_came_of_it(gateway: RunningGateway, bearer: Bearer, tasks: str) -> None:
    body = json.dumps({"queue_name": tasks, "message": 1})
    headers = {**bearer("authenticated"), "Content-Profile": "pgmq_public", "X-Request-Id": "of mine"}
    with logged(gateway) as lines:
        answer = gateway.client.post("/rest/v1/rpc/send?select=", content=body, headers=headers)
        gateway.client.delete(f"/queues/{tasks}/messages/4711", headers=bearer("authenticated"))
        gateway.client.post("/rpc/nothing", json={}, headers={"Authorization": "Bearer a.b.c"})
        gateway.client.options("/rpc/send", headers={"Origin": "http://a", "Access-Control-Request-Method": "POST"})
    assert answer.status_code == 200
    for line in lines:
        assert line.pop("duration_ms") > 0
        assert line.pop("time")
        assert line.pop("pid")
        assert line.pop("message") == "request"
        assert line.pop("level") == "info"
    assert lines[0] == {
        "method": "POST",
        "path": "/rpc/send",
        "schema": "pgmq_public",
        "function": "send",
        "role": "authenticated",
        "status": 200,
        "code": "",
        "bytes_in": len(body),
        "bytes_out": len(answer.content),
        "request_id": "of mine",
    }
    short = [(line["function"], line["role"], line["status"], line["code"]) for line in lines[1:]]
    assert short == [
        ("delete", "authenticated", 404, "PGMQ404"),
        ("", "", 401, "PGRST301"),
        ("", "", 200, ""),
    ]


def test_a_request_has_a_name_and_its_answer_says_it(gateway: RunningGateway) -> None:
    given = ["of mine", "x" * 128, "", "x" * 129, "a\tb", "ü"]
    with logged(gateway) as lines:
        names = [
            gateway.client.get("/rpc/nothing", headers=[(b"x-request-id", name.encode())]).headers["x-request-id"]
            for name in given
        ]
    assert names[:2] == given[:2]
    assert all(re.fullmatch("[0-9a-f]{32}", name) for name in names[2:])
    assert [line["request_id"] for line in lines] == names


def test_a_client_that_goes_before_its_answer_has_a_line_too(gateway: RunningGateway) -> None:
    address = urlsplit(gateway.server.url)
    assert address.hostname
    with logged(gateway) as lines:
        with socket.create_connection((address.hostname, address.port or 0)) as client:
            client.sendall(b"POST /rpc/send HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        until(lambda: '"status":499' in gateway.server.log.read_text())
    assert [(line["status"], line["bytes_in"]) for line in lines] == [(499, 1)]


def test_a35_no_line_is_forged(gateway: RunningGateway) -> None:
    path = "/rpc/a%0Apgmq-gateway:%20forged" + "x" * 1000
    with logged(gateway) as lines:
        gateway.client.get(path, headers=[(b"x-request-id", b"a\xe2\x80\xa8b")])
        gateway.client.get("/rpc/\u2028".encode().decode("latin-1"))
    assert len(lines) == 2
    assert lines[0]["path"] == path[:256]


def test_a35_no_log_has_a_token_a_key_or_a_payload(gateway: RunningGateway, bearer: Bearer, tasks: str) -> None:
    good = token(SECRET.encode(), "authenticated", {"sub": CANARY}, 3600)
    expired = token(SECRET.encode(), "authenticated", {"sub": CANARY}, -3600)
    ghost = token(SECRET.encode(), "ghost", {}, 3600)
    stranger = f"Bearer {CANARY}.{CANARY}.{CANARY}"
    tokens = [f"Bearer {one}" for one in (good, expired, ghost, good[:-4], f"{good}x")]
    message = {"queue_name": tasks, "message": {"secret": CANARY}}
    public = {"Content-Profile": "pgmq_public"}
    for credential in (*tokens, stranger, CANARY, f"Basic {CANARY}"):
        gateway.client.post("/rpc/send", json=message, headers={**public, "Authorization": credential})
        gateway.client.post("/rpc/send", json=message, headers={**public, "apikey": credential})
        gateway.client.get("/rpc/send", params={"apikey": credential, CANARY: CANARY}, headers=public)
    mine = {**public, **bearer("authenticated")}
    for body in (f'{{"{CANARY}', f'"{CANARY}"', f'{{"{CANARY}": 1}}', CANARY.encode("utf-16"), f'[{{"a":"{CANARY}"}}]'):
        for kind in ("application/json", "text/csv", "application/x-www-form-urlencoded", "text/plain", CANARY):
            gateway.client.post("/rpc/send", content=body, headers={**mine, "Content-Type": kind})
    gateway.client.post(f"/queues/{tasks}/messages", json=CANARY, headers=mine)
    gateway.client.post(f"/queues/{tasks}/messages", params={"sleep_seconds": CANARY}, json=CANARY, headers=mine)
    for headers in ({"Accept": CANARY}, {"Prefer": f"handling=strict, {CANARY}"}, {"Accept-Profile": CANARY}):
        gateway.client.get("/rpc/read", params={"select": CANARY, "or": f"({CANARY})"}, headers={**mine, **headers})
    gateway.sql(
        "create function public.die(text) returns bool security definer language sql as "
        "'select pg_terminate_backend(pg_backend_pid())'"
    )
    for blunder in BLUNDERS:
        gateway.define("drop function if exists public.blunder", RAISING.format(blunder))
        for _ in range(2):
            gateway.client.post("/rpc/blunder", json={"text": CANARY}, headers=bearer("authenticated"))
    surrogate = f'{{"text": "{CANARY} \\ud800"}}'
    gateway.client.post("/rpc/blunder", content=surrogate, headers=bearer("authenticated"))
    assert gateway.client.post("/rpc/read", json={"queue_name": tasks, "sleep_seconds": 0, "n": 9}, headers=mine).json()
    with logged(gateway):
        pass
    log = gateway.server.log.read_text()
    parts = {part for one in tokens for part in one.removeprefix("Bearer ").split(".")}
    assert [secret for secret in (CANARY, SECRET, *parts) if secret in log] == []
    # The log has lines about failed connections, so there was data to leave out.
    assert "lost a database connection" in log


def test_a34_a_fault_inside_a_function_is_told_without_its_context(gateway: RunningGateway) -> None:
    gateway.define(
        "create function public.divide(secret int) returns int language plpgsql as "
        "$f$ begin perform 'classified'; return secret / 0; end $f$"
    )
    answer = gateway.client.post("/rpc/divide", json={"secret": 4711})
    body = {"code": "22012", "details": None, "hint": None, "message": "division by zero"}
    assert (answer.status_code, error(answer)) == (400, body)


def test_a34_a_constraint_that_fails_does_not_show_the_row(gateway: RunningGateway) -> None:
    gateway.define(
        "create table public.checked (id int primary key, other int not null, note text check (note <> 'classified'))",
        "grant all on public.checked to anon",
        "create function public.check_in(id int, other int, note text) returns void language sql as "
        "'insert into public.checked values (id, other, note)'",
    )
    for other, code in ((1, "23514"), (None, "23502")):
        answer = gateway.client.post("/rpc/check_in", json={"id": 4711, "other": other, "note": "classified"})
        assert refusal(answer)[:2] == (400, code)
        assert "classified" not in answer.text
    assert gateway.sql("select * from public.checked") == []


def test_a38_strangers_make_no_labels(gateway: RunningGateway, bearer: Bearer) -> None:
    gateway.define(
        "create function public.invent(code text) returns void language plpgsql as $f$ begin"
        " raise sqlstate 'PGRST' using message = json_build_object('code', code, 'message', '')::text,"
        ' detail = \'{"status": 418, "headers": {}}\'; end $f$'
    )

    def labels() -> set[str]:
        return {line.rpartition(" ")[0] for line in httpx.get(f"{gateway.server.admin_url}/metrics").text.splitlines()}

    def ask(name: str) -> None:
        headers = {**bearer(name), "Content-Profile": "pgmq_public"}
        for shown in (headers, {"Content-Profile": "pgmq_public"}):
            gateway.client.post("/rpc/send", json={"queue_name": name, "message": 1}, headers=shown)
        gateway.client.post(f"/rpc/{name}", json={}, headers={"Content-Profile": name})
        gateway.client.post("/rpc/invent", json={"code": name})

    ask("first")
    before = labels()
    for number in range(20):
        ask(f"{CANARY}-{number}")
    assert labels() == before


@pytest.mark.parametrize("page", ["live", "ready", "metrics", "schema_cache"])
def test_a44_the_public_port_has_nothing_of_the_admin_port(gateway: RunningGateway, page: str) -> None:
    for path in (f"/{page}", f"/rest/v1/{page}", f"/docs/{page}", f"/%2e/{page}"):
        answer = gateway.client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json; charset=utf-8")


@pytest.mark.parametrize("path", ["", "/config", "/live/", "/Live", "/rpc/send", "/docs", "/openapi.json"])
def test_a44_the_admin_port_has_nothing_of_the_public_port(gateway: RunningGateway, path: str) -> None:
    answer = httpx.get(f"{gateway.server.admin_url}{path}")
    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *((host, 200) for host in ("localhost", "LOCALHOST:1", "127.0.0.1:3001", "[::1]:3001", "10.0.0.9:3001")),
        *((host, 200) for host in ("metrics.example", "gateway:3001")),
        *((host, 421) for host in ("evil.example", "localhost.evil.example:3001", "127.0.0.1.evil.example", "", "[")),
    ],
)
def test_a44_the_admin_port_answers_to_no_name_of_others(gateway: RunningGateway, host: str, status: int) -> None:
    for page in ("live", "ready", "metrics", "schema_cache"):
        answer = httpx.get(f"{gateway.server.admin_url}/{page}", headers={"Host": host})
        assert (answer.status_code, answer.headers["cache-control"]) == (status, "no-store")
    if status == 421:
        assert answer.text.startswith(f"Host {host!r} is not allowed.")
