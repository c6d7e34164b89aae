"""Dead messages: when they are, where they go, and that no read fails by them."""

import json
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import errors

from tests.databases import Sql, runner
from tests.sql.conftest import as_role
from tests.sql.leases import expire, outcomes, prepare, read, send, settle

QUEUES = ("jobs", "dead", "Graves")
DEAD = "select message, headers -> 'x-pgmq-dead' from pgmq.{} order by msg_id"
PAST = "2020-01-01T00:00:00Z"
FUTURE = "2120-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def queues(owner: Sql, worker: str) -> Sql:
    prepare(owner, "jobs", "dead")
    owner("select pgmq.create('Graves')")
    owner("select pgmq_admin.grant_queue('jobs', %s, '{read}')", worker)
    return owner


@pytest.fixture
def db(queues: Sql) -> Sql:
    """Empty queues `jobs`, `dead` and `Graves` without settings; the worker can read `jobs`."""
    for queue in QUEUES:
        queues(f"truncate pgmq.q_{queue}, pgmq.a_{queue} restart identity")
        queues("select pgmq_admin.set_queue_settings(%s, '{\"max_message_bytes\": null}')", queue)
    queues("delete from pgmq_settings.queues; delete from pgmq_settings.burials")
    return queues


def configure(sql: Sql, queue: str = "jobs", **settings: object) -> None:
    sql("select pgmq_admin.set_queue_settings(%s, %s)", queue, json.dumps(settings))


def use_up(sql: Sql, times: int, n: int = 1) -> None:
    """Receive the messages of `jobs` so often, and end their leases."""
    for _ in range(times):
        assert len(read(sql, "jobs", n)) == n
        expire(sql, "jobs")


def test_82_the_last_receive_is_delivered_and_the_next_is_buried(db: Sql) -> None:
    configure(db, max_receives=3, dead_letter_queue="dead")
    send(db, "jobs", {"a": 1}, headers={"h": 1})
    for count in (1, 2, 3):
        assert db("select read_ct, headers from pgmq_api.read('jobs', 60)") == [(count, {"h": 1})]
        expire(db, "jobs")
    assert read(db, "jobs") == []
    assert db("select count(*) from pgmq.q_jobs") == [(0,)]
    ((message, letter),) = db(DEAD.format("q_dead"))
    assert message == {"a": 1}
    assert {name: letter[name] for name in ("queue", "msg_id", "read_ct", "reason")} == {
        "queue": "jobs", "msg_id": 1, "read_ct": 3, "reason": "max_receives"
    }  # fmt: skip
    assert letter.keys() == {"queue", "msg_id", "read_ct", "reason", "enqueued_at", "at"}
    assert db("select msg_id, read_ct, headers - 'x-pgmq-dead', vt <= now() from pgmq.q_dead") == [
        (1, 0, {"h": 1}, True)
    ]
    assert len(read(db, "dead")) == 1


def test_without_a_dead_letter_queue_dead_messages_go_to_the_archive(db: Sql) -> None:
    configure(db, max_receives=1)
    send(db, "jobs", 1)
    use_up(db, 1)
    assert read(db, "jobs") == []
    assert db("select msg_id, read_ct, message, headers -> 'x-pgmq-dead' ->> 'reason' from pgmq.a_jobs") == [
        (1, 1, 1, "max_receives")
    ]


@pytest.mark.parametrize("lease", [0, 60])
@pytest.mark.parametrize("function", ["read", "pop"])
def test_83_a_read_fills_its_batch_past_dead_messages(db: Sql, function: str, lease: int) -> None:
    configure(db, max_receives=1, dead_letter_queue="dead")
    send(db, "jobs", *range(30))
    use_up(db, 1, 20)
    call = f"read('jobs', {lease}, 10)" if function == "read" else "pop('jobs', 10)"
    assert [row[0] for row in db(f"select msg_id from pgmq_api.{call}")] == [*range(21, 31)]
    assert 10 <= db("select count(*) from pgmq.q_dead")[0][0] <= 20
    assert db("select count(*) from pgmq.q_jobs where msg_id > 20") == [(10 if function == "read" else 0,)]


