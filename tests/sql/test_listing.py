"""Listing queues: exact counts of short queues, estimates of long ones, without reading a whole queue."""

import re

import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql
from tests.sql.conftest import Connect

LISTED = "messages, exact, visible, delayed, in_flight from pgmq_admin.list_queues() where queue_name = 'big'"
FILL = """
    insert into pgmq.q_big (vt, read_ct, message, enqueued_at)
    select now() + %s * interval '1 hour', %s, to_jsonb(repeat('x', 200)), now() - (%s - n) * interval '1 ms'
    from generate_series(1, %s) as n
"""


def fill(db: Sql, count: int, hours: int = -1, reads: int = 0) -> None:
    """Messages that become visible in so many hours."""
    db(FILL, hours, reads, count, count)
    # Otherwise the statistics receive these rows after ANALYZE has counted them, and count them twice.
    flush(db)


def flush(db: Sql) -> None:
    """Add this session's counts to the statistics now."""
    if db("select to_regproc('pg_stat_force_next_flush') is null") == [(True,)]:
        pytest.skip("pg_stat_force_next_flush is new in Postgres 15")
    db("select pg_stat_force_next_flush()")


def blocks(db: Sql, statement: str) -> int:
    """The number of blocks that a statement reads."""
    plan = "\n".join(line for (line,) in db(f"explain (analyze, buffers, timing off) {statement}"))
    touched = re.search(r"Buffers: shared(?: hit=(\d+))?(?: read=(\d+))?", plan)
    assert touched
    return sum(int(number or 0) for number in touched.groups())


@pytest.fixture
def big(db: Sql) -> Sql:
    """A database with a queue that autovacuum leaves alone."""
    db("select pgmq_admin.create_queue('big')")
    db("alter table pgmq.q_big set (autovacuum_enabled = off)")
    return db


def test_a_long_queue_is_estimated_without_being_read(big: Sql) -> None:
    fill(big, 30_000)
    fill(big, 5_000, 1)
    fill(big, 5_000, 1, reads=1)
    big("analyze pgmq.q_big")
    flush(big)
    ((messages, exact, visible, delayed, in_flight),) = big(f"select {LISTED}")
    assert (messages, exact) == (40_000, False)
    assert 20_000 < visible < 38_000
    assert visible + delayed + in_flight == messages
    assert min(delayed, in_flight) > 0
    ((size,),) = big("select pg_relation_size('pgmq.q_big') / 8192")
    scans = "select seq_scan from pg_stat_all_tables where relid = 'pgmq.q_big'::regclass"
    before = big(scans)
    assert blocks(big, f"select {LISTED}") < size / 2
    flush(big)
    assert big(scans) == before


def test_few_messages_of_a_state_are_counted_in_a_long_queue_too(big: Sql) -> None:
    fill(big, 40_000)
    fill(big, 30, 1)
    fill(big, 7, 1, reads=1)
    big("analyze pgmq.q_big")
    assert big(f"select {LISTED}") == [(40_037, False, 40_000, 30, 7)]
    big("update pgmq.q_big set vt = now() + interval '1 hour' where msg_id > 200")
    big("vacuum analyze pgmq.q_big")
    ((messages, exact, visible, delayed, in_flight),) = big(f"select {LISTED}")
    assert (exact, visible, delayed + in_flight) == (False, 200, messages - 200)


def test_few_messages_are_counted_in_a_large_table(big: Sql) -> None:
    fill(big, 20_000)
    big("delete from pgmq.q_big where msg_id > 300")
    assert big(f"select {LISTED}") == [(300, True, 300, 0, 0)]
    big("vacuum (truncate off) pgmq.q_big")
    fill(big, 5, 1)
    assert big(f"select {LISTED}") == [(305, True, 300, 5, 0)]


def test_a_queue_that_was_filled_just_now_is_no_thousand_messages(big: Sql) -> None:
    fill(big, 30_000)
    ((messages, exact, *_),) = big(f"select {LISTED}")
    assert (20_000 < messages < 45_000, exact) == (True, False)


def test_the_ages_are_those_of_the_ends(big: Sql) -> None:
    fill(big, 30_000)
    ((oldest, newest),) = big("select oldest_seconds, newest_seconds from pgmq_admin.list_queues()")
    assert 30 <= oldest < 60
    assert 0 <= newest < 30


@pytest.mark.parametrize("sent", ["infinity", "-infinity", "4713-01-01 BC", "294276-12-31"])
def test_a_message_sent_at_any_time_has_an_age_or_none(big: Sql, sent: str) -> None:
    big("insert into pgmq.q_big (vt, enqueued_at, message) values (%s, %s, '1')", sent, sent)
    listed = big("select oldest_seconds, newest_seconds from pgmq_admin.list_queues()")
    status = big("select oldest_seconds, newest_seconds from pgmq_admin.queue_status('big')")
    none = "infinity" in sent
    assert [age is None for ages in (*listed, *status) for age in ages] == [none] * 4


def test_a_queue_that_somebody_is_dropping_holds_nobody_up(
    directory: DataDirectory, connect: Connect, big: Sql
) -> None:
    ((name,),) = big("select current_database()")
    other = connect(socket_uri(directory, database=name))
    big("select pgmq_admin.create_queue('other')")
    other.execute("begin")
    other.execute("select pgmq_admin.purge_queue('big')")
    big("set lock_timeout = '1s'")
    assert big("select queue_name, messages, exact from pgmq_admin.list_queues()") == [
        ("big", None, False), ("other", 0, True)
    ]  # fmt: skip
    other.execute("commit")


def test_a_queue_whose_table_is_gone_is_listed_and_can_be_dropped(big: Sql) -> None:
    big("drop table pgmq.q_big")
    assert big("select queue_name, messages, exact, rls from pgmq_admin.list_queues()") == [("big", None, False, False)]
    big("select pgmq_admin.drop_queue('big')")
    assert big("select count(*) from pgmq_admin.list_queues()") == [(0,)]


def test_many_queues_take_few_blocks_each(big: Sql) -> None:
    big("select pgmq_admin.create_queue('many' || n) from generate_series(1, 49) as n")
    big("select pgmq.send('many' || n, '1') from generate_series(1, 49) as n")
    big("select * from pgmq_admin.list_queues()")
    assert big("select count(*), sum(messages), bool_and(exact) from pgmq_admin.list_queues()") == [(50, 49, True)]
    assert blocks(big, "select * from pgmq_admin.list_queues()") < 50 * 60
