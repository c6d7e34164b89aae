"""Redrive, replay, and what pgmq_api shows of queues."""

import json
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import errors

from tests.databases import Sql
from tests.sql.conftest import as_role
from tests.sql.leases import empty, prepare, read, send
from tests.waiting import until

QUEUES = ("jobs", "other", "dead", "secret")


@pytest.fixture(scope="module")
def queues(owner: Sql) -> Sql:
    prepare(owner, *QUEUES)
    return owner


@pytest.fixture
def db(queues: Sql, worker: str) -> Sql:
    """Empty queues; `jobs` and `other` bury in `dead`. No policies, no grants to the worker."""
    empty(queues, *QUEUES, role=worker)
    for queue in ("jobs", "other"):
        queues('select pgmq_admin.set_queue_settings(%s, \'{"dead_letter_queue": "dead"}\')', queue)
    return queues


def bury(sql: Sql, queue: str, *messages: object) -> None:
    """Send messages and reject them."""
    send(sql, queue, *messages, headers={"h": 1})
    for receipt in read(sql, queue, len(messages)):
        assert sql("select pgmq_api.reject(%s, %s, 'bad')", queue, receipt) == [("rejected",)]


def messages(sql: Sql, queue: str) -> list[object]:
    return [row[0] for row in sql(f"select message from pgmq.q_{queue} order by msg_id")]


def test_96_redrive_returns_messages_to_their_origin(db: Sql) -> None:
    bury(db, "jobs", 1, 2)
    bury(db, "other", 3)
    send(db, "dead", "no letter")
    bury(db, "jobs", 4)
    db("update pgmq.q_dead set headers = jsonb_set(headers, '{x-pgmq-dead,queue}', '\"dropped\"') where message = '4'")
    assert db("select moved, skipped from pgmq_api.redrive('dead')") == [(3, 2)]
    assert (messages(db, "jobs"), messages(db, "other"), messages(db, "dead")) == ([1, 2], [3], ["no letter", 4])
    assert db("select headers, read_ct, vt <= clock_timestamp() from pgmq.q_jobs where message = '1'") == [
        ({"h": 1, "x-pgmq-redrives": 1}, 0, True)
    ]
    assert db("select moved, skipped from pgmq_api.redrive('dead')") == [(0, 2)]
    # Again, with a header that somebody has forged meanwhile.
    db("update pgmq.q_jobs set headers = headers || '{\"x-pgmq-redrives\": \"x\"}' where message = '2'")
    for receipt in read(db, "jobs", 2):
        db("select pgmq_api.reject('jobs', %s)", receipt)
    assert db("select moved from pgmq_api.redrive('dead')") == [(2,)]
    assert db("select headers -> 'x-pgmq-redrives' from pgmq.q_jobs order by msg_id") == [(2,), (1,)]


def test_96_redrive_to_one_queue_with_rate_and_filter(db: Sql) -> None:
    bury(db, "jobs", *({"n": n, "odd": n % 2 == 1} for n in range(10)))
    send(db, "dead", {"n": 99, "odd": True})
    wanted = json.dumps({"contains": {"odd": True}})
    redrive = (
        "select moved, skipped, last_visible_at - now() > '7 s' from pgmq_api.redrive('dead', 'other', 5, 0.5, %s)"
    )
    assert db(redrive, wanted) == [(5, 0, True)]
    assert db("select (message -> 'n')::integer, round(extract(epoch from vt - min(vt) over ()))::integer"
              " from pgmq.q_other order by msg_id") == [(n, n - 1) for n in (1, 3, 5, 7, 9)]  # fmt: skip
    assert db("select moved from pgmq_api.redrive('dead', 'other', 5, filter => %s)", wanted) == [(1,)]
    assert len(messages(db, "dead")) == 5


