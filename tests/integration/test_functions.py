"""Every function over HTTP: the response, and the rows in the database."""

import json
from collections.abc import Callable

import httpx
import pytest

from tests.databases import Sql

Headers = dict[str, str]
Bearer = Callable[..., Headers]


@pytest.fixture
def service(api: httpx.Client, bearer: Bearer) -> httpx.Client:
    """A client as service_role."""
    api.headers.update(bearer("service_role"))
    return api


def test_send_stores_the_message_and_returns_its_id(service: httpx.Client, queue: str, sql: Sql) -> None:
    answer = service.post("/rest/v1/rpc/send", json={"queue_name": queue, "message": {"hello": "world"}})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["content-range"] == "0-0/*"
    assert answer.headers["content-profile"] == "pgmq_public"
    assert answer.text == "[1]"
    assert sql(f"select msg_id, message, read_ct, vt <= now() from pgmq.q_{queue}") == [
        (1, {"hello": "world"}, 0, True)
    ]


def test_the_path_without_prefix_is_the_same(service: httpx.Client, queue: str) -> None:
    assert service.post("/rpc/send", json={"queue_name": queue, "message": 1}).json() == [1]


def test_send_with_a_delay_hides_the_message(service: httpx.Client, queue: str, sql: Sql) -> None:
    body = {"queue_name": queue, "message": 1, "sleep_seconds": 600}
    assert service.post("/rpc/send", json=body).json() == [1]
    assert service.post("/rpc/read", json={"queue_name": queue, "sleep_seconds": 0, "n": 10}).json() == []
    assert sql(f"select vt - enqueued_at between '599 s' and '601 s' from pgmq.q_{queue}") == [(True,)]


def test_send_batch_returns_ids_in_order(service: httpx.Client, queue: str, sql: Sql) -> None:
    body = {"queue_name": queue, "messages": [{"n": n} for n in range(50)]}
    answer = service.post("/rpc/send_batch", json=body)
    assert answer.json() == list(range(1, 51))
    assert answer.headers["content-range"] == "0-49/*"
    assert sql(f"select count(*), bool_and((message->>'n')::int = msg_id - 1) from pgmq.q_{queue}") == [(50, True)]


@pytest.mark.parametrize("messages", [[], None])
def test_send_batch_of_nothing_is_nothing(service: httpx.Client, queue: str, messages: None, sql: Sql) -> None:
    answer = service.post("/rpc/send_batch", json={"queue_name": queue, "messages": messages})
    assert (answer.status_code, answer.text, answer.headers["content-range"]) == (200, "[]", "*/*")
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(0,)]


def test_read_leases_messages_in_order(service: httpx.Client, queue: str, sql: Sql) -> None:
    service.post("/rpc/send_batch", json={"queue_name": queue, "messages": ["a", "b", "c"]})
    answer = service.post("/rpc/read", json={"queue_name": queue, "sleep_seconds": 60, "n": 2})
    assert [(row["msg_id"], row["read_ct"], row["message"]) for row in answer.json()] == [(1, 1, "a"), (2, 1, "b")]
    assert list(answer.json()[0]) == ["msg_id", "read_ct", "enqueued_at", "last_read_at", "vt", "message", "headers"]
    assert answer.json()[0]["vt"].endswith("+00:00")
    rest = service.post("/rpc/read", json={"queue_name": queue, "sleep_seconds": 60, "n": 2})
    assert [row["msg_id"] for row in rest.json()] == [3]
    assert sql(f"select msg_id from pgmq.q_{queue} where vt > now() + '50 s' order by 1") == [(1,), (2,), (3,)]


def test_a_lease_of_no_time_leaves_the_message_visible(service: httpx.Client, queue: str) -> None:
    service.post("/rpc/send", json={"queue_name": queue, "message": 1})
    counts = [
        service.post("/rpc/read", json={"queue_name": queue, "sleep_seconds": 0, "n": 1}).json()[0]["read_ct"]
        for _ in range(3)
    ]
    assert counts == [1, 2, 3]


def test_read_sorts_many_by_id(service: httpx.Client, queue: str) -> None:
    service.post("/rpc/send_batch", json={"queue_name": queue, "messages": list(range(5000))})
    rows = service.post("/rpc/read", json={"queue_name": queue, "sleep_seconds": 60, "n": 5000}).json()
    assert [row["msg_id"] for row in rows] == list(range(1, 5001))


