"""pgmq_api over HTTP, as functions: statuses of its results and errors."""

from collections.abc import Callable

import httpx
import pytest

from tests.databases import Sql

Call = Callable[..., httpx.Response]


@pytest.fixture
def call(service: httpx.Client, queue: str) -> Call:
    """call("read", n=2): the response of a function of pgmq_api for service_role, on the test's queue."""

    def post(function: str, **arguments: object) -> httpx.Response:
        body = {"queue_name": queue, **arguments}
        return service.post(f"/rpc/{function}", json=body, headers={"Content-Profile": "pgmq_api"})

    return post


def settings(sql: Sql, queue: str, text: str) -> None:
    sql("select pgmq_admin.set_queue_settings(%s, %s)", queue, text)


def test_messages_are_sent_read_and_settled(call: Call) -> None:
    assert call("send", message={"n": 2**60}, headers={"h": 1}).json() == [1]
    assert call("send_entries", entries=[{"message": []}]).json() == [{"entry": 0, "msg_id": 2, "duplicate": False}]
    messages = call("read", n=5).json()
    assert [message["message"] for message in messages] == [{"n": 2**60}, []]
    one, two = [message["receipt"] for message in messages]
    assert call("retry", receipt=one, delay_seconds=0).json() == "retried"
    assert [call("ack", receipt=two).json() for _ in range(2)] == ["acked", "gone"]
    (again,) = [message["receipt"] for message in call("read").json()]
    assert call("ack", receipt=one).json() == "stale"
    assert call("settle", acks=[one], rejects=[again]).json() == [
        {"receipt": one, "outcome": "stale"}, {"receipt": again, "outcome": "rejected"}
    ]  # fmt: skip
    assert call("metrics").json()[0]["visible"] == 0


@pytest.mark.parametrize(
    ("function", "arguments", "status", "code"),
    [
        ("ack", {"receipt": "42"}, 400, "22P02"),
        ("ack", {"receipt": "99999999999999999999.1.1"}, 400, "22P02"),
        ("read", {"sleep_seconds": -1}, 400, "22023"),
        ("settle", {"acks": ["1.1.1"], "strict": True}, 409, "PT409"),
        ("ack", {"queue_name": "nowhere", "receipt": "1.1.1"}, 404, "42P01"),
        ("delete_batch", {"message_ids": [*range(10001)]}, 400, "22023"),
    ],
)
def test_errors_have_the_status_of_their_cause(
    call: Call, function: str, arguments: dict[str, object], status: int, code: str
) -> None:
    response = call(function, **arguments)
    assert (response.status_code, response.json()["code"]) == (status, code), response.text


def test_118_119_limits_of_a_queue(call: Call, sql: Sql, queue: str) -> None:
    settings(sql, queue, '{"max_message_bytes": 10, "max_messages": 1}')
    assert call("send", message="x" * 20).status_code == 413
    sql("update pgmq_settings.queues set is_full = true where queue_name = %s", queue)
    response = call("send", message=1)
    assert (response.status_code, response.json()["message"]) == (429, f'queue "{queue}" is full')
    assert response.headers["Retry-After"] == "5"


def test_nothing_internal_can_be_called(call: Call, service: httpx.Client) -> None:
    assert call("send").status_code == 404
    for schema in ("pgmq_settings", "pgmq_gateway"):
        response = service.post("/rpc/bury", json={}, headers={"Content-Profile": schema})
        assert (response.status_code, response.json()["code"]) == (406, "PGRST106")