def test_83_a_read_buries_the_dead_that_it_would_find_next(db: Sql) -> None:
    configure(db, max_receives=1, dead_letter_queue="dead")
    send(db, "jobs", *range(30))
    use_up(db, 1, 30)
    assert read(db, "jobs") == []
    assert db("select count(*) from pgmq.q_dead") == [(30,)]
    assert db("select count(*) from pgmq.q_jobs") == [(0,)]


def test_84_a_reader_without_privileges_on_the_dead_letter_queue_buries(db: Sql, worker: str) -> None:
    configure(db, max_receives=1, dead_letter_queue="dead")
    send(db, "jobs", 1)
    use_up(db, 1)
    assert as_role(db, worker, "select * from pgmq_api.read('jobs')") == []
    assert db("select count(*) from pgmq.q_dead") == [(1,)]
    with pytest.raises(errors.InsufficientPrivilege):
        as_role(db, worker, "select * from pgmq_api.read('dead')")


def test_85_bury_called_by_any_role_moves_only_the_dead(db: Sql) -> None:
    configure(db, max_receives=2, dead_letter_queue="dead")
    send(db, "jobs", *range(6))
    read(db, "jobs", 6)
    db("update pgmq.q_jobs set read_ct = 2 where msg_id in (2, 3, 4)")
    db("update pgmq.q_jobs set vt = now() where msg_id in (2, 5)")
    db("update pgmq.q_jobs set read_ct = 3 where msg_id = 3")
    db("update pgmq.q_jobs set headers = jsonb_build_object('x-pgmq-expires', %s::text) where msg_id = 6", FUTURE)
    assert as_role(db, "anon", "select pgmq_settings.bury('q_jobs', '{1,2,3,4,5,6,7}')") == [(2,)]
    assert db("select message::int + 1 from pgmq.q_dead order by 1") == [(2,), (3,)]
    assert as_role(db, "anon", "select pgmq_settings.bury('q_jobs', '{1,2,3,4,5,6,7}')") == [(0,)]


def test_87_reject_needs_update_and_obeys_policies(db: Sql, worker: str) -> None:
    send(db, "jobs", 1)
    (receipt,) = read(db, "jobs")
    db("alter table pgmq.q_jobs enable row level security")
    db("create policy seen on pgmq.q_jobs for select using (true)")
    db("create policy untouched on pgmq.q_jobs for update using (true) with check (read_ct < 1000)")
    try:
        with pytest.raises(errors.InsufficientPrivilege, match="violates row-level security"):
            as_role(db, worker, "select pgmq_api.reject('jobs', %s)", receipt)
        db("drop policy untouched on pgmq.q_jobs")
        assert as_role(db, worker, "select pgmq_api.reject('jobs', %s)", receipt) == [("gone",)]
        db("create policy touched on pgmq.q_jobs for update using (true)")
        assert as_role(db, worker, "select pgmq_api.reject('jobs', %s)", receipt) == [("rejected",)]
    finally:
        db("alter table pgmq.q_jobs disable row level security")
        for (name,) in db("select polname from pg_policy where polrelid = 'pgmq.q_jobs'::regclass"):
            db(f"drop policy {name} on pgmq.q_jobs")
    with pytest.raises(errors.InsufficientPrivilege):
        as_role(db, "anon", "select pgmq_api.reject('jobs', %s)", receipt)


def delay(sql: Sql, read_ct: int) -> float:
    """The seconds until the retry of a message that was received so often."""
    sql("truncate pgmq.q_jobs")
    send(sql, "jobs", 1)
    sql("update pgmq.q_jobs set read_ct = %s", read_ct - 1)
    (receipt,) = read(sql, "jobs")
    assert sql("select pgmq_api.retry('jobs', %s)", receipt) == [("retried",)]
    return float(sql("select extract(epoch from vt - clock_timestamp()) from pgmq.q_jobs")[0][0])


