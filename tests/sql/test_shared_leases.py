"""Calls of pgmq_api that share a transaction: the settings of their queue decide what they do, and whether they may."""

import json
import random
from typing import Any

import pytest
from psycopg import errors

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, runner
from tests.sql import twins
from tests.sql.calls import JUDGEMENT, calls
from tests.sql.conftest import Connect
from tests.sql.twins import ENQUEUED, add, alone, fill, together


@pytest.fixture
def gateway(directory: DataDirectory, database: str, connect: Connect) -> Sql:
    """Run SQL as the gateway's login role."""
    return runner(connect(socket_uri(directory, "authenticator", database)))


@pytest.fixture(autouse=True)
def queues(db: Sql) -> None:
    twins.create(db)


def set_both(db: Sql, **settings: object) -> None:
    for queue in ("q", "twin"):
        db("select pgmq_admin.set_queue_settings(%s, %s::jsonb)", queue, json.dumps(settings))


def fused(db: Sql, function: str, *arguments: dict[str, Any]) -> list[Any] | None:
    """The bodies of calls as one statement; None if they have to run one by one."""
    given = [json.dumps({"queue_name": "q", **one}) for one in arguments]
    db("set role anon")
    ((bodies,),) = db("select bodies from pgmq_settings.calls_together(%s, %s::json[])", function, given)
    db("reset role")
    return bodies and [json.loads(body) for body in bodies]


def rows_of(db: Sql, queue: str) -> list[list[tuple[Any, ...]]]:
    """The messages of a queue, its archive and its dead-letter queue, which are in no certain order."""
    tables = (f"q_{queue}", f"a_{queue}", f"q_dead_{queue}")
    return [db(f"select message, read_ct from pgmq.{table} order by message, read_ct") for table in tables]


def test_acks_of_many_calls_are_one_statement(db: Sql) -> None:
    add(db, 4)
    db("update pgmq.q_q set read_ct = 2")
    receipts = [f"{n}.{2 - n % 2}.{ENQUEUED}000000" for n in (2, 1, 4, 9)]
    assert fused(db, "pgmq_api.ack", *({"receipt": one} for one in receipts)) == ["acked", "stale", "acked", "gone"]
    assert db("select msg_id from pgmq.q_q order by 1") == [(1,), (3,)]
    # The outcome of the second depends on the first.
    twice = [{"receipt": f"3.{n}.{ENQUEUED}000000"} for n in (1, 2)]
    assert fused(db, "pgmq_api.ack", *twice) is None
    assert db("select count(*) from pgmq.q_q") == [(2,)]


def test_settlements_of_many_calls_are_one_statement(db: Sql) -> None:
    add(db, 3)
    db("update pgmq.q_q set read_ct = 1")
    lists = [[f"{n}.1.{ENQUEUED}000000" for n in numbers] for numbers in ((3, 1), (), (7, 2))]
    outcomes = fused(db, "pgmq_api.settle", *({"acks": one} for one in lists))
    assert outcomes is not None
    assert [[one["receipt"] for one in call] for call in outcomes] == lists
    assert [[one["outcome"] for one in call] for call in outcomes] == [["acked", "acked"], [], ["gone", "acked"]]
    assert db("select count(*) from pgmq.q_q") == [(0,)]


@pytest.mark.parametrize("function", ["pgmq_api.read", "pgmq_api.pop"])
def test_dead_messages_are_buried_as_by_single_calls(db: Sql, gateway: Sql, function: str) -> None:
    for queue in ("q", "twin"):
        db(f"select pgmq_admin.create_queue('dead_{queue}')")
        settings = {"max_receives": 2, "dead_letter_queue": f"dead_{queue}", "lease_seconds": 20_000}
        db("select pgmq_admin.set_queue_settings(%s, %s::jsonb)", queue, json.dumps(settings))
    for seed in range(3):
        fill(db, random.Random(seed))  # noqa: S311
        arguments = [{}, {"n": 3}, {}, {"n": 2}]
        assert together(gateway, function, arguments) == alone(gateway, function, arguments, "twin")
        assert rows_of(db, "q") == rows_of(db, "twin")
    assert db("select count(*) > 0 from pgmq.q_dead_q") == [(True,)]


def test_a_message_that_expires_is_returned_to_no_call(db: Sql, gateway: Sql) -> None:
    for queue in ("q", "twin"):
        add(db, 5, queue)
        db(f'update pgmq.q_{queue} set headers = \'{{"x-pgmq-expires": "2020-01-01T00:00:00Z"}}\' where msg_id = 2')
    with pytest.raises(errors.RaiseException, match="messages are dead"):
        fused(db, "pgmq_api.read", {}, {}, {})
    db("reset role")
    assert together(gateway, "pgmq_api.read", [{}] * 5) == alone(gateway, "pgmq_api.read", [{}] * 5, "twin")
    assert db("select msg_id from pgmq.q_q order by 1") == db("select msg_id from pgmq.q_twin order by 1")


