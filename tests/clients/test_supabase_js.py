"""The programs in node/ with the real supabase-js: their output, and the rows left behind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.clients.conftest import Project, command, node, project
from tests.databases import Sql, runner

FUNCTIONS = ["send", "send_batch", "read", "pop", "archive", "delete"]


def ok(data: object) -> dict[str, object]:
    """The output of a program for a successful call."""
    return {"data": data, "error": None, "count": None, "status": 200}


def data(seen: dict[str, Any]) -> dict[str, Any]:
    """The data of each call, all of which must be successful."""
    assert seen == {name: ok(call["data"]) for name, call in seen.items()}
    return {name: call["data"] for name, call in seen.items()}


@pytest.mark.parametrize("way", ["schema", "option"])
def test_all_six_functions_do_what_they_say(way: str, running: Project, queue: str, sql: Sql) -> None:
    seen = data(node("queue.mjs", running.url, running.service_key, QUEUE=queue, WAY=way))
    first, third = seen.pop("read")
    (popped,) = seen.pop("pop")
    assert seen == {
        "send": [1],
        "sendLater": [2],
        "sendBatch": [3, 4, 5],
        "archive": True,
        "archiveAgain": False,
        "delete": True,
        "deleteAgain": False,
    }
    assert list(first) == ["msg_id", "read_ct", "enqueued_at", "last_read_at", "vt", "message", "headers"]
    assert (first["msg_id"], first["read_ct"], first["message"]) == (1, 1, {"text": "é￥😀", "n": 1})
    assert (third["msg_id"], third["read_ct"], third["message"]) == (3, 1, {"n": 3})
    assert (popped["msg_id"], popped["message"]) == (4, "four")
    assert sql(f"select msg_id, message, read_ct, vt > now() + '9 min' from pgmq.q_{queue} order by 1") == [
        (2, None, 0, True),
        (5, None, 0, False),
    ]
    assert sql(f"select msg_id, message, read_ct from pgmq.a_{queue}") == [(1, {"text": "é￥😀", "n": 1}, 1)]


def test_the_anon_key_without_rights_is_refused_with_401(running: Project, queue: str, sql: Sql) -> None:
    sql("select pgmq.send(%s, '1')", queue)
    seen = node("refused.mjs", running.url, running.anon_key, QUEUE=queue)
    assert list(seen) == FUNCTIONS
    for name, call in seen.items():
        table = f"a_{queue}" if name == "archive" else f"q_{queue}"
        error = {"code": "42501", "message": f"permission denied for table {table}", "details": None, "hint": None}
        assert call == {"data": None, "error": error, "count": None, "status": 401}
    assert sql(f"select msg_id, read_ct from pgmq.q_{queue}") == [(1, 0)]
    assert sql(f"select count(*) from pgmq.a_{queue}") == [(0,)]


def test_a_user_without_rights_is_refused_with_403(running: Project, queue: str, sql: Sql) -> None:
    sql("select pgmq.send(%s, '1')", queue)
    seen = node("refused.mjs", running.url, running.anon_key, QUEUE=queue, USER_TOKEN=running.alice)
    assert list(seen) == FUNCTIONS
    assert {(call["error"]["code"], call["status"]) for call in seen.values()} == {("42501", 403)}
    assert sql(f"select msg_id, read_ct from pgmq.q_{queue}") == [(1, 0)]


def test_rights_without_a_policy_send_nothing_and_see_nothing(
    running: Project, queue: str, grant: Callable[..., None], sql: Sql
) -> None:
    sql("select pgmq.send(%s, '1')", queue)
    grant("anon", "send", "read", "pop", "archive", "delete")
    seen = node("refused.mjs", running.url, running.anon_key, QUEUE=queue)
    for name in ("send", "send_batch"):
        assert (seen[name]["error"]["code"], seen[name]["status"]) == ("42501", 401)
        assert seen[name]["error"]["message"] == f'new row violates row-level security policy for table "q_{queue}"'
    assert {name: seen[name] for name in FUNCTIONS[2:]} == {
        "read": ok([]),
        "pop": ok([]),
        "archive": ok(False),
        "delete": ok(False),
    }
    assert sql(f"select msg_id, read_ct from pgmq.q_{queue}") == [(1, 0)]


@pytest.mark.parametrize("way", ["accessToken", "headers"])
def test_a_user_sends_and_reads_what_a_policy_allows(way: str, running: Project, owned: str, sql: Sql) -> None:
    sql('select pgmq.send(%s, \'{"owner": "bob"}\')', owned)
    seen = node("user.mjs", running.url, running.anon_key, QUEUE=owned, USER_TOKEN=running.alice, WAY=way)
    assert seen["sendOwn"] == ok([2])
    assert (seen["sendForeign"]["error"]["code"], seen["sendForeign"]["status"]) == ("42501", 403)
    assert [(row["msg_id"], row["message"]) for row in seen["read"]["data"]] == [(2, {"owner": "alice"})]
    assert sql(f"select msg_id, message->>'owner', read_ct from pgmq.q_{owned} order by 1") == [
        (1, "bob", 0),
        (2, "alice", 1),
    ]


def test_no_rows_one_row_and_large_ids_come_as_the_client_promises(running: Project, queue: str, sql: Sql) -> None:
    first = 2**53 + 1
    sql(f"alter table pgmq.q_{queue} alter column msg_id restart with {first}")
    seen = node("shapes.mjs", running.url, running.service_key, QUEUE=queue, FIRST_ID=str(first))
    assert (seen["readNothing"], seen["popNothing"], seen["popNothingMaybeSingle"]) == (ok([]), ok([]), ok(None))
    # The server sends every digit; JSON.parse rounds to the nearest double.
    assert seen["sendMaybeSingle"] == ok(first - 1)
    assert (seen["archiveBigint"], seen["deleteBigint"]) == (ok(True), ok(True))
    assert seen["popMaybeSingle"]["data"]["message"] == "c"
    # The client itself refuses two rows, after the server has leased them.
    assert (seen["readTooMany"]["error"]["code"], seen["readTooMany"]["status"]) == ("PGRST116", 406)
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(0,)]
    assert sql(f"select msg_id, message, read_ct from pgmq.a_{queue}") == [(first, "a", 1)]


def test_errors_reach_the_program_with_all_four_fields(running: Project, queue: str, sql: Sql) -> None:
    seen = node("errors.mjs", running.url, running.service_key, QUEUE=queue)
    no_function = {
        "code": "PGRST202",
        "message": "Could not find the function pgmq_public.nosuch without parameters in the schema cache",
        "details": "Searched for the function pgmq_public.nosuch without parameters or with a single unnamed json/jsonb"
        " parameter, but no matches were found in the schema cache.",
        "hint": None,
    }
    assert seen.pop("thrown")["error"] == {"name": "PostgrestError", **no_function}
    assert seen["noSuchFunction"] == {"data": None, "error": no_function, "count": None, "status": 404}
    # HEAD has no body to take an error from.
    assert seen.pop("head") == {"data": None, "error": {"message": ""}, "count": None, "status": 405}
    # With an object among the arguments the client posts instead, and the message is sent.
    assert seen.pop("headWithObject") == ok([1])
    assert {name: (call["error"]["code"], call["status"]) for name, call in seen.items()} == {
        "noSuchFunction": ("PGRST202", 404),
        "noSuchArgument": ("PGRST202", 404),
        "noSuchQueue": ("42P01", 404),
        "noSuchSchema": ("PGRST106", 406),
        "notAnInteger": ("22P02", 400),
        "get": ("25006", 405),
        "badKey": ("PGRST301", 401),
    }
    assert all(set(call["error"]) == {"code", "message", "details", "hint"} for call in seen.values())
    assert sql(f"select msg_id, message, read_ct from pgmq.q_{queue}") == [(1, {"n": 1}, 0)]


def test_the_program_of_the_announcement_runs_against_make_serve(made: Path) -> None:
    command("queue", "create", "foo", "--no-rls", cwd=made)
    mine = project(cwd=made)
    denied = node("announcement.mjs", mine.url, mine.anon_key)
    assert (denied["data"], denied["error"]["code"]) == (None, "42501")
    assert node("announcement.mjs", mine.url, mine.service_key) == {"data": [1], "error": None}
    command("queue", "grant", "foo", "anon", "send", cwd=made)
    assert node("announcement.mjs", mine.url, mine.anon_key) == {"data": [2], "error": None}
    with psycopg.connect(socket_uri(DataDirectory(made / ".pgmq-gateway"))) as connection:
        assert runner(connection)("select msg_id, message from pgmq.q_foo order by 1") == [
            (1, {"hello": "world"}),
            (2, {"hello": "world"}),
        ]
