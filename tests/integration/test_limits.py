"""Rate limits over HTTP: 429 with its headers, nothing stored, and other callers unaffected."""

from collections.abc import Callable

import httpx
import pytest

from tests.answers import error
from tests.gateways import RunningGateway
from tests.waiting import until

Bearer = Callable[..., dict[str, str]]

# Periods so long that no tokens return during a test.
GATEWAY = {
    "PGMQ_GATEWAY_RATE_LIMITS": "anon=3/h, authenticated=4/h by sub, authenticated=1000/h burst 100, "
    "service_role=10 messages/h by sub, guest=1/h by ip",
    "PGMQ_GATEWAY_TRUSTED_PROXIES": "127.0.0.1",
    "PGRST_SERVER_CORS_ALLOWED_ORIGINS": "https://app.example",
    "PGRST_DB_PLAN_ENABLED": "true",
}
PROFILE = {"Content-Profile": "pgmq_public"}


def call(gateway: RunningGateway, function: str, headers: dict[str, str], **arguments: object) -> httpx.Response:
    return gateway.client.post(f"/rpc/{function}", json=arguments, headers={**PROFILE, **headers})


@pytest.fixture(scope="module")
def queue(gateway: RunningGateway) -> str:
    gateway.sql("select pgmq_admin.create_queue('limited')")
    gateway.sql("select pgmq_admin.grant_queue('limited', 'authenticated', '{send}')")
    gateway.sql("alter table pgmq.q_limited disable row level security")
    gateway.sql("select pgmq_admin.create_queue('again')")
    gateway.sql("select pgmq_admin.set_queue_settings('again', '{\"dead_letter_queue\": \"limited\"}')")
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