def test_97_where_one_target_is_refused_nothing_is_moved(db: Sql, worker: str) -> None:
    bury(db, "jobs", 1)
    bury(db, "other", 2)
    db("select pgmq_admin.grant_queue('dead', %s, '{read,delete}'), pgmq_admin.grant_queue('jobs', %s, '{send}'),"
       " pgmq_admin.grant_queue('other', %s, '{read}')", worker, worker, worker)  # fmt: skip
    with pytest.raises(errors.InsufficientPrivilege, match="q_other"):
        as_role(db, worker, "select * from pgmq_api.redrive('dead')")
    assert (messages(db, "jobs"), messages(db, "dead")) == ([], [1, 2])
    assert as_role(db, worker, "select moved from pgmq_api.redrive('dead', 'jobs')") == [(2,)]
    db(f"revoke delete on pgmq.q_dead from {worker}")
    bury(db, "jobs", 3)
    with pytest.raises(errors.InsufficientPrivilege, match="q_dead"):
        as_role(db, worker, "select * from pgmq_api.redrive('dead', 'jobs')")


def test_letters_that_their_target_refuses_stay_and_block_no_others(db: Sql, worker: str) -> None:
    bury(db, "jobs", "large" * 100, 1, "no", 2)
    bury(db, "other", 3)
    db('select pgmq_admin.set_queue_settings(\'jobs\', \'{"dead_letter_queue": "dead", "max_message_bytes": 200}\')')
    db("select pgmq_admin.grant_queue('dead', %s, '{read,delete}')", worker)
    for queue in ("jobs", "other"):
        db("select pgmq_admin.grant_queue(%s, %s, '{send}')", queue, worker)
    db("alter table pgmq.q_jobs enable row level security")
    db("create policy part on pgmq.q_jobs for insert with check (message <> '\"no\"')")
    redrive = (
        "select moved, skipped, round(extract(epoch from last_visible_at - now()) / 100),"
        " jsonb_path_query_array(refused, '$[*].msg_id'), refused #>> '{0,code}', refused #>> '{1,message}'"
        " from pgmq_api.redrive('dead', per_second => 0.01)"
    )
    message = 'new row violates row-level security policy for table "q_jobs"'
    assert as_role(db, worker, redrive) == [(3, 2, 2, [1, 3], "PT413", message)]
    assert (messages(db, "jobs"), messages(db, "other"), messages(db, "dead")) == ([1, 2], [3], ["large" * 100, "no"])
    times = "select round(extract(epoch from vt - now()) / 100) from pgmq.q_jobs union all select 2 from pgmq.q_other"
    assert sorted(db(times)) == [(0,), (1,), (2,)]
    assert as_role(db, worker, redrive) == [(0, 2, None, [1, 3], "PT413", message)]
    db("select pgmq_admin.set_queue_settings('jobs', '{\"max_message_bytes\": null}')")


def test_98_redrive_sees_only_the_callers_messages(db: Sql, worker: str) -> None:
    bury(db, "jobs", {"mine": True}, {"mine": False})
    db("select pgmq_admin.grant_queue('dead', %s, '{read,delete}'), pgmq_admin.grant_queue('jobs', %s, '{send}')",
       worker, worker)  # fmt: skip
    db("alter table pgmq.q_dead enable row level security")
    db("create policy mine on pgmq.q_dead using ((message -> 'mine')::boolean)")
    assert as_role(db, worker, "select moved, skipped from pgmq_api.redrive('dead')") == [(1, 0)]
    assert messages(db, "jobs") == [{"mine": True}]
    assert messages(db, "dead") == [{"mine": False}]


def test_messages_in_flight_are_not_redriven(db: Sql) -> None:
    bury(db, "jobs", 1, 2)
    read(db, "dead")
    assert db("select moved from pgmq_api.redrive('dead')") == [(1,)]
    assert messages(db, "dead") == [1]


def test_a_dead_letter_that_is_read_meanwhile_is_not_redriven(db: Sql, installed: str) -> None:
    bury(db, "jobs", 1, 2)
    with psycopg.connect(installed) as consumer, ThreadPoolExecutor(1) as pool:
        ((receipt,),) = consumer.execute("select receipt from pgmq_api.read('dead', 600)").fetchall()
        moved = pool.submit(db, "select moved from pgmq_api.redrive('dead')")
        until(lambda: consumer.execute(
            "select from pg_stat_activity where %s = any(pg_blocking_pids(pid))", (consumer.info.backend_pid,)
        ).fetchall())  # fmt: skip
        consumer.commit()
        assert moved.result() == [(1,)]
    assert (messages(db, "jobs"), messages(db, "dead")) == ([2], [1])
    assert db("select pgmq_api.ack('dead', %s)", receipt) == [("acked",)]