def test_88_back_off_of_retries(db: Sql) -> None:
    assert delay(db, 1) <= 0
    configure(db, backoff="fixed", backoff_seconds=1000, backoff_jitter=0)
    assert [round(delay(db, n) / 500) for n in (1, 5)] == [2, 2]
    configure(db, backoff="exponential", backoff_max_seconds=100000)
    assert [round(delay(db, n) / 500) for n in (1, 2, 5)] == [2, 4, 32]
    assert [round(delay(db, n) / 500) for n in (8, 60, 100000)] == [200, 200, 200]
    configure(db, backoff_jitter=0.5)
    jittered = [delay(db, 100) for _ in range(20)]
    assert all(49000 < seconds <= 100000 for seconds in jittered)
    assert len({round(seconds) for seconds in jittered}) > 5
    send(db, "jobs", 1)
    receipts = read(db, "jobs")
    assert outcomes(settle(db, "jobs", retries=receipts)) == ["retried"]
    assert db("select vt - now() <= '1001 s' and vt - now() > '400 s' from pgmq.q_jobs where read_ct = 1") == [(True,)]


@pytest.mark.parametrize("batch", [False, True])
def test_89_a_retry_past_the_last_receive_buries(db: Sql, batch: bool) -> None:
    configure(db, max_receives=2, dead_letter_queue="dead")
    send(db, "jobs", 1)
    use_up(db, 1)
    (receipt,) = read(db, "jobs")
    if batch:
        assert settle(db, "jobs", retries=[{"receipt": receipt, "reason": "tired"}]) == [(receipt, "rejected")]
    else:
        assert db("select pgmq_api.retry('jobs', %s, 100, 'tired')", receipt) == [("rejected",)]
    assert db("select count(*) from pgmq.q_jobs") == [(0,)]
    assert db("select headers -> 'x-pgmq-dead' ->> 'reason', headers -> 'x-pgmq-dead' -> 'read_ct',"
              " headers -> 'x-pgmq-retry' ->> 'reason' from pgmq.q_dead") == [("max_receives", 2, "tired")]  # fmt: skip


def test_91_a_failing_dead_letter_queue_fails_no_read(db: Sql) -> None:
    configure(db, max_receives=1, dead_letter_queue="dead")
    configure(db, "dead", max_message_bytes=10)
    send(db, "jobs", "x" * 50, 1, 2)
    use_up(db, 1, 2)
    # The third message, and one of two dead ones in the dead-letter queue.
    assert [row[0] for row in db("select msg_id from pgmq_api.read('jobs', 60, 5)")] == [3]
    assert db("select message from pgmq.q_dead") == [(1,)]
    ((failed, id_, delayed),) = db(
        "select headers ->> 'x-pgmq-dead-failed', msg_id, vt > now() + interval '50 minutes'"
        " from pgmq.q_jobs where msg_id <> 3"
    )
    assert (failed[:6], id_, delayed) == ("PT413 ", 1, True)
    assert db("select %s::timestamptz > now() + interval '50 minutes'", failed[6:]) == [(True,)]
    # A message that is not dead is not postponed, whoever asks.
    before = db("select vt from pgmq.q_jobs where msg_id = 3")
    assert as_role(db, "anon", "select pgmq_settings.bury('q_jobs', '{3}')") == [(0,)]
    assert db("select vt from pgmq.q_jobs where msg_id = 3") == before
    configure(db, "dead", max_message_bytes=None)
    expire(db, "jobs")
    assert read(db, "jobs", 1) == []
    # The third message was received once, too.
    assert db("select count(*) from pgmq.q_dead") == [(3,)]


