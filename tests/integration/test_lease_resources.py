"""Leases as REST resources: receipts, settling, and many messages at once."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.databases import Sql
from tests.gateways import Bearer, Grant
from tests.server import Serve

PAST = "clock_timestamp() - interval '1 second'"


@pytest.fixture
def messages(resources: httpx.Client, queue: str, sql: Sql) -> Callable[[int], list[str]]:
    """messages(3): send three messages, read them, and return their receipts."""

    def read(number: int) -> list[str]:
        sql("select pgmq.send(%s, to_jsonb(n)) from generate_series(1, %s) as n", queue, number)
        rows = resources.get(f"/queues/{queue}/messages", params={"n": number, "sleep_seconds": 600}).json()
        return [row["receipt"] for row in rows]

    return read


@pytest.fixture
def other(sql: Sql, queue: str) -> Iterator[str]:
    """Another queue."""
    name = f"{queue}b"
    sql("select pgmq_admin.create_queue(%s)", name)
    yield name
    sql("select pgmq.drop_queue(%s)", name)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def read_again(sql: Sql, queue: str) -> None:
    """End the leases of a queue, and let another consumer read it."""
    sql(f"update pgmq.q_{queue} set vt = {PAST}")
    sql("select * from pgmq_api.read(%s, 600, 100)", queue)


def test_a_message_has_a_receipt_that_deletes_it_once(resources: httpx.Client, queue: str, sql: Sql) -> None:
    sql("select pgmq.send(%s, '1')", queue)
    (row,) = resources.get(f"/queues/{queue}/messages").json()
    assert (row["msg_id"], row["queue_name"], row["message"]) == (1, queue, 1)
    assert row["receipt"].startswith("1.1.")
    # Without sleep_seconds, the lease of the queue's settings.
    assert sql(f"select vt between now() + '25 s' and now() + '31 s' from pgmq.q_{queue}") == [(True,)]
    acked = resources.delete(f"/rest/v1/queues/{queue}/messages/{row['receipt']}")
    assert (acked.status_code, acked.text) == (200, "true")
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(0,)]
    again = resources.delete(f"/queues/{queue}/messages/{row['receipt']}")
    assert code(again) == (404, "PGMQ404")
    assert again.json()["message"] == f'Message 1 not found in queue "{queue}"'


@pytest.mark.parametrize(
    ("method", "rest"),
    [("DELETE", ""), ("POST", "/archive"), ("POST", "/retry"), ("POST", "/reject"), ("POST", "/extend")],
)
def test_79_a_stale_receipt_is_409_and_a_gone_one_404(
    resources: httpx.Client, queue: str, messages: Callable[[int], list[str]], method: str, rest: str, sql: Sql
) -> None:
    (receipt,) = messages(1)
    read_again(sql, queue)
    before = sql(f"select * from pgmq.q_{queue}")
    stale = resources.request(method, f"/queues/{queue}/messages/{receipt}{rest}")
    assert stale.status_code == 409
    assert stale.json() == {
        "code": "PGMQ409",
        "details": "The lease of this receipt ended, and the message belongs to a later read.",
        "hint": "Read with a longer lease, or extend it.",
        "message": "Message 1 was read again by another consumer",
    }
    assert sql(f"select * from pgmq.q_{queue}") == before
    assert resources.delete(f"/queues/{queue}/messages/1").text == "true"
    gone = resources.request(method, f"/queues/{queue}/messages/{receipt}{rest}")
    assert code(gone) == (404, "PGMQ404")
    assert sql(f"select count(*) from pgmq.a_{queue}") == [(0,)]


def test_one_message_is_archived_retried_rejected_and_extended(
    resources: httpx.Client, queue: str, messages: Callable[[int], list[str]], sql: Sql
) -> None:
    paths = [f"/queues/{queue}/messages/{receipt}" for receipt in messages(4)]
    answers = [
        resources.post(f"{paths[0]}/archive"),
        resources.post(f"{paths[1]}/retry?delay_seconds=5000&reason=d%C3%A9lai"),
        resources.post(f"{paths[2]}/reject", params={"reason": "not mine"}),
        resources.post(f"{paths[3]}/extend?sleep_seconds=5000"),
    ]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert [answer.json() for answer in answers] == [True, "retried", "rejected", "extended"]
    assert sql(
        f"select msg_id, vt > now() + '4000 s', headers #>> '{{x-pgmq-retry,reason}}' from pgmq.q_{queue} order by 1"
    ) == [(2, True, "délai"), (4, True, None)]
    assert sql(f"select msg_id, headers #>> '{{x-pgmq-dead,note}}' from pgmq.a_{queue} order by 1") == [
        (1, None),
        (3, "not mine"),
    ]


def test_settle_settles_each_message_in_its_way(
    resources: httpx.Client, queue: str, messages: Callable[[int], list[str]], sql: Sql
) -> None:
    receipts = messages(5)
    settled = resources.post(
        f"/queues/{queue}/settle",
        json={
            "extensions": [{"receipt": receipts[4], "sleep_seconds": 5000}],
            "acks": receipts[:1],
            "archives": receipts[1:2],
            "retries": [{"receipt": receipts[2], "delay_seconds": 0}, "77.1.5"],
            "rejects": [receipts[3]],
        },
    )
    assert settled.status_code == 200
    assert [(row["receipt"], row["outcome"]) for row in settled.json()] == [
        (receipts[0], "acked"),
        (receipts[1], "archived"),
        (receipts[2], "retried"),
        ("77.1.5", "gone"),
        (receipts[3], "rejected"),
        (receipts[4], "extended"),
    ]
    assert sql(f"select msg_id, vt > now() + '4000 s' from pgmq.q_{queue} order by 1") == [(3, False), (5, True)]
    assert sql(f"select msg_id from pgmq.a_{queue} order by 1") == [(2,), (4,)]
    strict = resources.post(f"/queues/{queue}/settle", json={"acks": [receipts[4], "77.1.5"], "strict": True})
    assert code(strict) == (409, "PT409")
    # Retry-After would say that it can be repeated.
    assert "Retry-After" not in strict.headers
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(2,)]
    for nothing in (b"", b"{}", b'{"acks": []}'):
        assert resources.post(f"/queues/{queue}/settle", content=nothing).text == "[]"


def test_an_invalid_settle_does_nothing(
    resources: httpx.Client, queue: str, messages: Callable[[int], list[str]], sql: Sql
) -> None:
    (receipt,) = messages(1)
    before = sql(f"select * from pgmq.q_{queue}")
    for content, expected in (
        (b"[]", "PGRST102"),
        (b"{", "PGRST102"),
        (b"\xff", "PGRST102"),
        (b'{"acks": ["RECEIPT"], "queue_name": "other"}', "PGRST102"),
        (b'{"acks": ["RECEIPT"], "acked": []}', "PGRST102"),
        (b'{"acks": "RECEIPT"}', "PGRST102"),
        (b'{"acks": [["RECEIPT"]]}', "PGRST102"),
        (b'{"acks": ["\\ud800"]}', "PGRST102"),
        (b'{"archives": null, "acks": ["RECEIPT"]}', "PGRST102"),
        (b'{"retries": null, "acks": ["RECEIPT"]}', "PGRST102"),
        (b'{"retries": {}, "acks": ["RECEIPT"]}', "PGRST102"),
        (b'{"strict": "yes", "acks": ["RECEIPT"]}', "PGRST102"),
        (b'{"acks": ["RECEIPT", "x"]}', "22P02"),
        (b'{"acks": ["RECEIPT", "RECEIPT"]}', "22023"),
        (b'{"acks": ["RECEIPT"], "retries": [{"receipt": "RECEIPT"}]}', "22023"),
        (b'{"acks": ["RECEIPT"], "retries": [[]]}', "22023"),
    ):
        answer = resources.post(f"/queues/{queue}/settle", content=content.replace(b"RECEIPT", receipt.encode()))
        assert code(answer) == (400, expected), content
    assert sql(f"select * from pgmq.q_{queue}") == before
    for member, value, words in (
        ("to_queue", 1, "a string"),
        ("max_messages", None, "an integer"),
        ("per_second", "1", "a number"),
        ("filter", [], "an object"),
    ):
        refused = resources.post(f"/queues/{queue}/redrive", json={member: value}).json()
        shown = json.dumps(value)
        assert (refused["message"], refused["details"]) == (f"{member} must be {words}", f"The body has {shown}.")


def test_70_malformed_receipts_are_400(
    resources: httpx.Client, queue: str, messages: Callable[[int], list[str]], sql: Sql
) -> None:
    (receipt,) = messages(1)
    before = sql(f"select * from pgmq.q_{queue}")
    malformed: tuple[str, ...] = (
        "x", "1.1", "1.1.1.1", "1..1", ".1.1", "0.1.1", "1.0.1", "01.1.1", "1.1.", "1.1.1e3", "+1.1.1", "1.1.1 ",
        " 1.1.1", "1.1.1\n", "{receipt}", "{message_id}", "1.1.\N{FULLWIDTH DIGIT ONE}", f"{2**63}.1.1", f"1.{2**31}.1",
        f"1.1.{10**18}", f"{receipt}x", "9" * 4000, f"{receipt},{receipt}", f"in.({receipt})", "%00",
        "1.1.00", "1.1.-0", f"1.1.-{10**17}",
    )  # fmt: skip
    read_by_postgres = set()
    for text in malformed:
        for method, rest in (("DELETE", ""), ("POST", "/archive"), ("POST", "/extend")):
            answer = resources.request(method, f"/queues/{queue}/messages/{quote(text)}{rest}")
            assert answer.status_code == 400, (text, answer.text)
            assert answer.json()["code"] in ("PGRST100", "22P02"), text
            if answer.json()["code"] == "22P02":
                read_by_postgres.add(text)
    assert read_by_postgres == {f"{2**63}.1.1", f"1.{2**31}.1"}
    by_id = resources.post(f"/queues/{queue}/messages/1/retry")
    assert by_id.json() == {
        "code": "PGRST100",
        "details": "The path has 1.",
        "hint": "Use the receipt of a message as read returned it.",
        "message": "The path must have a receipt",
    }
    assert sql(f"select * from pgmq.q_{queue}") == before


def test_many_messages_are_deleted_and_archived_by_their_ids(resources: httpx.Client, queue: str, sql: Sql) -> None:
    sql("select pgmq.send(%s, to_jsonb(n)) from generate_series(1, 6) n", queue)
    assert resources.delete(f"/queues/{queue}/messages?id=in.(3,1,77)").text == "[1, 3]"
    assert resources.post(f"/queues/{queue}/messages/archive?id=in.(002,4)").text == "[2, 4]"
    assert resources.delete(f"/queues/{queue}/messages", params={"id": "in.()"}).text == "[]"
    assert resources.post(f"/queues/{queue}/messages/archive?id=in.()").text == "[]"
    assert sql(f"select msg_id from pgmq.q_{queue} order by 1") == [(5,), (6,)]
    assert sql(f"select msg_id from pgmq.a_{queue} order by 1") == [(2,), (4,)]


def test_a_body_in_place_of_parameters_does_nothing(
    resources: httpx.Client, queue: str, messages: Callable[[int], list[str]], sql: Sql
) -> None:
    (receipt,) = messages(1)
    before = sql(f"select * from pgmq.q_{queue}")
    for method, path, content, message, parameters in (
        ("POST", "purge", '{"max_messages": 1}', "Unknown member max_messages", "max_messages"),
        ("POST", "purge", "[]", "The body must be a JSON object", "max_messages"),
        ("POST", "messages/pop", '{"n": 1}', "Unknown member n", "n, wait_seconds"),
        ("POST", "messages/archive?id=in.(1)", '{"message_ids": []}', "Unknown member message_ids", "id"),
        ("DELETE", "messages?id=in.(1)", '{"message_ids": []}', "Unknown member message_ids", "id"),
        ("DELETE", "messages/1", '{"receipt": ""}', "Unknown member receipt", "none"),
        ("DELETE", f"messages/{receipt}", "null", "The body must be a JSON object", "none"),
        ("POST", f"messages/{receipt}/retry", '{"reason": "x"}', "Unknown member reason", "delay_seconds, reason"),
        ("POST", f"messages/{receipt}/reject", '{"reason": "x"}', "Unknown member reason", "reason"),
        ("POST", f"messages/{receipt}/extend", '{"n": 5}', "Unknown member n", "sleep_seconds"),
    ):
        answer = resources.request(method, f"/queues/{queue}/{path}", content=content)
        assert answer.json() == {
            "code": "PGRST102",
            "details": None,
            "hint": f"Send no body. Allowed parameters: {parameters}.",
            "message": message,
        }
    garbage = resources.post(f"/queues/{queue}/messages/{receipt}/archive", content=b"garbage{")
    assert code(garbage) == (400, "PGRST102")
    assert sql(f"select * from pgmq.q_{queue}") == before
    assert resources.post(f"/queues/{queue}/messages/{receipt}/archive", content=b"{}").text == "true"


@pytest.mark.parametrize(("method", "path"), [("DELETE", "messages"), ("POST", "messages/archive")])
def test_a_delete_without_a_list_of_ids_deletes_nothing(
    resources: httpx.Client, queue: str, messages: Callable[[int], list[str]], method: str, path: str, sql: Sql
) -> None:
    (receipt,) = messages(1)
    for query in (
        "", "?", "?id", "?id=", "?id=1", "?id=eq.1", "?id=gt.0", "?id=not.in.(2)", "?id=in.(1", "?id=in.1",
        "?ID=in.(1)", "?id=in.(1,)", "?id=in.(1,x)", "?id=in.(1),(1)", f"?id=in.({receipt})", f"?id=in.({2**63})",
        "?id=in.(-1)", "?id=in.(1)&id=in.(1)", "?id=in.(1)&read_ct=gt.0", "?id=in.(1)&limit=1",
        "?id=in.(1)&or=(id.eq.1)", "?id=in.(1)&select=id", "?id=in.(1)&id", "?read_ct=gt.0", "?msg_id=in.(1)",
        "?message_ids=[1]", "?id=is.null",
    ):  # fmt: skip
        answer = resources.request(method, f"/queues/{queue}/{path}{query}", json={"message_ids": [1]})
        assert code(answer) == (400, "PGRST100"), query
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(1,)]
    assert sql(f"select count(*) from pgmq.a_{queue}") == [(0,)]
    missing = resources.request(method, f"/queues/{queue}/{path}").json()
    assert (missing["message"], missing["hint"]) == ("The parameter id is missing", "Example: ?id=in.(1,2)")


def test_a_message_is_sent_with_options(resources: httpx.Client, queue: str, sql: Sql) -> None:
    messages = f"/queues/{queue}/messages"
    options = {"send_at": "2100-01-01T00:00:00Z", "expires_at": "2100-01-02T00:00:00Z"}
    sent = resources.post(messages, params=options, json={"a": 1})
    assert (sent.status_code, sent.text) == (201, "[1]")
    assert resources.post(messages, params={"expires_at": "2100-01-02T00:00:00Z"}, content=b"null").text == "[2]"
    assert sql(
        f"select message, vt > '2099-12-31', headers ->> 'x-pgmq-expires' from pgmq.q_{queue} order by msg_id"
    ) == [({"a": 1}, True, "2100-01-02T00:00:00Z"), (None, False, "2100-01-02T00:00:00Z")]
    both = resources.post(messages, params={**options, "sleep_seconds": 5}, json=1)
    assert code(both) == (400, "22023")
    for text in (
        "tomorrow",
        "2100-01-01",
        "2100-01-01T00:00:00",
        "2100-01-01T00:00:00 01:00",
        "97000-01-01T00:00:00Z",
        "infinity",
        "",
        "0001-01-01T00:00:00+01:00",
    ):
        refused = resources.post(messages, params={"send_at": text}, json=1)
        assert refused.json() == {
            "code": "PGRST100",
            "details": f"The request has send_at={text}.",
            "hint": "Example: ?send_at=2026-12-31T23:00:00Z",
            "message": "send_at must be a time with a time zone",
        }
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(2,)]
    # Postgres refuses such a zone.
    assert resources.post(messages, params={"send_at": "2100-01-01T00:00:00-19:30"}, json=1).text == "[3]"
    assert sql(f"select vt = '2100-01-01 19:30:00Z' from pgmq.q_{queue} where msg_id = 3") == [(True,)]


def test_entries_are_sent_with_options_of_their_own(resources: httpx.Client, queue: str, sql: Sql) -> None:
    messages = f"/queues/{queue}/messages"
    entries = [
        {"message": [1, [2]], "headers": {"a": 1}},
        {"message": None, "sleep_seconds": 600},
        {"message": {"entries": []}, "expires_in": 60},
    ]
    sent = resources.post(messages, json={"entries": entries})
    assert (sent.status_code, [(row["entry"], row["msg_id"]) for row in sent.json()]) == (201, [(0, 1), (1, 2), (2, 3)])
    assert sql(f"select message::text, vt > now() + '500 s' from pgmq.q_{queue} order by msg_id") == [
        ("[1, [2]]", False), ("null", True), ('{"entries": []}', False)
    ]  # fmt: skip
    for parameters, body in (
        ({"sleep_seconds": "5"}, {"entries": entries}),
        ({"send_at": "2100-01-01T00:00:00Z"}, {"entries": entries}),
        ({"send_at": "2100-01-01T00:00:00Z"}, {"messages": [1]}),
        ({"group_id": "a"}, {"messages": [[1]]}),
    ):
        refused = resources.post(messages, params=parameters, json=body)
        assert code(refused) == (400, "PGRST100")
    assert refused.json()["hint"] == 'Send it in the body: {"entries": [{"message": …, "group_id": …}]}'
    assert code(resources.post(messages, json={"entries": 1})) == (400, "PGRST102")
    assert code(resources.post(messages, json={"entries": [{"message": 1, "colour": "red"}]})) == (400, "22023")
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(3,)]
    # With another member it is a message.
    assert resources.post(messages, json={"entries": 1, "other": 2}).text == "[4]"


def test_a_queue_is_inspected_without_an_effect(resources: httpx.Client, queue: str, sql: Sql) -> None:
    sql("select pgmq.send(%s, to_jsonb(n)) from generate_series(1, 3) n", queue)
    sql("select * from pgmq_api.read(%s, 600)", queue)
    before = sql(f"select * from pgmq.q_{queue} order by 1")
    peeked = resources.get(f"/queues/{queue}/messages/peek?n=2").json()
    assert [(row["msg_id"], row["state"]) for row in peeked] == [(1, "in_flight"), (2, "visible")]
    assert [row["msg_id"] for row in resources.get(f"/queues/{queue}/messages/peek?after=2").json()] == [3]
    (metrics,) = resources.get(f"/queues/{queue}/metrics").json()
    assert (metrics["visible"], metrics["in_flight"], metrics["waiting"], metrics["more"]) == (2, 1, 0, False)
    assert queue in [row["queue_name"] for row in resources.get("/queues").json()]
    assert sql(f"select * from pgmq.q_{queue} order by 1") == before
    assert code(resources.get(f"/queues/{queue}/messages/peek?n=0")) == (400, "22023")


def test_only_queues_of_the_caller_are_listed(api: httpx.Client, queue: str, bearer: Bearer, grant: Grant) -> None:
    mine = bearer("authenticated")
    assert queue not in [row["queue_name"] for row in api.get("/queues", headers=mine).json()]
    grant("authenticated", "send")
    assert {"queue_name": queue, "operations": ["send"]} in api.get("/queues", headers=mine).json()
    assert code(api.get(f"/queues/{queue}/messages/peek")) == (401, "42501")


def test_messages_are_purged_redriven_and_replayed(resources: httpx.Client, queue: str, other: str, sql: Sql) -> None:
    sql("select pgmq_admin.set_queue_settings(%s, jsonb_build_object('dead_letter_queue', %s::text))", queue, other)
    sql("select pgmq.send(%s, to_jsonb(n)) from generate_series(1, 3) n", queue)
    rows = resources.get(f"/queues/{queue}/messages?n=2").json()
    rejected = [resources.post(f"/queues/{queue}/messages/{row['receipt']}/reject").json() for row in rows]
    assert rejected == ["rejected", "rejected"]
    assert resources.post(f"/queues/{other}/redrive", json={"max_messages": 1}).json()[0]["moved"] == 1
    assert resources.post(f"/queues/{other}/redrive").json()[0]["moved"] == 1
    assert sql(f"select message from pgmq.q_{queue} order by msg_id") == [(3,), (1,), (2,)]
    assert resources.post(f"/queues/{queue}/messages/archive?id=in.(3)").text == "[3]"
    assert resources.post(f"/queues/{queue}/replay", json={"per_second": 10}).json()[0]["sent"] == 1
    assert code(resources.post(f"/queues/{queue}/replay", json={"to_queue": other})) == (400, "PGRST102")
    assert [resources.post(f"/queues/{queue}/purge?max_messages=2").json() for _ in range(3)] == [2, 1, 0]
    assert sql(f"select count(*) from pgmq.a_{queue}") == [(1,)]


def test_several_queues_are_read_in_their_order(resources: httpx.Client, queue: str, other: str, sql: Sql) -> None:
    sql("select pgmq.send(q, to_jsonb(n)) from unnest(array[%s, %s]) q, generate_series(1, 2) n", queue, other)
    read = resources.get("/queues/messages", params={"queue": [other, queue], "n": 3, "sleep_seconds": 600})
    assert [(row["queue_name"], row["msg_id"]) for row in read.json()] == [(other, 1), (other, 2), (queue, 1)]
    receipt = read.json()[2]["receipt"]
    assert resources.delete(f"/queues/{queue}/messages/{receipt}").text == "true"
    assert code(resources.get("/queues/messages")) == (400, "PGRST100")
    assert code(resources.get("/queues/messages", params={"queue": [queue, queue]})) == (400, "22023")
    assert code(resources.get("/queues/messages", params={"queue": [queue, "nowhere"]})) == (404, "42P01")


def test_the_callers_privileges_and_policies_decide(
    api: httpx.Client, queue: str, bearer: Bearer, grant: Grant, sql: Sql
) -> None:
    sql("select pgmq.send(%s, '1')", queue)
    (receipt,) = sql("select receipt from pgmq_api.read(%s, 600)", queue)[0]
    grant("authenticated", "read")
    mine: Any = {"headers": bearer("authenticated")}
    path = f"/queues/{queue}/messages"
    refused = [
        api.delete(f"{path}/{receipt}", **mine),
        api.delete(f"{path}?id=in.(1)", **mine),
        api.post(f"{path}/archive?id=in.(1)", **mine),
        api.post(f"/queues/{queue}/settle", json={"acks": [receipt]}, **mine),
    ]
    assert [code(answer) for answer in refused] == [(403, "42501")] * 4
    assert code(api.delete(f"{path}/{receipt}")) == (401, "42501")
    assert code(api.post(f"/queues/{queue}/settle")) == (401, "42501")
    # Without a policy the message is hidden: gone, and not stale.
    grant("authenticated", "delete")
    assert code(api.delete(f"{path}/{receipt}", **mine)) == (404, "PGMQ404")
    assert code(api.delete(f"{path}/1.7.{receipt.rpartition('.')[2]}", **mine)) == (404, "PGMQ404")
    assert api.delete(f"{path}?id=in.(1)", **mine).text == "[]"
    assert sql(f"select msg_id, read_ct from pgmq.q_{queue}") == [(1, 1)]


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/queues/", 404, "PGRST125"),
        ("GET", "/queues//messages", 404, "PGRST125"),
        ("GET", "/queues/messages/", 404, "PGRST125"),
        ("DELETE", "/queues/q/messages/", 404, "PGRST125"),
        ("POST", "/queues/q/messages/1.1.1/nothing", 404, "PGRST125"),
        ("GET", "/queues/q/settle", 405, "PGRST101"),
        ("GET", "/queues/q/messages/1.1.1", 405, "PGRST101"),
        ("GET", "/queues/q/messages/1.1.1/retry", 405, "PGRST101"),
        ("DELETE", "/queues/messages?queue=a", 405, "PGRST101"),
        ("GET", "/queues/messages?queue=", 400, "PGRST100"),
        ("GET", "/queues/messages?queue=q&queue", 400, "PGRST100"),
        ("POST", "/queues/q/messages/1.1.1/retry?delay_seconds=soon", 400, "PGRST100"),
        ("POST", "/queues/q/messages/1.1.1/retry?receipt=2.1.1", 400, "PGRST100"),
        ("POST", "/queues/no-such-queue/settle", 404, "42P01"),
        ("DELETE", "/queues/no-such-queue/messages/1.1.1", 404, "42P01"),
    ],
)
def test_other_requests_are_refused(resources: httpx.Client, method: str, path: str, status: int, error: str) -> None:
    assert code(resources.request(method, path)) == (status, error)


def test_with_pgmq_public_alone_resources_are_its_functions(serve: Serve, database: str, bearer: Bearer) -> None:
    gateway = serve(database, PGRST_DB_SCHEMAS="public,pgmq_public")
    with httpx.Client(base_url=gateway.url, headers=bearer("service_role")) as client:
        assert code(client.get("/queues")) == (404, "PGRST205")
        assert code(client.get("/queues/messages?queue=a")) == (404, "PGRST125")
        assert code(client.post("/queues/a/settle")) == (404, "PGRST125")
        assert code(client.delete("/queues/a/messages?id=in.(1)")) == (405, "PGRST101")
        assert code(client.post("/queues/a/messages/pop?n=1")) == (400, "PGRST100")
        refused = client.delete("/queues/a/messages/1.1.1")
        assert refused.json()["message"] == "The message id must be an integer"
        assert code(client.post("/queues/a/messages", json={"entries": 1})) == (404, "42P01")