def test_a_forged_dead_letter_reaches_no_other_queue(db: Sql) -> None:
    """A role that can send to the dead-letter queue names a queue to which it cannot send."""
    send(db, "dead", "forged", headers={"x-pgmq-dead": {"queue": "secret"}})
    for secret in ({}, {"dead_letter_queue": "jobs"}):
        db("select pgmq_admin.set_queue_settings('secret', %s)", json.dumps(secret))
        assert db("select moved, skipped from pgmq_api.redrive('dead')") == [(0, 1)]
    assert messages(db, "secret") == []


def test_skipped_letters_are_those_before_the_last_that_was_moved(db: Sql, worker: str) -> None:
    send(db, "dead", "a", "b", "c")
    bury(db, "jobs", 1)
    send(db, "dead", "d")
    # A queue on which the caller has no privileges.
    bury(db, "other", 2)
    bury(db, "jobs", 3)
    db("select pgmq_admin.grant_queue('dead', %s, '{read,delete}'), pgmq_admin.grant_queue('jobs', %s, '{send}')",
       worker, worker)  # fmt: skip
    redrive = "select moved, skipped from pgmq_api.redrive('dead', max_messages => %s)"
    assert as_role(db, worker, redrive, 1) == [(1, 1)]
    assert as_role(db, worker, redrive, 10) == [(1, 5)]
    assert messages(db, "dead") == ["a", "b", "c", "d", 2]


