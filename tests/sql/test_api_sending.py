"""Sending by pgmq_api: single messages, batches and entries."""

import json

import pytest
from psycopg import errors

from tests.databases import Sql
from tests.sql.conftest import as_role
from tests.sql.leases import prepare


@pytest.fixture(scope="module")
def queues(owner: Sql) -> Sql:
    prepare(owner, "jobs")
    return owner


@pytest.fixture
def db(queues: Sql) -> Sql:
    """An empty queue `jobs`."""
    queues("truncate pgmq.q_jobs restart identity")
    return queues


def stored(sql: Sql) -> list[tuple[object, ...]]:
    """Messages, headers and delays in tens of seconds, in order."""
    return sql(
        "select message, headers, round(extract(epoch from vt - clock_timestamp()) / 10)::integer"
        " from pgmq.q_jobs order by msg_id"
    )


def test_send_stores_message_headers_and_delay(db: Sql) -> None:
    assert db("select pgmq_api.send('jobs', '{\"a\": 1}')") == [(1,)]
    assert db("select pgmq_api.send('jobs', 'null', 100, '{\"h\": 1}')") == [(2,)]
    assert db("select pgmq_api.send('JOBS', '[]', headers => 'null')") == [(3,)]
    assert stored(db) == [({"a": 1}, None, 0), (None, {"h": 1}, 10), ([], None, 0)]


def test_a_producer_needs_no_more_than_to_send(db: Sql, worker: str) -> None:
    db("select pgmq_admin.grant_queue('jobs', %s, '{send}')", worker)
    for call in ("send('jobs', '1', headers => '{}')", "send_batch('jobs', array['2']::jsonb[])",
                 "send_entries('jobs', '[{\"message\": 3}]')"):  # fmt: skip
        as_role(db, worker, f"select pgmq_api.{call}")
    assert [message for message, _, _ in stored(db)] == [1, 2, 3]
    with pytest.raises(errors.InsufficientPrivilege):
        as_role(db, worker, "select pgmq_api.read('jobs')")
    with pytest.raises(errors.InsufficientPrivilege):
        as_role(db, "anon", "select pgmq_api.send('jobs', '1')")


def test_116_each_entry_is_one_message(db: Sql) -> None:
    entries = [
        {"message": [1, [2]]}, {"message": None, "headers": {"a": 1}, "sleep_seconds": 100},
        {"message": [], "headers": None, "sleep_seconds": None, "expires_in": 3600},
    ]  # fmt: skip
    assert db("select * from pgmq_api.send_entries('jobs', %s)", json.dumps(entries)) == [
        (0, 1, False), (1, 2, False), (2, 3, False)
    ]  # fmt: skip
    rows = stored(db)
    assert rows[:2] == [([1, [2]], None, 0), (None, {"a": 1}, 10)]
    assert db("select (headers ->> 'x-pgmq-expires')::timestamptz - now() between '59 min' and '60 min'"
              " from pgmq.q_jobs where msg_id = 3") == [(True,)]  # fmt: skip
    assert db("select * from pgmq_api.send_entries('jobs', '[]')") == []


def test_a_batch_is_stored_in_order(db: Sql) -> None:
    batch = "select pgmq_api.send_batch('jobs', array(select to_jsonb(n) from generate_series(1, 500) as n), 100)"
    assert db(batch) == [(n,) for n in range(1, 501)]
    assert stored(db) == [(n, None, 10) for n in range(1, 501)]
    assert db("select pgmq_api.send_batch('jobs', '{}')") == []


