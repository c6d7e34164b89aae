"""Rate limits over HTTP: 429 with its headers, nothing stored, and other callers unaffected."""

from collections.abc import Callable

import httpx
import pytest

from tests.answers import error
from tests.gateways import RunningGateway

Bearer = Callable[..., dict[str, str]]

# Periods so long that no tokens return during a test.
GATEWAY = {
    "PGMQ_GATEWAY_RATE_LIMITS": "anon=3/h, authenticated=4/h by sub, authenticated=1000/h burst 100, "
    "service_role=10 messages/h by sub",
    "PGRST_SERVER_CORS_ALLOWED_ORIGINS": "https://app.example",
}
PROFILE = {"Content-Profile": "pgmq_public"}


def call(gateway: RunningGateway, function: str, headers: dict[str, str], **arguments: object) -> httpx.Response:
    return gateway.client.post(f"/rpc/{function}", json=arguments, headers={**PROFILE, **headers})


@pytest.fixture(scope="module")
def queue(gateway: RunningGateway) -> str:
    gateway.sql("select pgmq_admin.create_queue('limited')")
    gateway.sql("select pgmq_admin.grant_queue('limited', 'authenticated', '{send}')")
    gateway.sql("alter table pgmq.q_limited disable row level security")
    return "limited"


def rows(gateway: RunningGateway) -> int:
    count: int = gateway.sql("select count(*) from pgmq.q_limited")[0][0]
    return count


def test_requests_beyond_the_limit_are_429_and_do_nothing(gateway: RunningGateway, queue: str, bearer: Bearer) -> None:
    mine, others = bearer("authenticated", sub="mine"), bearer("authenticated", sub="others")
    before = rows(gateway)
    answers = [call(gateway, "send", mine, queue_name=queue, message=n) for n in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2
    assert rows(gateway) == before + 4
    policy = '"requests/h by sub";q=4;w=3600, "requests/h";q=100;w=360'
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {policy}
    assert answers[0].headers["ratelimit"] == '"requests/h by sub";r=3;t=900, "requests/h";r=99;t=4'
    refused = answers[-1]
    assert error(refused) == {
        "code": "PGMQ429",
        "details": "The rate limit of role authenticated is 4 requests/h by sub with a burst of 4.",
        "hint": f"Retry after {refused.headers['retry-after']} s.",
        "message": "Too many requests",
    }
    assert 800 < int(refused.headers["retry-after"]) <= 900
    assert refused.headers["ratelimit"].startswith('"requests/h by sub";r=0;t=3')
    assert call(gateway, "send", others, queue_name=queue, message=1).status_code == 200


def test_anonymous_callers_share_a_limit_and_scripts_can_read_it(gateway: RunningGateway) -> None:
    answers = [gateway.client.get("/", headers={"Origin": "https://app.example"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429]
    for name in ("Retry-After", "RateLimit", "RateLimit-Policy"):
        assert name in answers[-1].headers["access-control-expose-headers"].split(", ")


def test_messages_are_charged_as_sent_and_as_read(gateway: RunningGateway, queue: str, bearer: Bearer) -> None:
    mine = bearer("service_role", sub="batches")
    gateway.sql("delete from pgmq.q_limited")
    assert call(gateway, "send_batch", mine, queue_name=queue, messages=[1, 2, 3, 4, 5, 6]).status_code == 200
    refused = call(gateway, "send_batch", mine, queue_name=queue, messages=[1, 2, 3, 4, 5])
    assert (refused.status_code, error(refused)["message"]) == (429, "Too many messages")
    never = call(gateway, "send_batch", mine, queue_name=queue, messages=list(range(11)))
    assert (never.status_code, error(never)["code"], "retry-after" in never.headers) == (413, "PGMQ413", False)
    assert rows(gateway) == 6
    # Failed sends and missing messages are not charged; one token is left after this.
    assert call(gateway, "send", mine, queue_name="missing", message=1).status_code == 404
    found = call(gateway, "read", mine, queue_name=queue, sleep_seconds=60, n=3).json()
    assert len(found) == 3
    last = call(gateway, "archive", mine, queue_name=queue, message_id=found[0]["msg_id"])
    assert last.json() is True
    assert last.headers["ratelimit"].startswith('"messages/h by sub";r=1;')
    assert call(gateway, "pop", mine, queue_name=queue).status_code == 200
    assert call(gateway, "send", mine, queue_name=queue, message=1).status_code == 429


def test_reads_of_an_empty_queue_are_free(gateway: RunningGateway, bearer: Bearer) -> None:
    gateway.sql("select pgmq_admin.create_queue('nothing')")
    mine = bearer("service_role", sub="reads")
    for _ in range(5):
        answer = call(gateway, "read", mine, queue_name="nothing", sleep_seconds=60, n=10)
        assert (answer.status_code, answer.json()) == (200, [])


def test_limiting_the_rows_does_not_lower_the_charge_of_sending(
    gateway: RunningGateway, queue: str, bearer: Bearer
) -> None:
    mine = bearer("service_role", sub="shaped")
    before = rows(gateway)
    statuses = [
        gateway.client.post(
            "/rpc/send_batch?limit=0", json={"queue_name": queue, "messages": [1, 2, 3, 4]}, headers={**PROFILE, **mine}
        ).status_code
        for _ in range(3)
    ]
    assert statuses == [200, 200, 429]
    # A form is charged by its result.
    form = {"queue_name": queue, "messages": '{"1","2","3"}'}
    for _ in range(2):
        gateway.client.post("/rpc/send_batch", data=form, headers={**PROFILE, **mine})
    assert gateway.client.post("/rpc/send_batch", data=form, headers={**PROFILE, **mine}).status_code == 429
    assert rows(gateway) - before <= 8 + 3
    resource = gateway.client.post(f"/queues/{queue}/messages", json={"messages": [1, 2, 3]}, headers=mine)
    assert resource.status_code == 429