def test_pop_takes_the_message_away(service: httpx.Client, queue: str, sql: Sql) -> None:
    service.post("/rpc/send_batch", json={"queue_name": queue, "messages": ["a", "b"]})
    (popped,) = service.post("/rpc/pop", json={"queue_name": queue}).json()
    assert (popped["msg_id"], popped["message"]) == (1, "a")
    assert sql(f"select msg_id from pgmq.q_{queue}") == [(2,)]


def test_pop_of_an_empty_queue_is_an_empty_array(service: httpx.Client, queue: str) -> None:
    answer = service.post("/rpc/pop", json={"queue_name": queue})
    assert (answer.text, answer.headers["content-range"]) == ("[]", "*/*")


def test_archive_moves_the_row(service: httpx.Client, queue: str, sql: Sql) -> None:
    service.post("/rpc/send", json={"queue_name": queue, "message": {"keep": "me"}})
    answer = service.post("/rpc/archive", json={"queue_name": queue, "message_id": 1})
    assert (answer.status_code, answer.text, answer.headers["content-range"]) == (200, "true", "0-0/*")
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(0,)]
    assert sql(f"select msg_id, message from pgmq.a_{queue}") == [(1, {"keep": "me"})]
    assert service.post("/rpc/archive", json={"queue_name": queue, "message_id": 1}).text == "false"


def test_delete_removes_the_row_once(service: httpx.Client, queue: str, sql: Sql) -> None:
    service.post("/rpc/send", json={"queue_name": queue, "message": 1})
    assert service.post("/rpc/delete", json={"queue_name": queue, "message_id": 1}).text == "true"
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(0,)]
    assert service.post("/rpc/delete", json={"queue_name": queue, "message_id": 1}).text == "false"


def test_an_integer_may_come_as_a_string(service: httpx.Client, queue: str) -> None:
    service.post("/rpc/send", json={"queue_name": queue, "message": 1})
    assert service.post("/rpc/delete", json={"queue_name": queue, "message_id": "1"}).text == "true"


@pytest.mark.parametrize(
    "text",
    [
        '{"n": 9007199254740993}',
        '{"n": 1.10}',
        '{"n": 123456789012345678901234567890}',
        '{"n": -0.000000000000000000001}',
    ],
)
def test_numbers_keep_every_digit(service: httpx.Client, queue: str, text: str, sql: Sql) -> None:
    headers = {"Content-Type": "application/json"}
    sent = service.post("/rpc/send", content=f'{{"queue_name": "{queue}", "message": {text}}}', headers=headers)
    assert sent.text == "[1]"
    assert sql(f"select message::text from pgmq.q_{queue}") == [(text,)]
    read = service.post("/rpc/read", json={"queue_name": queue, "sleep_seconds": 0, "n": 1})
    assert f'"message":{text}' in read.text


def test_ids_beyond_what_a_double_holds_keep_every_digit(service: httpx.Client, queue: str, sql: Sql) -> None:
    sql(f"alter table pgmq.q_{queue} alter column msg_id restart with 9007199254740993")
    assert service.post("/rpc/send", json={"queue_name": queue, "message": 1}).text == "[9007199254740993]"
    body = f'{{"queue_name": "{queue}", "message_id": 9007199254740993}}'
    headers = {"Content-Type": "application/json"}
    assert service.post("/rpc/delete", content=body, headers=headers).text == "true"


def test_a_megabyte_goes_in_and_out(service: httpx.Client, queue: str) -> None:
    payload = {"text": "x" * 1_000_000, "list": list(range(1000))}
    assert service.post("/rpc/send", json={"queue_name": queue, "message": payload}).status_code == 200
    (row,) = service.post("/rpc/read", json={"queue_name": queue, "sleep_seconds": 0, "n": 1}).json()
    assert row["message"] == payload


@pytest.mark.parametrize(
    "text", ["é￥😀", 'quote " backslash \\ newline \n tab \t', "\u202e right to left", "", "\x7f"]
)
def test_text_of_any_script_comes_back_unchanged(service: httpx.Client, queue: str, text: str) -> None:
    service.post("/rpc/send", content=json.dumps({"queue_name": queue, "message": text}, ensure_ascii=False).encode())
    (row,) = service.post("/rpc/read", json={"queue_name": queue, "sleep_seconds": 0, "n": 1}).json()
    assert row["message"] == text
