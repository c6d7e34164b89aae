"""The maintenance of queues: burials in queues without readers, full queues, retention, expired ids and keys."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import errors

from tests.databases import Sql, runner
from tests.sql.conftest import as_role
from tests.sql.leases import prepare, send
from tests.sql.maintenance import portions, whole_pass
from tests.waiting import until

NAMES = ("jobs", "dead", "other", "last")
OLD = "clock_timestamp() - interval '1 hour'"


@pytest.fixture(scope="module")
def queues(owner: Sql) -> Sql:
    prepare(owner, *NAMES)
    return owner


@pytest.fixture
def db(queues: Sql) -> Sql:
    """Empty queues without settings; a pass is due."""
    for name in NAMES:
        queues(f"truncate pgmq.q_{name}, pgmq.a_{name} restart identity")
        queues("select pgmq_admin.set_queue_settings(%s, '{\"group_limit\": null}')", name)
    queues("delete from pgmq_settings.queues; delete from pgmq_settings.burials; delete from pgmq_gateway.maintenance")
    queues("delete from pgmq_settings.progress")
    return queues


def configure(sql: Sql, queue: str = "jobs", **settings: object) -> None:
    sql("select pgmq_admin.set_queue_settings(%s, %s)", queue, json.dumps(settings))


def count(sql: Sql, table: str) -> int:
    return int(sql(f"select count(*) from {table}")[0][0])


@contextmanager
def transaction(uri: str) -> Iterator[Sql]:
    """A second session, whose transaction is rolled back at the end."""
    with psycopg.connect(uri) as connection:
        yield runner(connection)
        connection.rollback()


def test_90_dead_messages_are_buried_in_queues_without_readers(db: Sql) -> None:
    configure(db, max_receives=2, dead_letter_queue="dead", on_expiry="dead_letter", message_keep_seconds=600)
    send(db, "jobs", *range(8))
    db("update pgmq.q_jobs set read_ct = 2 where msg_id in (1, 2)")
    db("update pgmq.q_jobs set read_ct = 1000001 where msg_id = 3")
    db('update pgmq.q_jobs set headers = \'{"x-pgmq-expires": "2020-01-01T00:00:00Z"}\' where msg_id in (4, 8)')
    db(f"update pgmq.q_jobs set enqueued_at = {OLD} where msg_id in (5, 6)")
    # In flight: their consumer may settle them.
    db("update pgmq.q_jobs set vt = clock_timestamp() + interval '1 hour', read_ct = 2 where msg_id in (2, 6)")
    # Parked.
    db("update pgmq.q_jobs set vt = 'infinity' where msg_id = 8")
    whole_pass(db)
    assert db("select msg_id from pgmq.q_jobs order by 1") == [(2,), (6,), (7,)]
    reasons = db("select (headers #>> '{x-pgmq-dead,msg_id}')::int, headers #>> '{x-pgmq-dead,reason}'"
                 " from pgmq.q_dead order by 1")  # fmt: skip
    assert reasons == [(1, "max_receives"), (3, "rejected"), (4, "expired"), (5, "expired"), (8, "expired")]
    assert db("select max_receives, rejected, expired, failed from pgmq_settings.burials") == [(1, 1, 3, 0)]
    assert whole_pass(db) == 1


def test_a_queue_without_settings_is_left_alone(db: Sql) -> None:
    send(db, "jobs", 1, headers={"x-pgmq-expires": "2020-01-01T00:00:00Z"})
    whole_pass(db)
    assert count(db, "pgmq.q_jobs") == 1


def test_long_queues_are_searched_in_parts(db: Sql) -> None:
    configure(db, max_receives=1)
    # Four messages a page: 20 pages are a part.
    db("insert into pgmq.q_jobs (vt, message, read_ct) select now(), to_jsonb(repeat('x', 1900)), (i > 100)::int"
       " from generate_series(1, 103) as i")  # fmt: skip
    pages = "select next_page from pgmq_settings.progress"
    list(portions(db, 0))
    assert (db(pages), count(db, "pgmq.a_jobs")) == ([(20,)], 0)
    list(portions(db, 0))
    assert (db(pages), count(db, "pgmq.a_jobs")) == ([(0,)], 3)
    # A portion goes on until its time is up. The new rows are behind the old ones.
    db("update pgmq.q_jobs set read_ct = 1")
    whole_pass(db)
    assert (count(db, "pgmq.q_jobs"), count(db, "pgmq.a_jobs")) == (0, 103)


def test_partitioned_queues_are_searched_in_all_partitions(db: Sql) -> None:
    db("begin")
    for table in ("q_parted", "a_parted"):
        db(f"create table pgmq.{table} (like pgmq.{table[0]}_jobs including all) partition by range (msg_id)")
        for first in (0, 10):
            partition = f"pgmq.{table}_p{first} partition of pgmq.{table}"
            db(f"create table {partition} for values from ({first}) to ({first + 10})")
    db("insert into pgmq.meta (queue_name, is_partitioned, is_unlogged) values ('parted', true, false)")
    configure(db, "parted", max_receives=1, archive_keep_seconds=600)
    db("insert into pgmq.q_parted (msg_id, vt, message, read_ct) overriding system value"
       " select i, now(), '1', i % 2 from generate_series(6, 13) as i")  # fmt: skip
    db(f"insert into pgmq.a_parted (msg_id, vt, message, archived_at) values (1, now(), '1', {OLD})")
    for task, changed in (("bury dead messages", 4), ("trim archive", 1)):
        visit = "select changed, is_behind from pgmq_gateway.maintain_queue(%s, 'q_parted', 'infinity')"
        assert db(visit, task) == [(changed, False)]
    assert db("select msg_id from pgmq.q_parted order by 1") == [(6,), (8,), (10,), (12,)]
    assert db("select msg_id from pgmq.a_parted order by 1") == [(7,), (9,), (11,), (13,)]
    db("rollback")


def test_a_portion_ends_with_its_time_and_the_next_goes_on(db: Sql) -> None:
    for name in NAMES:
        configure(db, name, max_receives=1)
        send(db, name, 1)
        db(f"update pgmq.q_{name} set read_ct = 1")
    places = [place for place, _ in portions(db, 0)]
    assert places == ["2", "3", "4", "5 q_dead", "5 q_jobs", "5 q_last", "5 q_other", "8", ""]
    assert db("select place, runs from pgmq_gateway.maintenance") == [("", 9)]
    assert [count(db, f"pgmq.a_{name}") for name in NAMES] == [1] * 4


def test_a_pass_that_had_more_to_do_is_followed_by_the_next_at_once(db: Sql) -> None:
    configure(db, max_receives=1)
    db("insert into pgmq.q_jobs (vt, message, read_ct) select now(), '1', 1 from generate_series(1, 500)")
    for remaining in (300, 100, 0):
        *_, (_, due) = portions(db, 0)
        assert count(db, "pgmq.q_jobs") == remaining
        assert (due == 5) == (remaining == 0)


def test_each_queue_with_work_has_a_transaction_of_its_own(db: Sql) -> None:
    for name in NAMES:
        configure(db, name, max_receives=1)
    send(db, "jobs", 1)
    send(db, "last", 1)
    db("update pgmq.q_jobs set read_ct = 1; update pgmq.q_last set read_ct = 1")
    assert whole_pass(db) == 3
    xids = db("select distinct xmin from pgmq.a_jobs union select xmin from pgmq.a_last")
    assert len(xids) == 2
    assert whole_pass(db) == 1


def test_f44_two_gateways_do_it_once(db: Sql, installed: str) -> None:
    ask = "select pgmq_gateway.maintain(60000)"
    with transaction(installed) as other:
        assert other(ask) == [(5,)]
        # Another one is at work.
        assert as_role(db, "authenticator", ask) == [(5,)]
        assert count(db, "pgmq_gateway.maintenance") == 0
        other("commit")
    db("update pgmq_gateway.maintenance set due_at = clock_timestamp() + interval '10 minutes'")
    ((due,),) = as_role(db, "authenticator", ask)
    assert 5 < due <= 600
    assert db("select runs from pgmq_gateway.maintenance") == [(1,)]


def test_f44_a_queue_that_fails_stops_no_other(db: Sql, installed: str) -> None:
    for name in ("jobs", "last"):
        configure(db, name, max_receives=1)
        send(db, name, 1)
        db(f"update pgmq.q_{name} set read_ct = 1")
    with transaction(installed) as other:
        other("lock table pgmq.q_jobs")
        whole_pass(db)
    assert (count(db, "pgmq.q_jobs"), count(db, "pgmq.q_last")) == (1, 0)
    resumes = "select queue_table, resumes_at > clock_timestamp() from pgmq_settings.progress"
    assert db(resumes) == [("q_jobs", True)]
    whole_pass(db)
    assert count(db, "pgmq.q_jobs") == 1
    db("update pgmq_settings.progress set resumes_at = clock_timestamp()")
    whole_pass(db)
    assert (count(db, "pgmq.q_jobs"), db("select * from pgmq_settings.progress where resumes_at is not null")) == (
        0,
        [],
    )


def test_f44_a_transaction_that_changes_settings_stops_no_other_queue(db: Sql, installed: str) -> None:
    for name in ("jobs", "last"):
        configure(db, name, max_receives=1, max_messages=1)
        send(db, name, 1, 2)
        db(f"update pgmq.q_{name} set read_ct = 1 where msg_id = 1")
    with transaction(installed) as other:
        configure(other, "jobs", group_limit=1, max_messages=3)
        whole_pass(db)
        assert db("select queue_table, is_full from pgmq_settings.queues order by 1") == [
            ("q_jobs", None),
            ("q_last", True),
        ]
        assert (count(db, "pgmq.q_last"), db("select place from pgmq_gateway.maintenance")) == (1, [("",)])
    db("update pgmq_settings.progress set resumes_at = null")
    whole_pass(db)
    assert db("select bool_and(is_full) from pgmq_settings.queues") == [(True,)]
    assert count(db, "pgmq.q_jobs") == 1


def test_f44_a_queue_that_takes_too_long_stops_no_other(db: Sql, installed: str) -> None:
    """The time limit of the statement is over with its cancel, so the portion ends."""
    for name in ("jobs", "dead", "last"):
        configure(db, name, max_receives=1)
        send(db, name, 1)
        db(f"update pgmq.q_{name} set read_ct = 1")
    db("create function sleep() returns trigger language plpgsql as 'begin perform pg_sleep(600); return new; end'")
    db("create trigger sleeps before insert on pgmq.a_jobs for each row execute function sleep()")
    cancel = (
        "select pg_cancel_backend(pid) from pg_stat_activity"
        " where datname = current_database() and wait_event = 'PgSleep'"
    )
    try:
        with transaction(installed) as operator, ThreadPoolExecutor() as pool:
            places = pool.submit(lambda: [place for place, _ in portions(db)])
            until(lambda: operator(cancel))
            assert places.result() == ["5 q_dead", "5 q_jobs", "5 q_last", ""]
    finally:
        db("drop function sleep cascade")
    assert [count(db, f"pgmq.q_{name}") for name in ("jobs", "dead", "last")] == [1, 0, 0]


@pytest.mark.parametrize("row", ["read_ct = 1", "read_ct = 0", "read_ct = 0, vt = 'infinity'"])
def test_f44_burials_that_fail_are_counted_and_tried_again_after_an_hour(db: Sql, row: str) -> None:
    configure(db, max_receives=1, dead_letter_queue="dead", on_expiry="dead_letter")
    send(db, "jobs", 1, 2, headers={"x-pgmq-expires": "2020-01-01T00:00:00Z"})
    db(f"update pgmq.q_jobs set {row}")
    db("alter table pgmq.q_dead add constraint small check (message <> '1')")
    try:
        whole_pass(db)
        db("update pgmq_settings.progress set resumes_at = null")
        whole_pass(db)
        assert (count(db, "pgmq.q_jobs"), count(db, "pgmq.q_dead")) == (1, 1)
        assert db("select expired, failed, failure from pgmq_settings.burials") == [(1, 1, "23514")]
        # Another burial in the same group does not try it either.
        assert db("select pgmq_settings.dead_behind('q_jobs', '{9}', s) from pgmq_settings.queues as s") == [(None,)]
    finally:
        db("alter table pgmq.q_dead drop constraint small")
    db("update pgmq.q_jobs set vt = least(vt, clock_timestamp()), headers = headers || %s::jsonb",
       '{"x-pgmq-dead-failed": "23514 2020-01-01T01:00:00Z"}')  # fmt: skip
    whole_pass(db)
    assert db("select expired, failed from pgmq_settings.burials") == [(2, 1)]


def test_no_sender_can_postpone_a_burial_by_more_than_two_hours(db: Sql) -> None:
    configure(db, max_receives=1)
    for time in ("9999-01-01T00:00:00Z", "z", ""):
        send(db, "jobs", 1, headers={"x-pgmq-expires": "2020-01-01T00:00:00Z", "x-pgmq-dead-failed": f"23514 {time}"})
    whole_pass(db)
    assert count(db, "pgmq.q_jobs") == 0


def test_locked_messages_do_not_stop_the_burials_of_those_behind(db: Sql, installed: str) -> None:
    configure(db, max_receives=1)
    db("insert into pgmq.q_jobs (vt, message, read_ct) select now(), '1', 1 from generate_series(1, 210)")
    with transaction(installed) as other:
        other("select from pgmq.q_jobs where msg_id <= 200 for update")
        whole_pass(db)
        assert (count(db, "pgmq.q_jobs"), count(db, "pgmq.a_jobs")) == (200, 10)


def test_a_portion_buries_once_in_a_queue_with_groups(db: Sql) -> None:
    """Two burials would lock groups in an order in which deadlocks are possible."""
    configure(db, max_receives=1, dead_letter_queue="dead")
    configure(db, "dead", group_limit=1)
    db("insert into pgmq.q_jobs (vt, message, read_ct) select now(), '1', 1 from generate_series(1, 410)")
    for remaining in (210, 10, 0):
        next(portions(db))
        *_, (_, due) = portions(db)
        assert (count(db, "pgmq.q_jobs"), due == 5) == (remaining, remaining == 0)


def test_119_a_queue_is_full_until_it_has_5_percent_less(db: Sql) -> None:
    configure(db, max_messages=40)
    full = "select is_full from pgmq_settings.queues where queue_table = 'q_jobs'"
    send(db, "jobs", *range(39))
    whole_pass(db)
    assert db(full) == [(False,)]
    send(db, "jobs", 1)
    whole_pass(db)
    assert db(full) == [(True,)]
    with pytest.raises(psycopg.Error, match="full"):
        db("select pgmq_api.send('jobs', '1')")
    db("delete from pgmq.q_jobs where msg_id <= 2")
    whole_pass(db)
    assert db(full) == [(True,)]
    db("delete from pgmq.q_jobs where msg_id = 3")
    whole_pass(db)
    assert db(full) == [(False,)]
    assert len(db("select pgmq_api.send('jobs', '1')")) == 1


@pytest.mark.parametrize("indexed", [True, False])
def test_148_archives_are_trimmed_in_batches(db: Sql, *, indexed: bool) -> None:
    configure(db, archive_keep_seconds=600)
    # Old messages behind younger ones.
    db("insert into pgmq.a_jobs (msg_id, vt, message) select i, now(), '1' from generate_series(1, 1100) as i")
    db(f"insert into pgmq.a_jobs (msg_id, vt, message, archived_at) select i, now(), '1', {OLD}"
       " from generate_series(1101, 3600) as i")  # fmt: skip
    db("begin")
    if not indexed:
        db("drop index pgmq.archived_at_idx_jobs")
    trim = "select * from pgmq_settings.trim_archive('q_jobs', 600, %s, %s)"
    ((deleted, next_page, at_end),) = db(trim, 0, "-infinity")
    assert (0 < deleted <= 1000 or not indexed, next_page, at_end) == (True, 0 if indexed else 20, False)
    assert db(trim, next_page, "infinity") == [(2500 - deleted, 0, True)]
    db("rollback")
    whole_pass(db)
    assert db("select max(msg_id), count(*) from pgmq.a_jobs") == [(1100, 1100)]


def test_112_keys_and_ids_that_have_expired_are_removed(db: Sql) -> None:
    db(f"insert into pgmq_gateway.idempotency_keys (id, fingerprint, expires_at) select int4send(i), '', {OLD}"
       " from generate_series(1, 5001) as i")  # fmt: skip
    db("insert into pgmq_gateway.idempotency_keys (id, fingerprint, expires_at) values ('', '', 'infinity')")
    for expiry in (OLD, "'infinity'"):
        db("insert into pgmq_settings.deduplication_ids values"
           f" ('q_jobs', '', '{len(expiry)}', 'pgmq.q_jobs'::regclass, 1, {expiry})")  # fmt: skip
    whole_pass(db)
    for table in ("pgmq_gateway.idempotency_keys", "pgmq_settings.deduplication_ids"):
        assert db(f"select expires_at = 'infinity' from {table}") == [(True,)]


def test_settings_of_dropped_queues_are_removed_where_no_foreign_key_does(db: Sql) -> None:
    configure(db, "jobs", dead_letter_queue="dead")
    configure(db, "dead", max_receives=1)
    db(
        "insert into pgmq_settings.burials values"
        " ('q_dead', 1, 1, 1, 0, null, null, 0), ('q_jobs', 1, 1, 1, 0, null, null, 0)"
    )
    keys = ("queues_queue_name_fkey", "queues_dead_letter_queue_fkey")
    db("begin")
    for key in keys:
        db(f"alter table pgmq_settings.queues drop constraint {key}")
    db("delete from pgmq.meta where queue_name = 'dead'")
    assert db("select pgmq_gateway.remove_orphaned_settings()") == [(3,)]
    assert db("select queue_name, dead_letter_queue from pgmq_settings.queues") == [("jobs", None)]
    assert db("select queue_table from pgmq_settings.burials") == [("q_jobs",)]
    assert db("select pgmq_gateway.remove_orphaned_settings()") == [(0,)]
    db("rollback")


def test_groups_that_have_stalled_are_swept(db: Sql) -> None:
    configure(db, group_limit=1)
    for message in (1, 2):
        db("select pgmq_api.send('jobs', %s::jsonb, group_id => 'a')", str(message))
    db("alter table pgmq.q_jobs disable trigger user")
    db("delete from pgmq.q_jobs where msg_id = 1")
    db("alter table pgmq.q_jobs enable trigger user")
    assert whole_pass(db) == 2
    assert db("select vt < 'infinity' from pgmq.q_jobs") == [(True,)]


@pytest.mark.parametrize("role", ["anon", "service_role"])
@pytest.mark.parametrize(
    "call",
    [
        "pgmq_gateway.maintain(1)",
        "pgmq_settings.bury_unread('q_jobs', 0, 'infinity')",
        "pgmq_settings.trim_archive('q_jobs', 0, 0, 'infinity')",
    ],
)
def test_callers_cannot_start_it(db: Sql, role: str, call: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        as_role(db, role, f"select {call}")