@pytest.mark.parametrize("name", ["q_jobs; drop table pgmq.q_jobs", 'x"', "%s", "meta", "a" * 200, "é", ""])
def test_an_origin_that_is_no_queue_is_skipped(db: Sql, name: str) -> None:
    bury(db, "jobs", 1)
    db("update pgmq.q_dead set headers = jsonb_set(headers, '{x-pgmq-dead,queue}', %s)", json.dumps(name))
    assert db("select moved, skipped from pgmq_api.redrive('dead')") == [(0, 1)]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("redrive('dead', 'DEAD')", errors.InvalidParameterValue),
        ("redrive('dead', 'nowhere')", errors.UndefinedTable),
        ("redrive('nowhere')", errors.UndefinedTable),
        ("redrive('dead', max_messages => 0)", errors.InvalidParameterValue),
        ("redrive('dead', max_messages => 10001)", errors.InvalidParameterValue),
        ("redrive('dead', max_messages => null)", errors.InvalidParameterValue),
        ("redrive('dead', per_second => 0)", errors.InvalidParameterValue),
        ("redrive('dead', per_second => 1e-300)", errors.InvalidParameterValue),
        ("redrive('dead', per_second => 'nan')", errors.InvalidParameterValue),
        ("redrive('dead', per_second => 'infinity')", errors.InvalidParameterValue),
        ("redrive('dead', filter => '{\"state\": \"visible\"}')", errors.InvalidParameterValue),
        ("redrive('dead', filter => '[]')", errors.InvalidParameterValue),
        ("replay('nowhere')", errors.UndefinedTable),
        ("replay('dead', 0)", errors.InvalidParameterValue),
        ("replay('dead', filter => '{\"unknown\": 1}')", errors.InvalidParameterValue),
        ("peek('dead', 0)", errors.InvalidParameterValue),
        ("peek('dead', 1001)", errors.InvalidParameterValue),
        ("peek('nowhere')", errors.UndefinedTable),
        ("metrics('nowhere')", errors.UndefinedTable),
        ("purge('dead', 0)", errors.InvalidParameterValue),
        ("purge('nowhere')", errors.UndefinedTable),
    ],
)
def test_wrong_arguments_are_refused(db: Sql, call: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        db(f"select * from pgmq_api.{call}")


def test_100_replay_keeps_the_archive(db: Sql, worker: str) -> None:
    send(db, "jobs", 1, 2, 3, headers={"h": 1, "x-pgmq-expires": "2020-01-01T00:00:00Z"})
    db("select pgmq_api.archive_batch('jobs', '{1,2,3}')")
    assert db("select sent, last_visible_at - now() > '0.9 s' from pgmq_api.replay('jobs', 2, 1)") == [(2, True)]
    assert db("select message, headers from pgmq.q_jobs order by msg_id") == [(1, {"h": 1}), (2, {"h": 1})]
    assert db("select sent from pgmq_api.replay('jobs', filter => '{\"msg_ids\": [3]}')") == [(1,)]
    assert messages(db, "jobs") == [1, 2, 3]
    assert db("select count(*) from pgmq.a_jobs") == [(3,)]
    db("select pgmq_admin.grant_queue('jobs', %s, '{send}')", worker)
    with pytest.raises(errors.InsufficientPrivilege, match="a_jobs"):
        as_role(db, worker, "select * from pgmq_api.replay('jobs')")
    db(f"grant select on pgmq.a_jobs to {worker}")
    assert as_role(db, worker, "select sent from pgmq_api.replay('jobs')") == [(3,)]


def test_steps_of_a_redrive_keep_its_rate(db: Sql) -> None:
    bury(db, "jobs", *range(4))
    redrive = "select moved, last_visible_at::text from pgmq_admin.redrive('dead', null, 2, 0.1, start_at => %s)"
    for start, end in (("2100-01-01 00:00:20Z", "2100-01-01 00:00:30"), ("2000-01-01Z", "20")):
        ((moved, last),) = as_role(db, "service_role", redrive, start)
        assert (moved, last.startswith(end)) == (2, True)
    times = "select (vt - min(vt) over ()) < '11 s' from pgmq.q_jobs order by vt"
    assert db(times) == [(True,), (True,), (False,), (False,)]
    for call in ("redrive('dead', start_at => 'infinity')", "replay('jobs', start_at => '-infinity')"):
        with pytest.raises(errors.InvalidParameterValue, match="which is no time"):
            db(f"select pgmq_admin.{call}")
    with pytest.raises(errors.UndefinedTable, match='queue "nowhere" does not exist'):
        db("select pgmq_admin.redrive('dead', 'nowhere')")


def test_dead_letters_are_counted_by_origin(db: Sql) -> None:
    bury(db, "jobs", 1, 2)
    send(db, "dead", "no letter", headers={"x-pgmq-dead": [1]})
    send(db, "dead", "of a dropped queue", headers={"x-pgmq-dead": {"queue": "Dropped"}})
    letters = "select * from pgmq_admin.dead_letters(%s) where dead_letter_queue = 'dead'"
    found = [("jobs", "dead", 2, True), ("other", "dead", 0, True), ("dropped", "dead", 1, True)]
    assert as_role(db, "service_role", letters, "dead") == found
    # Any sender can write the names of queues that do not exist.
    db(
        "select pgmq.send('dead', '1', jsonb_build_object('x-pgmq-dead', jsonb_build_object('queue', o)))"
        " from generate_series(1, 100) as i, lateral (values (i::text), (repeat('x', 20000) || i)) as v (o)"
    )
    shown = as_role(db, "service_role", letters, "dead")
    assert (shown[:2], len(shown), {len(row[0]) > 61 for row in shown}) == (found[:2], 100, {False})
    db("delete from pgmq.q_dead where message = '1' and headers -> 'x-pgmq-dead' ->> 'reason' is null")
    assert as_role(db, "service_role", letters, "jobs") == found[:1]
    count = "select pgmq_admin.count_messages('dead', %s)"
    for dead, number in (
        ({}, 3),
        ({"queue": "jobs"}, 2),
        ({"reason": "rejected", "note": "bad"}, 2),
        ({"read_ct": 9}, 0),
    ):
        assert db(count, json.dumps({"dead": dead})) == [(number,)]
    db("select pgmq.send_batch('dead', array_agg(to_jsonb(i))) from generate_series(1, 10000) as i")
    assert as_role(db, "service_role", letters, "other") == [("other", "dead", 0, False)]


def test_peek_reads_nothing(db: Sql, worker: str) -> None:
    send(db, "jobs", 1, 2, 3, 4)
    read(db, "jobs")
    db("update pgmq.q_jobs set vt = now() + interval '1 hour' where msg_id = 2")
    before = db("select * from pgmq.q_jobs order by msg_id")
    db(f"grant select on pgmq.q_jobs to {worker}; grant usage on schema pgmq, pgmq_api, pgmq_settings to {worker}")
    db("select pgmq_admin.grant_queue('other', %s, '{read}')", worker)
    peek = "select msg_id, state, read_ct from pgmq_api.peek('jobs', %s, %s)"
    assert as_role(db, worker, peek, 2, 0) == [(1, "in_flight", 1), (2, "delayed", 0)]
    assert as_role(db, worker, peek, 1000, 2) == [(3, "visible", 0), (4, "visible", 0)]
    assert db("select * from pgmq.q_jobs order by msg_id") == before


def test_metrics_count_what_the_caller_sees(db: Sql, worker: str) -> None:
    metrics = "select visible, in_flight, waiting, more, round(oldest_seconds / 100) from pgmq_api.metrics('jobs')"
    assert db(metrics) == [(0, 0, 0, False, None)]
    send(db, "jobs", *range(6))
    read(db, "jobs", 2)
    db("update pgmq.q_jobs set vt = 'infinity' where msg_id = 3")
    db("update pgmq.q_jobs set enqueued_at = now() - interval '100 s' where msg_id = 4")
    assert db(metrics) == [(3, 2, 1, False, 1)]
    db("select pgmq_admin.grant_queue('jobs', %s, '{read}')", worker)
    db("alter table pgmq.q_jobs enable row level security")
    assert as_role(db, worker, metrics) == [(0, 0, 0, False, None)]
    db("create policy part on pgmq.q_jobs using (msg_id in (1, 5))")
    assert as_role(db, worker, metrics) == [(1, 1, 0, False, 0)]
    db("alter table pgmq.q_jobs disable row level security")
    db("insert into pgmq.q_jobs (vt, message) select now(), '1' from generate_series(1, 1001)")
    assert db(metrics)[0][:4] == (1000, 2, 1, True)
    db("update pgmq.q_jobs set vt = now() + interval '1 hour'")
    assert db(metrics)[0][:4] == (0, 2, 1000, True)


def test_queues_are_those_of_the_caller(db: Sql, worker: str) -> None:
    listed = "select queue_name, operations from pgmq_api.queues()"
    assert [name for name, _ in as_role(db, "service_role", listed)] == sorted(QUEUES)
    for operations in (["send"], ["read"], ["pop"], ["archive"], ["delete"], ["send", "read", "archive"]):
        db("select pgmq_admin.grant_queue('jobs', %s, %s)", worker, operations)
        held = db("select pgmq_gateway.table_operations('jobs', %s)", worker)[0][0]
        assert as_role(db, worker, listed) == [("jobs", held)]
        db(f"revoke all on pgmq.q_jobs, pgmq.a_jobs from {worker}")
    db(f"grant select (msg_id) on pgmq.q_other to {worker}")
    assert as_role(db, worker, listed) == [("other", [])]
    assert as_role(db, "anon", listed) == []


def test_purge_deletes_what_the_caller_can_delete(db: Sql, worker: str) -> None:
    send(db, "jobs", *range(10))
    read(db, "jobs", 2)
    assert db("select pgmq_api.purge('jobs', 3)") == [(3,)]
    assert messages(db, "jobs") == [*range(3, 10)]
    db("select pgmq_admin.grant_queue('jobs', %s, '{delete}')", worker)
    db("alter table pgmq.q_jobs enable row level security")
    db("create policy part on pgmq.q_jobs using (msg_id > 8)")
    assert as_role(db, worker, "select pgmq_api.purge('jobs')") == [(2,)]
    assert messages(db, "jobs") == [*range(3, 8)]
    with pytest.raises(errors.InsufficientPrivilege):
        as_role(db, "anon", "select pgmq_api.purge('jobs')")
