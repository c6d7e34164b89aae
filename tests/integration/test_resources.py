"""Queues as REST resources."""

from collections.abc import Callable
from urllib.parse import quote

import httpx
import pytest

from tests.databases import Sql

Bearer = Callable[..., dict[str, str]]


def test_a_message_is_sent_read_and_deleted(resources: httpx.Client, queue: str, sql: Sql) -> None:
    messages = f"/rest/v1/queues/{queue}/messages"
    sent = resources.post(messages, content='{"n": 1.10}')
    assert (sent.status_code, sent.text) == (201, "[1]")
    assert sql(f"select message::text from pgmq.q_{queue}") == [('{"n": 1.10}',)]
    read = resources.get(messages, params={"n": 5, "sleep_seconds": 60})
    assert (read.status_code, read.headers["cache-control"]) == (200, "no-store")
    assert [(row["msg_id"], row["read_ct"]) for row in read.json()] == [(1, 1)]
    assert resources.get(messages).json() == []
    deleted = resources.delete(f"{messages}/1")
    assert (deleted.status_code, deleted.text) == (200, "true")
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(0,)]


def test_many_messages_are_sent_at_once_and_one_is_popped(resources: httpx.Client, queue: str, sql: Sql) -> None:
    messages = f"/queues/{queue}/messages"
    sent = resources.post(messages, params={"sleep_seconds": 0}, json={"messages": [{"a": 1}, 2, None]})
    assert (sent.status_code, sent.text) == (201, "[1, 2, 3]")
    (popped,) = resources.post(f"{messages}/pop").json()
    assert (popped["msg_id"], popped["message"]) == (1, {"a": 1})
    archived = resources.post(f"{messages}/2/archive")
    assert (archived.status_code, archived.text) == (200, "true")
    assert sql(f"select msg_id from pgmq.q_{queue}") == [(3,)]
    assert sql(f"select msg_id, message from pgmq.a_{queue}") == [(2, 2)]


@pytest.mark.parametrize(
    "messages",
    [
        "[[1, 2], [3, 4]]",
        "[[], []]",
        "[null]",
        '[{"a": null}, null, [null], [[1], [2, 3]]]',
        r'["null", "[1]", "{}", "\"", "\\", "a,b", "é\u00e9", [ "{\"1\",2}", "\\" ], ""]',
        "[1.10, [12345678901234567890.123456789012345678901234567890], -0.0, true]",
        "[ [ ] , 1 ]",
        "[]",
    ],
)
def test_each_member_of_a_batch_is_one_message(resources: httpx.Client, queue: str, messages: str, sql: Sql) -> None:
    answer = resources.post(f"/queues/{queue}/messages", content=f'{{"messages": {messages}}}')
    assert answer.status_code == 201
    expected = sql(
        "select n, value::jsonb::text from json_array_elements(%s::json) with ordinality as m (value, n)", messages
    )
    assert answer.json() == [n for n, _ in expected]
    assert sql(f"select msg_id, message::text from pgmq.q_{queue} order by msg_id") == expected


def test_a_delayed_batch_of_arrays_is_invisible(resources: httpx.Client, queue: str, sql: Sql) -> None:
    path = f"/queues/{queue}/messages?sleep_seconds=600"
    assert resources.post(path, json={"messages": [[1], None]}).text == "[1, 2]"
    assert sql(f"select count(*) from pgmq.q_{queue} where vt > now() + '500 s'") == [(2,)]


def test_a_message_null_is_json_null(resources: httpx.Client, queue: str, sql: Sql) -> None:
    answer = resources.post(f"/queues/{queue}/messages", content=b" null ")
    assert (answer.status_code, answer.text) == (201, "[1]")
    assert sql(f"select message::text from pgmq.q_{queue}") == [("null",)]


@pytest.mark.parametrize("messages", ["null", "{}", "1", '"{1,2}"', '"[1]"', "true"])
def test_d13_messages_that_are_no_array_store_nothing(
    resources: httpx.Client, queue: str, messages: str, sql: Sql
) -> None:
    answer = resources.post(f"/queues/{queue}/messages", content=f'{{"messages": {messages}}}')
    assert answer.status_code == 400
    assert answer.json() == {
        "code": "PGRST102",
        "details": "A body whose only member is messages is a batch.",
        "hint": 'To send it as one message: {"messages": [{"messages": …}]}',
        "message": "messages must be an array",
    }
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(0,)]


