"""Recorded requests with PostgREST's responses, which the gateway must equal.

cases.json was recorded from running servers; rows.json has a case for each rule, with functions of its own.
"""

import asyncio
import http.client
import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import psycopg
import pytest

from pgmq_gateway.auth.signing import token
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.install.installer import install
from tests import server
from tests.server import SECRET, Server
from tests.sql.shape_15 import shape_of_15

HERE = Path(__file__).parent
CASES = [case for path in sorted(HERE.glob("*.json")) for case in json.loads(path.read_text())]
PLACEHOLDER = re.compile(r"\{\{([^}|]+)(\|str)?\}\}")

Json = Any


KEYS = {"publishable": "sb_publishable_of_these_tests", "secret": "sb_secret_of_these_tests"}
# A case runs on a gateway without the key layer ("postgrest") unless its target is the key layer ("gateway"). The key
# layer does not change other calls, so a sample of the cases is enough there.
SAMPLE_SIZE = 20
ANYWHERE = [case for case in CASES if "target" not in case]
RUNS = [
    *((case.get("target", "postgrest"), case) for case in CASES),
    *(("gateway", case) for case in ANYWHERE[:: len(ANYWHERE) // SAMPLE_SIZE][:SAMPLE_SIZE]),
]

# The cases of pgmq_public, with pgmq_api instead of it.
OF_PGMQ_API = [
    json.loads(text.replace("pgmq_public", "pgmq_api"))
    for text in (json.dumps(case) for case in CASES if case.get("target") != "gateway")
    if "pgmq_public" in text
]
# Calls that pgmq_api refuses, by SQLSTATE: negative delays, and SQL NULL as a message.
REFUSED = {
    "22023": {"row-sleep-negative"},
    "22004": {
        "batch-mixed", "row-batch-mixed", "row-arg-null-message", "row-columns-missing", "row-csv-null",
        "row-strip-null-message",
    },
}  # fmt: skip
# Responses that differ in what is new: functions, optional parameters, members; or in the text of an error.
DIFFERENT = {
    *("row-hint-metrics", "read-no-defaults", "row-arg-null-sleep", "row-columns-null-default"),
    *("csv-read", "row-root-any"),
    # Hints of similar calls count the parameters.
    *("missing-arg", "extra-arg", "ct-form-missing", "row-hint-send-queue"),
    # The statement that cannot write, and the name of the type.
    *("get-archive", "row-get-ro-archive", "row-get-ro-read", "row-get-ro-pop"),
    *("row-flt-unknown-read", "row-ord-unknown-read", "row-sel-embed-read"),
    # A check of its own.
    *("read-n-negative", "row-arg-neg-n"),
}


@pytest.fixture(scope="session")
def uri(directory: DataDirectory) -> str:
    """The database of the cases: queue q_basic, which authenticated can use and anon cannot.

    Its records have the columns of pgmq 1.5, as in the recorded responses.
    """
    with psycopg.connect(socket_uri(directory), autocommit=True) as owner:
        owner.execute("create database wire")
    with psycopg.connect(socket_uri(directory, database="wire"), autocommit=True) as owner:
        owner.execute(shape_of_15().encode())
    asyncio.run(installed(socket_uri(directory, database="wire")))
    with psycopg.connect(socket_uri(directory, database="wire"), autocommit=True) as owner:
        owner.execute("select pgmq_admin.create_queue('q_basic', rls => false)")
        owner.execute("grant all on pgmq.q_q_basic, pgmq.a_q_basic to authenticated")
        owner.execute((HERE / "rows.sql").read_bytes())
    return socket_uri(directory, "authenticator", "wire")


async def installed(owner_uri: str) -> None:
    connection = await asyncpg.connect(owner_uri)
    await install(connection)
    await connection.close()


@pytest.fixture(scope="session")
def servers(uri: str, folder: Path) -> Iterator[dict[str, Server]]:
    """A gateway without the key layer, as PostgREST alone, one with it, and one that exposes pgmq_api."""
    schemas = "public,pgmq_public"
    env = {"PGRST_DB_URI": uri, "PGRST_JWT_SECRET": SECRET, "PGRST_DB_POOL": "2", "PGRST_DB_SCHEMAS": schemas}
    keys = {
        "PGMQ_GATEWAY_PUBLISHABLE_KEYS": KEYS["publishable"],
        "PGMQ_GATEWAY_SECRET_KEYS": f"default={KEYS['secret']}",
    }
    running = {
        "postgrest": server.start(folder / "wire-postgrest.log", env=env),
        "gateway": server.start(folder / "wire-gateway.log", env={**env, **keys}),
        "pgmq_api": server.start(folder / "wire-api.log", env={**env, "PGRST_DB_SCHEMAS": "public,pgmq_api"}),
    }
    yield running
    for one in running.values():
        one.stop()


@pytest.fixture
def bases(servers: dict[str, Server], directory: DataDirectory) -> dict[str, str]:
    """The addresses of all, their queue emptied."""
    with psycopg.connect(socket_uri(directory, database="wire"), autocommit=True) as owner:
        owner.execute("select pgmq.purge_queue('q_basic')")
    return {target: one.url for target, one in servers.items()}


@pytest.mark.parametrize(("target", "case"), RUNS, ids=[f"{case['id']}-{target}" for target, case in RUNS])
def test_case(target: str, case: Json, bases: dict[str, str]) -> None:
    expect, answer = played(bases[target], case)
    assert list(departures(expect, answer)) == [], answer["text"]


def test_80_pgmq_public_calls_work_unchanged_in_pgmq_api(bases: dict[str, str]) -> None:
    assert len(OF_PGMQ_API) > 400
    refused, different = defaultdict(set), {}
    for case in OF_PGMQ_API:
        expect, answer = played(bases["pgmq_api"], case)
        accepted = str(expect["status"]) == "200"
        if found := list(departures(expect, answer, extended=True)):
            if accepted and answer["status"] != 200:
                refused[answer["json"]["code"]].add(case["id"])
            else:
                different[case["id"]] = (found, answer["text"])
    assert dict(refused) == REFUSED
    assert different.keys() == DIFFERENT, different


def played(base: str, case: Json) -> tuple[Json, Json]:
    """The expected response and the one received: that of the first step of the setup that fails, if any."""
    context: Json = {"token": tokens(), "setup": [], "key": KEYS}
    for step in case.get("setup", []):
        answer = ask(base, step, context)
        context["setup"].append(answer)
        if answer["status"] != (status := step.get("expect_status", 200)):
            return {"status": status}, answer
    answer = ask(base, case["request"], context)
    return fill(case["expect"], context), answer


def tokens() -> dict[str, str]:
    """The tokens of the cases, by name."""
    key = SECRET.encode()
    roles = {role: token(key, role, {}, 3600) for role in ("anon", "authenticated", "service_role")}
    expired = token(key, "authenticated", {"exp": int(time.time()) - 3600}, 1)
    return {**roles, "expired": expired, "badsig": token(key[::-1], "authenticated", {}, 3600)}


def fill(template: Json, context: Json) -> Json:
    """The template with its placeholders replaced; a placeholder alone keeps the type of its value."""
    if isinstance(template, str):
        whole = PLACEHOLDER.fullmatch(template)
        if whole and not whole[2]:
            return found(whole[1], context)
        return PLACEHOLDER.sub(lambda match: str(found(match[1], context)), template)
    if isinstance(template, list):
        return [fill(item, context) for item in template]
    if isinstance(template, dict):
        return {name: fill(value, context) for name, value in template.items()}
    return template


def found(path: str, value: Json) -> Json:
    for step in path.split("."):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def ask(base: str, template: Json, context: Json) -> Json:
    """Send a request with exactly the headers of the case, and Host and Content-Length."""
    request = fill(template, context)
    headers = dict(request.get("headers", {}))
    if request["as"] != "none":
        headers.setdefault("Authorization", f"Bearer {context['token'][request['as']]}")
    body = request.get("body")
    content = (
        None if body is None else (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()
    )
    if content is not None or request["method"] == "POST":
        headers["Content-Length"] = str(len(content or b""))
    connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=20)
    try:
        connection.putrequest(request["method"], request["path"], skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value.encode())
        connection.endheaders(content)
        response = connection.getresponse()
        text = response.read().decode()
        return {
            "status": response.status,
            "headers": {name.lower(): response.headers[name] for name in response.headers},
            "text": text,
            "json": json_or_none(text),
        }
    finally:
        connection.close()


def json_or_none(text: str) -> Json:
    try:
        return json.loads(text)
    except ValueError:
        return None


def departures(expect: Json, answer: Json, *, extended: bool = False) -> Iterator[str]:
    """The differences between a response and the expected one. `extended`: objects can have further members."""
    if not re.fullmatch(str(expect["status"]).removeprefix("re:"), str(answer["status"])):
        yield f"status {answer['status']}"
    for name, wanted in expect.get("headers", {}).items():
        value = answer["headers"].get(name)
        if (wanted is None) != (value is None) or (wanted is not None and not same(wanted, value)):
            yield f"header {name}: {value!r}"
    if "json" in expect and not same(expect["json"], answer["json"], subset=extended):
        yield "json"
    if "json_subset" in expect and not same(expect["json_subset"], answer["json"], subset=True):
        yield "json_subset"
    rows = answer["json"] if isinstance(answer["json"], list) else [answer["json"]]
    yield from (f"no {key}" for key in expect.get("json_keys", []) for row in rows if key not in row)
    if "json_len" in expect and len(rows) != expect["json_len"]:
        yield f"{len(rows)} rows"
    if "text" in expect and not same(expect["text"], answer["text"]):
        yield "text"
    if expect.get("empty") and answer["text"]:
        yield "a body"
    yield from (f"{path} is there" for path in expect.get("json_absent", []) if reaches(path, answer["json"]))


def same(wanted: Json, value: Json, *, subset: bool = False) -> bool:
    """True if a value matches: $any, $int, re:…, or an equal value; objects can have further members."""
    if wanted == "$any":
        return True
    if wanted == "$int":
        return type(value) is int
    if isinstance(wanted, str) and wanted.startswith("re:"):
        return isinstance(value, str) and re.search(wanted[3:], value) is not None
    if isinstance(wanted, dict) and isinstance(value, dict):
        covered = wanted.keys() <= value.keys() if subset else wanted.keys() == value.keys()
        return covered and all(
            _is_added(name, item, value) or same(item, value[name], subset=subset) for name, item in wanted.items()
        )
    if isinstance(wanted, list) and isinstance(value, list):
        return len(wanted) == len(value) and all(same(a, b, subset=subset) for a, b in zip(wanted, value, strict=True))
    return bool(wanted == value) and isinstance(wanted, bool) == isinstance(value, bool)


def _is_added(name: str, wanted: Json, error: Json) -> bool:
    """True for the hint of an error for which PostgREST has none: free text (tests/integration/test_mistakes.py)."""
    return name == "hint" and wanted is None and "code" in error and isinstance(error["hint"], str)


def reaches(path: list[str], value: Json) -> bool:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value is not None
