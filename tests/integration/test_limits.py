"""Limits per caller over HTTP: 429 with its headers, nothing stored, and other callers undisturbed."""

from collections.abc import Callable

import httpx
import pytest

from tests.integration.conftest import Own, error

Bearer = Callable[..., dict[str, str]]

# Periods so long that nothing comes back while a test runs.
GATEWAY = {
    "PGMQ_GATEWAY_RATE_LIMITS": "anon=3/h, authenticated=4/h by sub, authenticated=1000/h burst 100, "
    "service_role=10 messages/h by sub",
    "PGRST_SERVER_CORS_ALLOWED_ORIGINS": "https://app.example",
}
PROFILE = {"Content-Profile": "pgmq_public"}


def call(own: Own, function: str, headers: dict[str, str], **arguments: object) -> httpx.Response:
    return own.client.post(f"/rpc/{function}", json=arguments, headers={**PROFILE, **headers})


@pytest.fixture(scope="module")
def queue(own: Own) -> str:
    own.sql("select pgmq_admin.create_queue('limited')")
    own.sql("select pgmq_admin.grant_queue('limited', 'authenticated', '{send}')")
    own.sql("alter table pgmq.q_limited disable row level security")
    return "limited"


def rows(own: Own) -> int:
    count: int = own.sql("select count(*) from pgmq.q_limited")[0][0]
    return count


def test_requests_beyond_the_limit_are_429_and_do_nothing(own: Own, queue: str, bearer: Bearer) -> None:
    mine, others = bearer("authenticated", sub="mine"), bearer("authenticated", sub="others")
    before = rows(own)
    answers = [call(own, "send", mine, queue_name=queue, message=n) for n in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2
    assert rows(own) == before + 4
    policy = '"requests/h by sub";q=4;w=3600, "requests/h";q=100;w=360'
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {policy}
    assert answers[0].headers["ratelimit"] == '"requests/h by sub";r=3;t=900, "requests/h";r=99;t=4'
    refused = answers[-1]
    assert error(refused) == {
        "code": "PGMQ429",
        "details": "The limit of role authenticated is 4 requests/h by sub, 4 at once.",
        "hint": f"Try again in {refused.headers['retry-after']} s.",
        "message": "Too many requests",
    }
    assert 800 < int(refused.headers["retry-after"]) <= 900
    assert refused.headers["ratelimit"].startswith('"requests/h by sub";r=0;t=3')
    assert call(own, "send", others, queue_name=queue, message=1).status_code == 200


def test_strangers_share_a_limit_and_pages_may_read_it(own: Own) -> None:
    answers = [own.client.get("/", headers={"Origin": "https://app.example"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429]
    for name in ("Retry-After", "RateLimit", "RateLimit-Policy"):
        assert name in answers[-1].headers["access-control-expose-headers"].split(", ")


def test_messages_count_by_what_is_sent_and_what_is_found(own: Own, queue: str, bearer: Bearer) -> None:
    mine = bearer("service_role", sub="batches")
    own.sql("delete from pgmq.q_limited")
    assert call(own, "send_batch", mine, queue_name=queue, messages=[1, 2, 3, 4, 5, 6]).status_code == 200
    refused = call(own, "send_batch", mine, queue_name=queue, messages=[1, 2, 3, 4, 5])
    assert (refused.status_code, error(refused)["message"]) == (429, "Too many messages")
    never = call(own, "send_batch", mine, queue_name=queue, messages=list(range(11)))
    assert (never.status_code, error(never)["code"], "retry-after" in never.headers) == (413, "PGMQ413", False)
    assert rows(own) == 6
    # What is not sent does not count, nor what is not found; one is left after this.
    assert call(own, "send", mine, queue_name="missing", message=1).status_code == 404
    found = call(own, "read", mine, queue_name=queue, sleep_seconds=60, n=3).json()
    assert len(found) == 3
    last = call(own, "archive", mine, queue_name=queue, message_id=found[0]["msg_id"])
    assert last.json() is True
    assert last.headers["ratelimit"].startswith('"messages/h by sub";r=1;')
    assert call(own, "pop", mine, queue_name=queue).status_code == 200
    assert call(own, "send", mine, queue_name=queue, message=1).status_code == 429


def test_reads_of_an_empty_queue_are_free(own: Own, bearer: Bearer) -> None:
    own.sql("select pgmq_admin.create_queue('nothing')")
    mine = bearer("service_role", sub="reads")
    for _ in range(5):
        answer = call(own, "read", mine, queue_name="nothing", sleep_seconds=60, n=10)
        assert (answer.status_code, answer.json()) == (200, [])


def test_fewer_rows_in_the_answer_do_not_make_sending_free(own: Own, queue: str, bearer: Bearer) -> None:
    mine = bearer("service_role", sub="shaped")
    before = rows(own)
    statuses = [
        own.client.post(
            "/rpc/send_batch?limit=0", json={"queue_name": queue, "messages": [1, 2, 3, 4]}, headers={**PROFILE, **mine}
        ).status_code
        for _ in range(3)
    ]
    assert statuses == [200, 200, 429]
    # A form is counted by its result.
    form = {"queue_name": queue, "messages": '{"1","2","3"}'}
    for _ in range(2):
        own.client.post("/rpc/send_batch", data=form, headers={**PROFILE, **mine})
    assert own.client.post("/rpc/send_batch", data=form, headers={**PROFILE, **mine}).status_code == 429
    assert rows(own) - before <= 8 + 3
    resource = own.client.post(f"/queues/{queue}/messages", json={"messages": [1, 2, 3]}, headers=mine)
    assert resource.status_code == 429