@pytest.mark.parametrize(
    ("arguments", "delay", "error"),
    [
        ("send_at => now() + interval '100 s'", 10, None),
        ("send_at => now() - interval '1 day'", 0, None),
        ("sleep_seconds => 0, send_at => now() + interval '100 s'", 10, None),
        ("sleep_seconds => null", 0, None),
        ("sleep_seconds => 100, expires_at => now() + interval '200 s'", 10, None),
        ("sleep_seconds => 1, send_at => now()", 0, "exclude each other"),
        ("send_at => 'infinity'", 0, "send_at must be a time"),
        ("sleep_seconds => -1", 0, "must be between 0 and 31536000"),
        ("sleep_seconds => 31536001", 0, "must be between 0 and 31536000"),
        ("expires_at => now() - interval '1 s'", 0, "cannot expire"),
        ("sleep_seconds => 100, expires_at => now() + interval '99 s'", 0, "cannot expire"),
        ("send_at => now() + interval '100 s', expires_at => now() + interval '99 s'", 0, "cannot expire"),
        ("expires_at => 'infinity'", 0, "cannot expire"),
        ("expires_at => '-infinity'", 0, "cannot expire"),
        ("expires_at => '10000-01-01'", 0, "cannot expire"),
    ],
)
def test_117_send_at_and_expires_at(db: Sql, arguments: str, delay: int, error: str | None) -> None:
    call = f"select pgmq_api.send('jobs', '1', {arguments})"
    if error is None:
        db(call)
        assert [row[2] for row in stored(db)] == [delay]
    else:
        with pytest.raises(errors.InvalidParameterValue, match=error):
            db(call)
        assert stored(db) == []


@pytest.mark.parametrize("headers", ["[]", "1", '"x"', '{"a": "' + "x" * 65536 + '"}'])
def test_120_headers_must_be_an_object_of_bounded_size(db: Sql, headers: str) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="headers"):
        db("select pgmq_api.send('jobs', '1', headers => %s)", headers)
    entries = [{"message": 1}, {"message": 2, "headers": json.loads(headers)}]
    with pytest.raises(errors.InvalidParameterValue, match="headers"):
        db("select pgmq_api.send_entries('jobs', %s)", json.dumps(entries))
    assert stored(db) == []


@pytest.mark.parametrize(
    ("entries", "error"),
    [
        ({}, "must be an array, not object"),
        (None, "must be an array"),
        ([1], "entry 0 is not an object with a message"),
        ([{"message": 1}, {}], "entry 1 is not an object with a message"),
        ([{"headers": {}}], "entry 0 is not an object with a message"),
        ([{"message": 1, "delay": 1}], 'member "delay" of entry 0 is unknown'),
        ([{"message": 1, "sleep_seconds": "1"}], 'member "sleep_seconds" of entry 0 has the wrong type'),
        ([{"message": 1, "sleep_seconds": 1.5}], "wrong type"),
        ([{"message": 1, "send_at": 5}], "wrong type"),
        ([{"message": 1, "send_at": "soon"}], "cannot be read"),
        ([{"message": 1, "send_at": "2026-13-01"}], "cannot be read"),
        ([{"message": 1, "expires_in": 0}], "cannot expire"),
        ([{"message": 1, "expires_in": 5, "expires_at": "2120-01-01"}], "exclude each other"),
    ],
)
def test_wrong_entries_are_refused_and_none_is_stored(db: Sql, entries: object, error: str) -> None:
    with pytest.raises(errors.InvalidParameterValue, match=error):
        db("select pgmq_api.send_entries('jobs', %s)", json.dumps(entries))
    assert stored(db) == []


def test_null_messages_and_long_batches_are_refused(db: Sql) -> None:
    for call in ("send('jobs', null)", "send_batch('jobs', array['1', null]::jsonb[])"):
        with pytest.raises(errors.NullValueNotAllowed):
            db(f"select pgmq_api.{call}")
    db("begin; set local pgmq_gateway.max_batch = 2")
    with pytest.raises(errors.InvalidParameterValue, match="a batch of 3 messages is too long"):
        db("select pgmq_api.send_batch('jobs', array['1', '2', '3']::jsonb[])")
    db("rollback; begin; set local pgmq_gateway.max_batch = 1")
    with pytest.raises(errors.InvalidParameterValue, match="a batch of 2 messages is too long"):
        db("select pgmq_api.send_entries('jobs', '[{\"message\": 1}, {\"message\": 2}]')")
    db("rollback")