JSON = {"Content-Type": "application/json"}
CSV = {"Content-Type": "text/csv"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PLAN = "application/vnd.pgrst.plan+json"
EIGHT = '{"queue_name": "limited", "messages": [1, 2, 3, 4, 5, 6, 7, 8]}'
SENDS = {
    "json": ("/rpc/send_batch", EIGHT, JSON),
    "limit": ("/rpc/send_batch?limit=1", EIGHT, JSON),
    "offset": ("/rpc/send_batch?offset=3", EIGHT, JSON),
    "filter": ("/rpc/send_batch?pgrst_scalar=lt.0", EIGHT, JSON),
    "select": ("/rpc/send_batch?select=id:pgrst_scalar&limit=2", EIGHT, JSON),
    "count": ("/rpc/send_batch?limit=0", EIGHT, {**JSON, "Prefer": "count=exact"}),
    "minimal": ("/rpc/send_batch?limit=1", EIGHT, {**JSON, "Prefer": "return=minimal"}),
    "object": ("/rpc/send_batch?limit=1", EIGHT, {**JSON, "Accept": "application/vnd.pgrst.object+json"}),
    "csv out": ("/rpc/send_batch?limit=1", EIGHT, {**JSON, "Accept": "text/csv"}),
    "columns": ("/rpc/send_batch?columns=queue_name,messages&limit=1", f"[{EIGHT}]", JSON),
    "literal": ("/rpc/send_batch?limit=1", '{"queue_name": "limited", "messages": "{1,2,3,4,5,6,7,8}"}', JSON),
    "matrix": ("/rpc/send_batch?limit=1", '{"queue_name": "limited", "messages": [[1, 2, 3, 4], [5, 6, 7, 8]]}', JSON),
    "form": ("/rpc/send_batch?limit=1", "queue_name=limited&messages={1,2,3,4,5,6,7,8}", FORM),
    "quoted": (
        "/rpc/send_batch",
        r'queue_name=limited&messages={"\"1,2,\"",2,"[3,3,3]",4,"{\"a\":5,\"b\":5}",6,7,8}',
        FORM,
    ),
    "csv": ("/rpc/send_batch?limit=1", 'queue_name,messages\nlimited,"{1,2,3,4,5,6,7,8}"', CSV),
    "plan": ("/rpc/send_batch", EIGHT, {**JSON, "Accept": f"{PLAN}; options=analyze"}),
    "shaped plan": ("/rpc/send_batch?limit=1", EIGHT, {**JSON, "Accept": f"{PLAN}; options=analyze"}),
    "resource": ("/queues/limited/messages", '{"messages": [1, 2, 3, 4, 5, 6, 7, 8]}', JSON),
    "arrays": ("/queues/limited/messages", '{"messages": [[1, 1], 2, [], null, 5, 6, 7, [8]]}', JSON),
}
READS = {
    "json": ("/rpc/read", '{"queue_name": "limited", "sleep_seconds": 60, "n": 8}', JSON),
    "text": ("/rpc/read?limit=1", '{"queue_name": "limited", "sleep_seconds": 60, "n": "8"}', JSON),
    "filter": ("/rpc/read?msg_id=eq.0", '{"queue_name": "limited", "sleep_seconds": 60, "n": 8}', JSON),
    "select": ("/rpc/read?select=msg_id&offset=7", '{"queue_name": "limited", "sleep_seconds": 60, "n": 8}', JSON),
    "form": ("/rpc/read?limit=1", "queue_name=limited&sleep_seconds=60&n=8", FORM),
    "csv": ("/rpc/read?limit=1", "queue_name,sleep_seconds,n\nlimited,60,8", CSV),
    "plan": (
        "/rpc/read?limit=1",
        "queue_name=limited&sleep_seconds=60&n=%208",
        {**FORM, "Accept": f"{PLAN}; options=analyze"},
    ),
}


def left(answer: httpx.Response) -> int:
    """The messages that the caller can still send or read."""
    return int(answer.headers["ratelimit"].partition(";r=")[2].partition(";")[0])


@pytest.mark.parametrize("way", SENDS)
def test_a45_each_way_of_sending_is_charged_by_what_it_stores(
    gateway: RunningGateway, queue: str, bearer: Bearer, way: str
) -> None:
    path, content, headers = SENDS[way]
    gateway.sql(f"truncate pgmq.q_{queue}")
    answer = gateway.client.post(
        path, content=content, headers={**PROFILE, **headers, **bearer("service_role", sub=f"sends {way}")}
    )
    assert answer.is_success, answer.text
    assert (rows(gateway), left(answer)) == (8, 2)


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/queues/limited/replay", {}),
        ("/rpc/replay?select=sent:last_visible_at", {}),
        ("/rpc/replay", {"Accept": f"{PLAN}; options=analyze"}),
        ("/queues/limited/redrive", {}),
    ],
)
def test_messages_that_are_sent_again_are_charged(
    gateway: RunningGateway, queue: str, bearer: Bearer, path: str, more: dict[str, str]
) -> None:
    mine = {**bearer("service_role", sub=f"again {path} {more}"), "Content-Profile": "pgmq_api", **more}
    body = {"queue_name": queue} if "rpc" in path else {}
    gateway.sql("truncate pgmq.q_limited, pgmq.a_limited, pgmq.q_again")
    gateway.sql(
        "insert into pgmq.q_limited (vt, message, headers) select now(), '1', "
        """'{"x-pgmq-dead": {"queue": "again"}}' from generate_series(1, 9)"""
    )
    if "replay" in path:
        gateway.sql("select pgmq.archive('limited', array(select msg_id from pgmq.q_limited))")
    # As many as there may be are reserved: without max_messages, 100.
    assert gateway.client.post(path, headers=mine, json=body).status_code == 413
    answer = gateway.client.post(path, headers=mine, json={**body, "max_messages": 7})
    assert answer.is_success, answer.text
    sent = gateway.sql(f"select count(*) from pgmq.q_{'limited' if 'replay' in path else 'again'}")
    assert (sent, left(answer)) == ([(7,)], 3)
    assert gateway.client.post(path, headers=mine, json={**body, "max_messages": 7}).status_code == 429
    last = gateway.client.post(path, headers=mine, json={**body, "max_messages": 3})
    assert left(last) == (0 if "replay" in path else 1)


@pytest.mark.parametrize("way", READS)
def test_a45_each_way_of_reading_is_charged_by_what_it_leases(
    gateway: RunningGateway, queue: str, bearer: Bearer, way: str
) -> None:
    path, content, headers = READS[way]
    gateway.sql(f"truncate pgmq.q_{queue}")
    gateway.sql("select pgmq.send_batch(%s, array(select to_jsonb(n) from generate_series(1, 9) as n))", queue)
    answer = gateway.client.post(
        path, content=content, headers={**PROFILE, **headers, **bearer("service_role", sub=f"reads {way}")}
    )
    assert answer.is_success, answer.text
    leased = gateway.sql("select count(*) from pgmq.q_limited where read_ct = 1")
    assert (leased, left(answer)) == ([(8,)], 2)


@pytest.mark.parametrize("shown", ["/rpc/{}?limit=0", "/rpc/{}"])
@pytest.mark.parametrize("function", ["send_batch", "read"])
def test_what_does_not_run_is_free(
    gateway: RunningGateway, queue: str, bearer: Bearer, function: str, shown: str
) -> None:
    """With limit=0, and for a plan, Postgres does not call the function."""
    before = rows(gateway)
    accept = {} if "limit" in shown else {"Accept": PLAN}
    given = {"messages": [1, 2, 3]} if function == "send_batch" else {"n": 3, "sleep_seconds": 60}
    answer = gateway.client.post(
        shown.format(function),
        json={"queue_name": queue, **given},
        headers={**PROFILE, **accept, **bearer("service_role", sub=f"free {function} {shown}")},
    )
    assert (answer.status_code, left(answer), rows(gateway)) == (200, 10, before)


