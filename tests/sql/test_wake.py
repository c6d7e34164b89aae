"""The setting wake: sends of all writers are announced on the channel pgmq_gateway, and wait for nothing."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, runner
from tests.sql.calls import JUDGEMENT, calls, sends
from tests.sql.conftest import Connect, as_role
from tests.sql.leases import prepare

QUEUES = ("q", "r")
Announced = Callable[[], list[Any]]


@pytest.fixture(scope="module")
def queues(owner: Sql) -> Sql:
    prepare(owner, *QUEUES)
    owner("select pgmq_admin.grant_queue('q', 'anon', '{send}')")
    return owner


@pytest.fixture
def db(queues: Sql) -> Iterator[Sql]:
    """Queues `q` and `r`, which are announced once a minute, and not yet."""
    for queue in QUEUES:
        configure(queues, queue, wake=True, wake_throttle_ms=60_000, paused=False)
    forget(queues)
    yield queues
    queues("rollback")


@pytest.fixture
def announced(installed: str) -> Iterator[Announced]:
    """announced() returns the payloads since its last call."""
    payloads: list[str] = []
    with psycopg.connect(installed, autocommit=True) as connection:
        connection.add_notify_handler(lambda notification: payloads.append(notification.payload))
        connection.execute("listen pgmq_gateway")

        def received() -> list[Any]:
            # Postgres delivers notifications in order, and a session's own with its commit.
            connection.execute("notify pgmq_gateway, 'null'")
            assert payloads[-1] == "null"
            result = [json.loads(payload) for payload in payloads[:-1]]
            payloads.clear()
            return result

        yield received


@pytest.fixture
def other(installed: str, connect: Connect) -> Sql:
    """A second session, whose statements fail where they wait for a lock."""
    sql = runner(connect(installed))
    sql("set lock_timeout = '50ms'")
    return sql


def configure(sql: Sql, queue: str, **settings: object) -> None:
    sql("select pgmq_admin.set_queue_settings(%s, %s)", queue, json.dumps(settings))


def forget(sql: Sql) -> None:
    """The effect of a crash."""
    sql("truncate pgmq_settings.wake_throttles")


def age(sql: Sql, by: str = "-1 hour") -> None:
    """Change the times of the last announcements."""
    sql("update pgmq_settings.wake_throttles set notified_at = clock_timestamp() + %s::interval", by)


@pytest.mark.parametrize(
    "statement",
    [
        "select pgmq.send('q', '1')",
        "select pgmq.send_batch('Q', '{1,2}')",
        "select pgmq_public.send_batch('q', '{1,2}')",
        "select pgmq_api.send_entries('q', '[{\"message\": 1}, {\"message\": 2}]')",
        "insert into pgmq.q_q (vt, message) values (now(), '1'), (now(), '2')",
    ],
)
def test_5_an_insert_of_any_writer_is_announced(db: Sql, announced: Announced, statement: str) -> None:
    db(statement)
    assert announced() == [{"s": ["q"]}]


def test_42_a_queue_is_announced_once_in_its_time(db: Sql, announced: Announced) -> None:
    for message in range(3):
        db("select pgmq.send('q', to_jsonb(%s::int))", message)
    db("select pgmq.send('r', '1')")
    assert announced() == [{"s": ["q"]}, {"s": ["r"]}]
    # The second time is that after the clock was set back.
    for by in ("-61 seconds", "1 hour"):
        age(db, by)
        db("select pgmq.send('q', '1')")
        db("select pgmq.send('q', '1')")
        assert announced() == [{"s": ["q"]}]
    configure(db, "q", wake_throttle_ms=10)
    age(db, "-11 milliseconds")
    db("select pgmq.send('q', '1')")
    assert announced() == [{"s": ["q"]}]


def test_43_f20_a_queue_is_announced_after_a_crash(db: Sql, announced: Announced) -> None:
    db("select pgmq.send('q', '1')")
    forget(db)
    assert announced() == [{"s": ["q"]}]
    db("select pgmq.send('q', '1')")
    db("select pgmq.send('q', '1')")
    assert announced() == [{"s": ["q"]}]
    assert db("select relpersistence from pg_class where oid = 'pgmq_settings.wake_throttles'::regclass") == [("u",)]


def test_44_a_sender_needs_no_privilege_for_it(db: Sql, announced: Announced) -> None:
    as_role(db, "anon", "select pgmq_public.send('q', '1')")
    age(db)
    as_role(db, "anon", "select pgmq_public.send('q', '1')")
    assert announced() == [{"s": ["q"]}] * 2
    with pytest.raises(errors.InsufficientPrivilege):
        as_role(db, "anon", "select * from pgmq_settings.wake_throttles")
    with pytest.raises(errors.InsufficientPrivilege):
        as_role(db, "anon", "select pgmq_settings.notify_queue('q_q')")


@pytest.mark.parametrize("known", [True, False])
def test_45_senders_to_two_queues_in_opposite_order_wait_for_nothing(
    db: Sql, other: Sql, announced: Announced, known: bool
) -> None:
    if known:
        db("select pgmq.send('q', '1'), pgmq.send('r', '1')")
        age(db)
        announced()
    for sql, queues in ((db, "qr"), (other, "rq")):
        sql("begin")
        sql("select pgmq.send(%s, '1')", queues[0])
    db("set local lock_timeout = '50ms'")
    for sql, queues in ((db, "qr"), (other, "rq")):
        sql("select pgmq.send(%s, '1')", queues[1])
    db("commit")
    other("commit")
    assert announced() == [{"s": ["q"]}, {"s": ["r"]}]
    assert db("select queue_table from pgmq_settings.wake_throttles order by 1") == [("q_q",), ("q_r",)]


@pytest.mark.parametrize("known", [True, False])
def test_what_is_rolled_back_keeps_no_other_send_from_being_announced(
    db: Sql, other: Sql, announced: Announced, known: bool
) -> None:
    if known:
        db("select pgmq.send('q', '1')")
        age(db)
        announced()
    db("begin; savepoint s")
    db("select pgmq.send('q', '1')")
    db("rollback to s")
    other("select pgmq.send('q', '1')")
    db("rollback")
    assert announced() == [{"s": ["q"]}]


def test_c12_a_sender_with_a_snapshot_does_not_fail(db: Sql, other: Sql, announced: Announced) -> None:
    db("select pgmq.send('q', '1')")
    age(db)
    db("begin isolation level repeatable read; select from pgmq.q_q")
    other("select pgmq.send('q', '1')")
    db("select pgmq.send('q', '1')")
    db("commit")
    assert announced() == [{"s": ["q"]}] * 2


def test_the_setting_has_its_trigger_and_its_row(db: Sql, announced: Announced) -> None:
    triggers = "select encode(tgargs, 'escape') from pg_trigger where tgname = 'pgmq_settings_wake' order by tgrelid"
    assert db(triggers) == [("60000\\000",)] * 2
    configure(db, "q", wake_throttle_ms=None)
    assert db(triggers) == [("100\\000",), ("60000\\000",)]
    db("select pgmq.send('q', '1'), pgmq.send('r', '1')")
    configure(db, "q", wake=None)
    assert db(triggers) == [("60000\\000",)]
    assert db("select queue_table from pgmq_settings.wake_throttles") == [("q_r",)]
    announced()
    db("select pgmq.send('q', '1')")
    assert announced() == []
    configure(db, "q", wake=True)
    db("select pgmq.send('q', '1')")
    assert announced() == [{"s": ["q"]}]


@pytest.mark.parametrize("drop", ["pgmq.drop_queue", "pgmq_admin.drop_queue"])
def test_a_dropped_queue_leaves_nothing(db: Sql, drop: str) -> None:
    db("select pgmq_admin.create_queue('gone')")
    configure(db, "gone", wake=True)
    db("select pgmq.send('gone', '1')")
    db(f"select {drop}('gone')")
    db("select pgmq_gateway.remove_orphaned_settings()")
    assert db("select queue_table from pgmq_settings.wake_throttles") == []


def test_a_partitioned_queue_is_announced(db: Sql, announced: Announced) -> None:
    db("begin")
    db("create table pgmq.q_parts (like pgmq.q_q including defaults including identity) partition by range (msg_id)")
    db("create table pgmq.q_parts_default partition of pgmq.q_parts default")
    db("create table pgmq.a_parts (like pgmq.a_q including all)")
    db("insert into pgmq.meta (queue_name, is_partitioned, is_unlogged) values ('parts', true, false)")
    configure(db, "parts", wake=True)
    db("select pgmq.send_batch('parts', '{1,2}')")
    db("commit")
    assert announced() == [{"s": ["parts"]}]
    db("delete from pgmq.meta where queue_name = 'parts'; drop table pgmq.q_parts, pgmq.a_parts")


def test_34_a_queue_that_resumes_is_announced(db: Sql, announced: Announced) -> None:
    for paused, payloads in ((False, []), (True, []), (True, []), (None, [{"s": ["r"]}]), (None, [])):
        configure(db, "r", wake=False, paused=paused)
        assert announced() == payloads
    configure(db, "r", paused=True)
    db("begin")
    configure(db, "r", paused=False)
    assert db("select current_setting('pgmq_gateway.wakeups')") == [("r\t1\t0\n",)]


def test_calls_share_a_transaction_which_is_announced_once(
    db: Sql, directory: DataDirectory, connect: Connect, announced: Announced
) -> None:
    ((name,),) = db("select current_database()")
    gateway = runner(connect(socket_uri(directory, "authenticator", name)))
    for count in (2, 5):
        forget(db)
        calls(gateway, sends(*range(count)))
        assert announced() == [{"s": ["q"]}]
    # The judgement notices another function.
    ((_, relations, functions, fingerprint, _),) = gateway(JUDGEMENT, "q", "send")
    definition = db("select pg_get_functiondef('pgmq_settings.notify_wake'::regproc)")[0][0]
    db("begin")
    db(definition.replace("%", "%%") if "%s" in definition else definition)
    compare = "select pgmq_gateway.fingerprint(%s::oid[], %s) = %s"
    assert db(compare, relations, functions, fingerprint) == [(False,)]
    db(definition.replace("return null", "raise 'changed'"))
    assert db("select pgmq_gateway.table_faults('pgmq.q_q'::regclass, true)") == [
        ("has the trigger pgmq_settings_wake",)
    ]