def test_a_type_of_the_caller_does_not_run_as_pgmq_definer(db: Sql) -> None:
    configure(db, max_receives=1, dead_letter_queue="dead")
    configure(db, "dead", max_message_bytes=10)
    send(db, "jobs", "x" * 50)
    use_up(db, 1)
    # What a function did to a sequence is not rolled back.
    db("create sequence public.witness; grant usage on sequence public.witness to public")
    db("begin; set local role anon")
    db("create function pg_temp.evil(pg_catalog.text) returns boolean language sql as"
       " 'select nextval(''public.witness'') > 0'")  # fmt: skip
    for name in ("text", "jsonb", "name"):
        db(f"create domain pg_temp.{name} as pg_catalog.text check (pg_temp.evil(value))")
    db("select pgmq_settings.bury('q_jobs', '{1}')")
    db("rollback")
    assert db("select is_called from public.witness") == [(False,)]
    db("drop sequence public.witness")


def test_91_a_read_ends_where_not_even_postponing_succeeds(db: Sql) -> None:
    configure(db, max_receives=1, dead_letter_queue="dead")
    send(db, "jobs", 1, 2)
    use_up(db, 1)
    db("revoke all on pgmq.q_jobs from pgmq_definer")
    try:
        assert [row[0] for row in db("select msg_id from pgmq_api.read('jobs', 0, 5)")] == [2]
        assert [row[0] for row in db("select msg_id from pgmq_api.read('jobs', 0, 5)")] == []
    finally:
        db("grant select, insert, update, delete on pgmq.q_jobs to pgmq_definer")
    assert db("select count(*) from pgmq.q_jobs") == [(2,)]


def test_91_transient_errors_are_raised(db: Sql, installed: str) -> None:
    configure(db, max_receives=1, dead_letter_queue="dead")
    send(db, "jobs", 1)
    use_up(db, 1)
    with psycopg.connect(installed) as other:
        other.execute("lock table pgmq.q_dead in exclusive mode")
        db("set lock_timeout = '50ms'")
        try:
            with pytest.raises(errors.LockNotAvailable):
                read(db, "jobs")
        finally:
            db("reset lock_timeout")
    assert db("select read_ct, headers from pgmq.q_jobs") == [(1, None)]
    assert read(db, "jobs") == []
    assert db("select count(*) from pgmq.q_dead") == [(1,)]


def test_92_without_its_dead_letter_queue_a_queue_buries_in_its_archive(db: Sql) -> None:
    db("select pgmq.create('temporary')")
    configure(db, max_receives=1, dead_letter_queue="temporary")
    db("select pgmq.drop_queue('temporary')")
    assert db("select pgmq_admin.queue_settings('jobs') -> 'dead_letter_queue'") == [(None,)]
    send(db, "jobs", 1)
    use_up(db, 1)
    assert read(db, "jobs") == []
    assert db("select count(*) from pgmq.a_jobs") == [(1,)]


@pytest.mark.parametrize(
    "header", ["", "x", "9", "soon", "2026-13-45T99:99:99Z", 1, None, [], {}, "9" * 100, "2120-01-01"]
)
def test_94_an_invalid_expiry_header_fails_no_read(db: Sql, header: object) -> None:
    send(db, "jobs", 1, headers={"x-pgmq-expires": header})
    send(db, "jobs", 2)
    assert len(db("select * from pgmq_api.read('jobs', 0, 10)")) >= 1
    assert 2 in {row[0] for row in db("select msg_id from pgmq_api.read('jobs', 0, 10)")}


@pytest.mark.parametrize("headers", [[], [{"x-pgmq-expires": PAST}], "x", 1, None])
def test_headers_that_are_no_object_are_kept(db: Sql, headers: object) -> None:
    configure(db, dead_letter_queue="dead")
    send(db, "jobs", 1)
    db("update pgmq.q_jobs set headers = %s::jsonb", json.dumps(headers))
    (receipt,) = read(db, "jobs")
    assert db("select pgmq_api.reject('jobs', %s, 'because')", receipt) == [("rejected",)]
    ((kept,),) = db("select headers from pgmq.q_dead")
    assert kept.pop("x-pgmq-dead")["note"] == "because"
    assert kept == ({} if headers is None else {"x-pgmq-headers": headers})