def test_the_settings_of_the_queue_decide(db: Sql, gateway: Sql) -> None:
    add(db, 3)
    set_both(db, paused=True)
    assert together(gateway, "pgmq_api.read", [{}] * 3) == [(0, "[]")] * 3
    set_both(db, paused=None, lease_seconds=70, max_messages=3)
    assert fused(db, "pgmq_api.read", {}, {"sleep_seconds": 5}, {"sleep_seconds": None}) is not None
    assert db("select round(extract(epoch from vt - last_read_at)) from pgmq.q_q order by msg_id") == [
        (70,),
        (5,),
        (70,),
    ]
    db("update pgmq_settings.queues set is_full = true")
    assert fused(db, "pgmq_api.send", *({"message": n} for n in range(3))) is None
    sent = together(gateway, "pgmq_api.send", [{"message": n} for n in range(3)])
    assert [code for code, _ in sent] == ["PT429"] * 3


def judged(gateway: Sql, function: str) -> tuple[list[str], bool]:
    """The obstacles, and whether calls can be one statement."""
    obstacles, *_, fusion = gateway(JUDGEMENT, "q", function)[0]
    return obstacles, fusion is not None


LEASES = [f"pgmq_api.{name}" for name in ("send", "read", "pop", "ack", "settle", "delete", "archive")]


def test_a_queue_with_settings_shares_unless_they_forbid_it(db: Sql, gateway: Sql) -> None:
    db("select pgmq_admin.create_queue('dead')")
    set_both(db, max_receives=3, dead_letter_queue="dead", lease_seconds=60)
    assert [judged(gateway, function) for function in LEASES] == [([], True)] * 7
    db("create rule r as on insert to pgmq.q_dead do also select 1")
    assert [function for function in LEASES if judged(gateway, function)[0]] == ["pgmq_api.read", "pgmq_api.pop"]
    set_both(db, dead_letter_queue=None, deduplication_by_content=True)
    assert [function for function in LEASES if judged(gateway, function)[0]] == ["pgmq_api.send"]
    set_both(db, deduplication_by_content=None, group_limit=1)
    assert all(judged(gateway, function)[0] for function in LEASES)


@pytest.mark.parametrize("first", [{}, {"lease_seconds": 10}], ids=["the first settings", "other settings"])
def test_new_settings_end_a_judgement(db: Sql, gateway: Sql, first: dict[str, Any]) -> None:
    if first:
        set_both(db, **first)
    (judgement,) = gateway(JUDGEMENT, "q", "pgmq_api.send")
    arguments = [json.dumps({"queue_name": "q", "message": 1})] * 3
    statement = "pgmq_api.send(message,queue_name)"
    assert len(calls(gateway, arguments, statement=statement, judgement=judgement, careful=False)) == 3
    db("select pgmq_admin.set_queue_settings('twin', '{\"lease_seconds\": 5}')")
    assert len(calls(gateway, arguments, statement=statement, judgement=judgement)) == 3
    db("select pgmq_admin.set_queue_settings('q', '{\"deduplication_by_content\": true}')")
    for careful in (False, True):
        with pytest.raises(errors.DatabaseError) as raised:
            calls(gateway, arguments, statement=statement, judgement=judgement, careful=careful)
        assert raised.value.sqlstate == "GW130"
    assert db("select count(*) from pgmq.q_q") == [(6,)]


def test_replaced_functions_of_the_gateway_run_alone(db: Sql, gateway: Sql) -> None:
    for name in ("pgmq_settings.expiry_text(timestamptz)", "pgmq_api.ack(text, text)"):
        db(f"alter function {name} cost 7 set search_path = public")
    found = {function: judged(gateway, function)[0] for function in LEASES}
    assert found["pgmq_api.read"] == ["Function pgmq_settings.expiry_text(timestamp with time zone) is not that of "
                                      "the gateway."]  # fmt: skip
    assert found["pgmq_api.ack"] == ["Function pgmq_api.ack(text,text) is not that of the gateway."]
    assert found["pgmq_api.delete"] == []


def test_a_missing_privilege_on_pgmq_api_is_the_error_of_each_call(db: Sql, gateway: Sql) -> None:
    db("revoke execute on function pgmq_api.ack from anon")
    acks = [{"receipt": f"{n}.1.1"} for n in (1, 2, 3)]
    assert [code for code, _ in together(gateway, "pgmq_api.ack", acks)] == ["42501"] * 3
    db("revoke usage on schema pgmq_api from anon")
    sends = [{"message": n} for n in range(3)]
    assert [code for code, _ in together(gateway, "pgmq_api.send", sends)] == ["42501"] * 3