@pytest.mark.parametrize(("method", "rest"), [("DELETE", ""), ("POST", "/archive")])
def test_a27_an_id_in_a_path_has_only_digits(
    resources: httpx.Client, queue: str, method: str, rest: str, sql: Sql
) -> None:
    sql("select pgmq.send(%s, to_jsonb(n)) from generate_series(1, 10) n", queue)
    for message_id in (
        "0x2",
        "1_0",
        " 2",
        "2 ",
        "2\n",
        "+2",
        "-2",
        "\N{FULLWIDTH DIGIT TWO}",
        "1e0",
        "2.0",
        str(2**63),
        "2" * 5000,
    ):
        answer = resources.request(method, f"/queues/{queue}/messages/{quote(message_id)}{rest}")
        assert (answer.status_code, answer.json()["code"]) == (400, "PGRST100"), message_id
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(10,)]
    assert resources.request(method, f"/queues/{queue}/messages/002{rest}").text == "true"
    assert resources.request(method, f"/queues/{queue}/messages/{2**63 - 1}{rest}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "messages", "sleep_seconds, send_at, expires_at, group_id, deduplication_id"),
        ("GET", "messages", "n, sleep_seconds, wait_seconds"),
        ("POST", "messages/pop", "n, wait_seconds"),
        ("DELETE", "messages/1", "none"),
        ("POST", "messages/1/archive", "none"),
    ],
)
def test_unknown_parameters_are_refused(
    resources: httpx.Client, queue: str, method: str, path: str, allowed: str, sql: Sql
) -> None:
    sql("select pgmq.send(%s, '1')", queue)
    for parameter in ("queue_name=other", "queue_name", "&;queue_name="):
        answer = resources.request(method, f"/queues/{queue}/{path}?{parameter}", json=1)
        assert answer.status_code == 400
        assert answer.json() == {
            "code": "PGRST100",
            "details": None,
            "hint": f"Allowed parameters: {allowed}.",
            "message": "Unknown parameter queue_name",
        }
    assert sql(f"select msg_id, read_ct from pgmq.q_{queue}") == [(1, 0)]


def test_names_in_a_path_are_decoded(resources: httpx.Client, queue: str, sql: Sql) -> None:
    encoded = "".join(f"%{ord(character):02x}" for character in queue)
    assert resources.post(f"/queues/{encoded}/messages", json=1).text == "[1]"
    assert resources.post(f"/queues/{encoded}/messages/%31/archive").text == "true"
    assert sql(f"select msg_id from pgmq.a_{queue}") == [(1,)]
    answer = resources.post("/queues/a%2Fb/messages", json=1)
    assert (answer.status_code, answer.json()["code"]) == (404, "42P01")


def test_a_delayed_message_is_invisible(resources: httpx.Client, queue: str) -> None:
    messages = f"/queues/{queue}/messages"
    assert resources.post(messages, params={"sleep_seconds": 600}, json="later").status_code == 201
    assert resources.get(messages).json() == []


@pytest.mark.parametrize(("method", "rest"), [("DELETE", "/7"), ("POST", "/7/archive")])
def test_a_message_that_is_not_there_is_404(resources: httpx.Client, queue: str, method: str, rest: str) -> None:
    answer = resources.request(method, f"/queues/{queue}/messages{rest}")
    assert answer.status_code == 404
    assert answer.json() == {
        "code": "PGMQ404",
        "details": "It was deleted or archived already, or row-level security hides it from the caller's role.",
        "hint": None,
        "message": f'Message 7 not found in queue "{queue}"',
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/queues/no-such-queue/messages", 404, "42P01"),
        ("DELETE", "/queues/q/messages/x", 400, "PGRST100"),
        ("PUT", "/queues/q/messages", 405, "PGRST101"),
        ("GET", "/queues/q/messages/pop", 405, "PGRST101"),
        ("GET", "/queues/q", 404, "PGRST125"),
        ("GET", "/queues/q/messages/1/2/3", 404, "PGRST125"),
        ("GET", "/queues/q/messages/1/2", 404, "PGRST125"),
        ("GET", "/queues/q/messages?n=all", 400, "PGRST100"),
        ("GET", "/queues/q/messages?limit=1", 400, "PGRST100"),
        ("GET", "/queues/q/messages?n", 400, "PGRST100"),
    ],
)
def test_invalid_requests_are_refused(resources: httpx.Client, method: str, path: str, status: int, code: str) -> None:
    answer = resources.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == {"code", "details", "hint", "message"}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"1 2"])
def test_a_body_that_is_no_json_stores_nothing(resources: httpx.Client, queue: str, content: bytes, sql: Sql) -> None:
    answer = resources.post(f"/queues/{queue}/messages", content=content)
    assert (answer.status_code, answer.json()["code"]) == (400, "PGRST102")
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(0,)]


def test_the_callers_role_decides(api: httpx.Client, queue: str, bearer: Bearer, sql: Sql) -> None:
    sql("select pgmq.send(%s, '1')", queue)
    messages = f"/queues/{queue}/messages"
    assert api.get(messages).status_code == 401
    assert api.delete(f"{messages}/1", headers=bearer("authenticated")).status_code == 403
    assert api.post(messages, json=1, headers=bearer("authenticated")).status_code == 403
    assert sql(f"select msg_id, read_ct from pgmq.q_{queue}") == [(1, 0)]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/queues/q/messages", "POST,GET,DELETE"),
        ("/queues/q/messages/pop", "POST"),
        ("/queues/q/messages/1", "DELETE"),
        ("/queues/q/messages/1/archive", "POST"),
        ("/rpc/send", "OPTIONS,GET,HEAD,POST"),
        ("/openapi.json", "OPTIONS,GET,HEAD"),
    ],
)
def test_an_unknown_method_gets_the_allowed_ones(resources: httpx.Client, path: str, allowed: str) -> None:
    answer = resources.put(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_a_line_break_in_a_path_is_handled(resources: httpx.Client) -> None:
    answer = resources.get("/queues/a%0Ab/messages")
    assert (answer.status_code, answer.json()["code"]) == (404, "42P01")