@pytest.mark.parametrize("function", ["read('jobs', 60, 10)", "pop('jobs', 10)"])
def test_95_expired_messages_are_dropped_or_buried(db: Sql, function: str) -> None:
    def sent() -> None:
        db("truncate pgmq.q_jobs")
        send(db, "jobs", 1, headers={"x-pgmq-expires": PAST})
        send(db, "jobs", 2, headers={"x-pgmq-expires": FUTURE})

    sent()
    assert db(f"select message from pgmq_api.{function}") == [(2,)]
    assert db("select * from pgmq.a_jobs") == []
    configure(db, on_expiry="dead_letter")
    sent()
    assert db(f"select message from pgmq_api.{function}") == [(2,)]
    ((message, letter),) = db(DEAD.format("a_jobs"))
    assert (message, letter["reason"], letter["expires"], letter["read_ct"]) == (1, "expired", PAST, 0)
    # C2: it does not expire again in its dead-letter queue.
    configure(db, dead_letter_queue="dead")
    sent()
    assert db(f"select message from pgmq_api.{function}") == [(2,)]
    assert db("select message, headers ? 'x-pgmq-expires' from pgmq_api.read('dead')") == [(1, False)]


def test_95_messages_that_are_too_old_expire(db: Sql) -> None:
    configure(db, message_keep_seconds=60, on_expiry="dead_letter", dead_letter_queue="dead")
    send(db, "jobs", 1, 2)
    db("update pgmq.q_jobs set enqueued_at = now() - interval '61 seconds' where msg_id = 1")
    assert db("select message from pgmq_api.read('jobs', 60, 2)") == [(2,)]
    assert db(DEAD.format("q_dead"))[0][1]["reason"] == "expired"


def test_99_settings_cannot_be_bypassed_by_spelling(db: Sql) -> None:
    db("select pgmq_admin.set_queue_settings('Graves', '{\"paused\": true, \"max_message_bytes\": 5}')")
    for name in ("Graves", "graves", "GRAVES"):
        with pytest.raises(psycopg.Error, match="too large for this queue") as caught:
            db("select pgmq_public.send(%s, '\"123456\"')", name)
        assert caught.value.sqlstate == "PT413"
        db("select pgmq_public.send(%s, '1')", name)
        assert db("select * from pgmq_api.read(%s)", name) == []
        assert db("select * from pgmq_api.pop(%s)", name) == []


def test_rejected_messages_stay_dead_however_often_burying_fails(db: Sql) -> None:
    """C1: the count of receives neither overflows nor becomes small again."""
    configure(db, max_receives=5, dead_letter_queue="dead")
    configure(db, "dead", max_message_bytes=1)
    send(db, "jobs", "long")
    (receipt,) = read(db, "jobs")
    assert db("select pgmq_api.reject('jobs', %s)", receipt) == [("rejected",)]
    for _ in range(3):
        expire(db, "jobs")
        assert read(db, "jobs") == []
    configure(db, "dead", max_message_bytes=None)
    expire(db, "jobs")
    assert read(db, "jobs") == []
    ((message, letter),) = db(DEAD.format("q_dead"))
    assert (message, letter["reason"]) == ("long", "rejected")


def test_a_message_is_rejected_once(db: Sql) -> None:
    """Each time adds to its receives, which would overflow in the end, for all readers."""
    configure(db, dead_letter_queue="dead")
    configure(db, "dead", max_message_bytes=1)
    send(db, "jobs", "long")
    (receipt,) = read(db, "jobs")
    assert settle(db, "jobs", rejects=[receipt]) == [(receipt, "rejected")]
    again = receipt.replace(".1.", ".1000001.")
    assert db("select pgmq_api.reject('jobs', %s)", again) == [("gone",)]
    assert settle(db, "jobs", rejects=[again]) == [(again, "gone")]
    assert db("select read_ct from pgmq.q_jobs") == [(1_000_001,)]