def test_a45_more_messages_than_the_burst_are_refused_in_texts_too(
    gateway: RunningGateway, queue: str, bearer: Bearer
) -> None:
    mine = {**PROFILE, **bearer("service_role", sub="texts")}
    before = rows(gateway)
    many = f"{{{','.join(map(str, range(1000)))}}}"
    for answer in (
        gateway.client.post("/rpc/send_batch?limit=1", data={"queue_name": queue, "messages": many}, headers=mine),
        gateway.client.post("/rpc/send_batch?limit=1", json={"queue_name": queue, "messages": many}, headers=mine),
        gateway.client.post(
            "/rpc/send_batch", json={"queue_name": queue, "messages": [[[1] * 100] * 10]}, headers=mine
        ),
        gateway.client.post(f"/queues/{queue}/messages", json={"messages": [[]] * 1000}, headers=mine),
        gateway.client.post("/rpc/read", data={"queue_name": queue, "sleep_seconds": 60, "n": 1000}, headers=mine),
        gateway.client.post("/rpc/read", json={"queue_name": queue, "sleep_seconds": 60, "n": "1000"}, headers=mine),
        gateway.client.post("/rpc/read", data={"queue_name": queue, "sleep_seconds": 60, "n": " 0x3E8"}, headers=mine),
    ):
        assert (answer.status_code, error(answer)["code"], left(answer)) == (413, "PGMQ413", 10)
    assert rows(gateway) == before


def test_a45_a_function_that_returns_more_than_requested_leaves_a_debt(
    gateway: RunningGateway, queue: str, bearer: Bearer
) -> None:
    gateway.sql(
        "create function pgmq_public.pop(queue_name text, messages int) returns setof int language sql as "
        "'select * from generate_series(1, messages)'"
    )
    gateway.sql("notify pgrst, 'reload schema'")
    mine = bearer("service_role", sub="debt")
    until(lambda: call(gateway, "pop", mine, queue_name=queue, messages=0).status_code == 200)
    assert len(call(gateway, "pop", mine, queue_name=queue, messages=1000).json()) == 1000
    refused = call(gateway, "send", mine, queue_name=queue, message=1)
    assert refused.status_code == 429
    # 991 messages are missing, and one returns every six minutes.
    assert int(refused.headers["retry-after"]) > 990 * 360


def test_a_failed_call_is_free_whatever_its_shape(gateway: RunningGateway, queue: str, bearer: Bearer) -> None:
    mine = {**PROFILE, **bearer("service_role", sub="failed"), "Accept": "application/vnd.pgrst.object+json"}
    before = rows(gateway)
    answer = gateway.client.post("/rpc/send_batch", json={"queue_name": queue, "messages": [1, 2]}, headers=mine)
    assert (answer.status_code, left(answer), rows(gateway)) == (406, 10, before)


def test_behind_a_trusted_proxy_each_address_has_its_own_limit(gateway: RunningGateway, bearer: Bearer) -> None:
    def status(*forwarded: str) -> int:
        headers = [*bearer("guest").items(), *(("X-Forwarded-For", value) for value in forwarded)]
        return gateway.client.post("/rpc/send", headers=headers).status_code

    assert [status("198.51.100.1") == 429 for _ in range(2)] == [False, True]
    assert status("198.51.100.2, 198.51.100.1") == 429
    assert status("198.51.100.1", "198.51.100.2") != 429


def test_messages_of_resources_and_of_pgmq_api_are_charged(gateway: RunningGateway, queue: str, bearer: Bearer) -> None:
    mine = bearer("service_role", sub="resources")
    gateway.sql("delete from pgmq.q_limited")
    messages = f"/queues/{queue}/messages"
    entries = [{"message": n} for n in range(6)]
    sent = gateway.client.post(messages, json={"entries": entries}, headers=mine)
    assert (sent.status_code, sent.headers["ratelimit"][:24]) == (201, '"messages/h by sub";r=4;')
    assert gateway.client.post(messages, json={"entries": entries}, headers=mine).status_code == 429
    read = gateway.client.get("/queues/messages", params={"queue": queue, "n": 3}, headers=mine)
    assert len(read.json()) == 3
    acks = {"acks": [row["receipt"] for row in read.json()]}
    settled = gateway.client.post(f"/queues/{queue}/settle", json=acks, headers=mine)
    assert settled.headers["ratelimit"].startswith('"messages/h by sub";r=1;')
    assert gateway.client.get(messages, params={"n": 2}, headers=mine).status_code == 429
    assert rows(gateway) == 3