def test_rejects_at_once_leave_no_message_in_the_queue(db: Sql, installed: str) -> None:
    configure(db, dead_letter_queue="dead")
    send(db, "jobs", 1, 2)
    receipts = read(db, "jobs", 2)
    with psycopg.connect(installed) as other:
        assert runner(other)("select pgmq_api.reject('jobs', %s)", receipts[0]) == [("rejected",)]
        assert db("select pgmq_api.reject('jobs', %s)", receipts[1]) == [("rejected",)]
    assert db("select sum(rejected) from pgmq_settings.burials") == [(2,)]
    assert db("select count(*) from pgmq.q_jobs") == [(0,)]
    assert db("select message::int from pgmq.q_dead order by 1") == [(1,), (2,)]


def test_91_a_burial_tries_a_hundred_messages_one_by_one(db: Sql) -> None:
    """A caller has a time limit."""
    configure(db, max_receives=1, dead_letter_queue="dead")
    configure(db, "dead", max_message_bytes=1)
    send(db, "jobs", *range(10, 121))
    use_up(db, 1, 111)
    assert read(db, "jobs", 200) == []
    assert db("select count(*) from pgmq.q_jobs where headers ? 'x-pgmq-dead-failed'") == [(100,)]
    configure(db, "dead", max_message_bytes=None)
    expire(db, "jobs")
    assert read(db, "jobs", 200) == []
    assert db("select count(*), count(*) filter (where headers ? 'x-pgmq-dead-failed') from pgmq.q_dead") == [(111, 0)]


def test_readers_at_once_bury_each_dead_message_once(db: Sql, installed: str) -> None:
    configure(db, max_receives=1, dead_letter_queue="dead")
    send(db, "jobs", *range(60))
    use_up(db, 1, 60)
    db("update pgmq.q_jobs set read_ct = 0 where msg_id % 4 = 0")

    def consume(_: int) -> list[int]:
        with psycopg.connect(installed, autocommit=True) as connected:
            sql = runner(connected)
            return [row[0] for _ in range(12) for row in sql("select msg_id from pgmq_api.read('jobs', 600, 5)")]

    with ThreadPoolExecutor(4) as pool:
        seen = [id_ for ids in pool.map(consume, range(4)) for id_ in ids]
    assert sorted(seen) == [*range(4, 61, 4)]
    expire(db, "jobs")
    while read(db, "jobs", 50):
        pass
    read(db, "jobs", 50)
    buried = [row[0] + 1 for row in db("select message::int from pgmq.q_dead")]
    assert len(buried) == len(set(buried)) == 60


def test_a_dead_letter_queue_has_dead_letters_of_its_own(db: Sql) -> None:
    configure(db, max_receives=1, dead_letter_queue="dead")
    configure(db, "dead", max_receives=1, dead_letter_queue="Graves")
    send(db, "jobs", 1)
    use_up(db, 1)
    assert read(db, "jobs") == []
    assert len(read(db, "dead")) == 1
    expire(db, "dead")
    assert read(db, "dead") == []
    assert [letter["queue"] for _, letter in db(DEAD.format("q_graves"))] == ["dead"]
    assert db("select message from pgmq_public.read('graves', 0, 1)") == [(1,)]


def test_a_partition_is_no_queue_to_bury_in(db: Sql) -> None:
    db("create table pgmq.q_parted (like pgmq.q_jobs) partition by range (msg_id)")
    db("create table pgmq.q_parted_p1 partition of pgmq.q_parted for values from (1) to (10)")
    try:
        with pytest.raises(errors.UndefinedTable, match="is not that of a queue"):
            db("select pgmq_settings.bury('q_parted_p1', '{1}')")
    finally:
        db("drop table pgmq.q_parted")
