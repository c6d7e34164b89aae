"""Leases of pgmq_api: receipts fence late consumers off, whatever settles the message."""

import random
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
import pytest
from psycopg import errors

from tests.databases import Sql, runner
from tests.sql.conftest import as_role
from tests.sql.leases import empty, expire, outcomes, prepare, read, send, settle

QUEUES = ("jobs", "other", "dead")
SETTLING = ("ack", "retry", "reject", "extend")


@pytest.fixture(scope="module")
def opened(installed: str) -> Iterator[Callable[[], Sql]]:
    """opened() runs SQL as the owner on a new connection."""
    with ExitStack() as stack:

        def connection() -> Sql:
            made = psycopg.connect(installed, autocommit=True)
            stack.callback(made.close)
            return runner(made)

        yield connection


@pytest.fixture(scope="module")
def queues(owner: Sql) -> Sql:
    prepare(owner, *QUEUES)
    return owner


@pytest.fixture
def db(queues: Sql, worker: str) -> Sql:
    """Empty queues `jobs`, `other` and `dead`; no settings, no policies, no grants to the worker."""
    empty(queues, *QUEUES, role=worker)
    queues("delete from pgmq_settings.queues")
    return queues


def call(sql: Sql, function: str, receipt: str, queue: str = "jobs") -> str:
    """The outcome of ack, retry, reject or extend."""
    return str(sql(f"select pgmq_api.{function}(%s, %s)", queue, receipt)[0][0])


@pytest.mark.parametrize("function", SETTLING)
def test_64_late_settling_is_stale_and_changes_nothing(db: Sql, function: str) -> None:
    send(db, "jobs", 1)
    (late,) = read(db, "jobs")
    expire(db, "jobs")
    (current,) = read(db, "jobs")
    before = db("select * from pgmq.q_jobs")
    assert call(db, function, late) == "stale"
    lists = {"ack": "acks", "retry": "retries", "reject": "rejects", "extend": "extensions"}
    assert settle(db, "jobs", **{lists[function]: [late]}) == [(late, "stale")]
    assert db("select * from pgmq.q_jobs") == before
    assert call(db, "ack", current) == "acked"


def test_64_a_late_archive_is_stale(db: Sql) -> None:
    send(db, "jobs", 1)
    (late,) = read(db, "jobs", lease=0)
    read(db, "jobs")
    assert settle(db, "jobs", archives=[late]) == [(late, "stale")]
    assert db("select count(*) from pgmq.q_jobs") == [(1,)]


@pytest.mark.parametrize("function", SETTLING)
def test_65_settling_after_the_lease_without_another_reader_succeeds(db: Sql, function: str) -> None:
    send(db, "jobs", 1)
    (receipt,) = read(db, "jobs", lease=0)
    word = {"ack": "acked", "retry": "retried", "reject": "rejected", "extend": "extended"}[function]
    assert call(db, function, receipt) == word


@pytest.mark.parametrize("first", ["ack", "reject"])
def test_66_settling_twice_is_gone(db: Sql, first: str) -> None:
    send(db, "jobs", 1)
    (receipt,) = read(db, "jobs")
    call(db, first, receipt)
    assert [call(db, function, receipt) for function in SETTLING] == ["gone"] * 4
    assert outcomes(settle(db, "jobs", acks=[receipt])) == ["gone"]
    assert outcomes(settle(db, "jobs", archives=[receipt])) == ["gone"]


def test_67_a_receipt_of_another_queue_is_gone(db: Sql) -> None:
    send(db, "jobs", 1)
    send(db, "other", 1)
    read(db, "other")
    (receipt,) = read(db, "jobs")
    assert call(db, "ack", receipt, "other") == "gone"
    assert db("select count(*) from pgmq.q_other") == [(1,)]


def test_68_a_receipt_is_gone_after_an_unlogged_queue_was_emptied_by_a_crash(db: Sql) -> None:
    db("select pgmq_admin.create_queue('fast', 'unlogged', rls => false)")
    send(db, "fast", 1)
    (receipt,) = read(db, "fast")
    # As Postgres does at a start after a crash.
    db("truncate pgmq.q_fast restart identity")
    send(db, "fast", 2)
    (current,) = read(db, "fast")
    assert receipt.split(".")[:2] == current.split(".")[:2]
    assert call(db, "ack", receipt, "fast") == "gone"
    assert outcomes(settle(db, "fast", acks=[receipt], retries=[current])) == ["gone", "retried"]
    db("select pgmq_admin.drop_queue('fast')")


def test_69_a_receipt_is_gone_after_drop_and_create(db: Sql) -> None:
    db("select pgmq.create('again')")
    send(db, "again", 1)
    (receipt,) = read(db, "again")
    db("select pgmq.drop_queue('again'), pgmq.create('again')")
    send(db, "again", 1)
    (current,) = read(db, "again")
    assert receipt.split(".")[:2] == current.split(".")[:2]
    assert call(db, "ack", receipt, "again") == "gone"
    assert call(db, "ack", current, "again") == "acked"
    db("select pgmq.drop_queue('again')")


MALFORMED = [
    "", ".", "..", "1", "1.1", "1.1.", "1.1.1.1", "a.1.1", "1.a.1", "1.1.a", " 1.1.1", "1.1.1 ", "1.1.1\n", "+1.1.1",
    "-1.1.1", "0.1.1", "1.0.1", "01.1.1", "1.01.1", "1.1.01", "1.1.-0", "1e3.1.1", "0x1.1.1", "1.1.1.", "\u0661.1.1",
    "9223372036854775808.1.1", "99999999999999999999.1.1", "1.2147483648.1", "1.99999999999.1",
    "1.1.9999999999999999999", "1.1.-9999999999999999999", "1" * 10000, "'; drop table pgmq.q_jobs; --", None,
]  # fmt: skip


@pytest.mark.parametrize("receipt", MALFORMED, ids=str)
def test_70_malformed_receipts_are_refused(db: Sql, receipt: str | None) -> None:
    for statement in (
        *(f"select pgmq_api.{function}('jobs', %s)" for function in SETTLING),
        "select pgmq_api.settle('jobs', acks => array[%s])",
        "select pgmq_api.settle('jobs', archives => array[%s])",
    ):
        with pytest.raises(errors.InvalidTextRepresentation, match="malformed"):
            db(statement, receipt)


def test_70_random_receipts_raise_nothing_else(db: Sql) -> None:
    send(db, "jobs", 1)
    (receipt,) = read(db, "jobs")
    chance = random.Random(1)  # noqa: S311
    for _ in range(200):
        characters = list(receipt)
        for _ in range(chance.randrange(1, 4)):
            characters[chance.randrange(len(characters))] = chance.choice("0123456789.-+ex \x7fé")
        other = "".join(characters)
        if other == receipt:
            continue
        valid = re.fullmatch(r"[1-9][0-9]*\.[1-9][0-9]*\.(0|-?[1-9][0-9]*)", other, re.ASCII)
        try:
            assert call(db, "extend", other) in ("gone", "stale")
        except (errors.InvalidTextRepresentation, errors.DatetimeFieldOverflow):
            assert valid is None or len(other.split(".")[2]) > 17
    assert call(db, "ack", receipt) == "acked"


@pytest.mark.parametrize("enqueued_at", ["infinity", "-infinity", "294276-12-31", "4713-01-01 BC"])
def test_70_an_odd_time_of_a_message_fails_no_read(db: Sql, enqueued_at: str) -> None:
    send(db, "jobs", 1)
    db("update pgmq.q_jobs set enqueued_at = %s", enqueued_at)
    assert read(db, "jobs") == ["1.1.0"]


def test_70_receipts_keep_microseconds_of_all_times(db: Sql) -> None:
    chance = random.Random(2)  # noqa: S311
    moments = [0, 1, 999_999, 2**53 - 1, *(chance.randrange(2**53) for _ in range(300))]
    receipts = [f"1.1.{moment}" for moment in moments]
    assert db(
        "select (extract(epoch from (pgmq_settings.delivery(r)).enqueued_at) * 1000000)::bigint"
        " from unnest(%s::text[]) with ordinality as g (r, place) order by place",
        receipts,
    ) == [(moment,) for moment in moments]


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "1969-01-01Z", "9999-01-01Z"])
def test_a_message_with_an_odd_time_fails_no_read(db: Sql, moment: str) -> None:
    send(db, "jobs", 1, 2)
    db("update pgmq.q_jobs set enqueued_at = %s where msg_id = 1", moment)
    receipts = read(db, "jobs", 2)
    assert len(receipts) == 2
    assert {call(db, "ack", receipt) for receipt in receipts} <= {"acked", "gone"}
    assert call(db, "ack", receipts[1]) == "gone"


@pytest.mark.parametrize("command", ["select", "delete", "update"])
def test_71_a_message_that_policies_hide_is_gone_not_stale(db: Sql, worker: str, command: str) -> None:
    send(db, "jobs", 1)
    (late,) = read(db, "jobs", lease=0)
    (current,) = read(db, "jobs")
    db("select pgmq_admin.grant_queue('jobs', %s, '{read,archive,delete}')", worker)
    db("alter table pgmq.q_jobs enable row level security")
    for each in ("select", "delete", "update"):
        db(f"create policy {each}_policy on pgmq.q_jobs for {each} using ({str(each != command).lower()})")
    functions = {"select": SETTLING, "delete": ("ack",), "update": ("retry", "reject", "extend")}[command]
    for function in functions:
        assert as_role(db, worker, f"select pgmq_api.{function}('jobs', %s)", current) == [("gone",)]
    if command == "select":
        assert as_role(db, worker, "select pgmq_api.ack('jobs', %s)", late) == [("gone",)]
        assert as_role(db, worker, "select outcome from pgmq_api.settle('jobs', array[%s])", late) == [("gone",)]
    if command != "update":
        assert as_role(db, worker, "select outcome from pgmq_api.settle('jobs', array[%s])", current) == [("gone",)]
        assert as_role(db, worker, "select outcome from pgmq_api.settle('jobs', archives => array[%s])", current) == [
            ("gone",)
        ]
    assert db("select count(*) from pgmq.q_jobs") == [(1,)]


def test_72_extend_keeps_the_receipt_and_never_shortens(db: Sql) -> None:
    db("select pgmq_admin.set_queue_settings('jobs', '{\"lease_seconds\": 5000}')")
    send(db, "jobs", 1)
    (receipt,) = read(db, "jobs", lease=100)
    left = "select extract(epoch from vt - clock_timestamp()) / 100 from pgmq.q_jobs"

    def extended(seconds: int | None) -> int:
        assert db("select pgmq_api.extend('jobs', %s, %s)", receipt, seconds) == [("extended",)]
        return round(float(db(left)[0][0]))

    assert [extended(seconds) for seconds in (1000, 10, None, 0)] == [10, 10, 50, 0]
    assert call(db, "ack", receipt) == "acked"


def test_73_settle_has_mixed_outcomes_in_order(db: Sql) -> None:
    send(db, "jobs", *range(7))
    one, two, three, four, five, six, seven = read(db, "jobs", 7)
    db("update pgmq.q_jobs set read_ct = 2 where msg_id = 7")
    lists = {
        "acks": [two, seven, one, "99.1.1"],
        "archives": [three],
        "retries": [{"receipt": four, "delay_seconds": 1000, "reason": "later"}],
        "rejects": [{"receipt": five, "reason": "no"}],
        "extensions": [six],
    }
    assert settle(db, "jobs", **lists) == [
        (two, "acked"), (seven, "stale"), (one, "acked"), ("99.1.1", "gone"), (three, "archived"), (four, "retried"),
        (five, "rejected"), (six, "extended"),
    ]  # fmt: skip
    assert db(
        "select msg_id, read_ct, round(extract(epoch from vt - clock_timestamp()) / 100),"
        " headers -> 'x-pgmq-retry' ->> 'reason' from pgmq.q_jobs order by msg_id"
    ) == [(4, 1, 10, "later"), (6, 1, 1, None), (7, 2, 1, None)]
    assert db("select msg_id, read_ct, headers -> 'x-pgmq-dead' ->> 'note' from pgmq.a_jobs order by 1") == [
        (3, 1, None), (5, 1, "no")
    ]  # fmt: skip
    assert settle(db, "jobs") == []


def test_74_strict_settling_undoes_all(db: Sql) -> None:
    send(db, "jobs", *range(3))
    one, two, three = read(db, "jobs", 3)
    db("update pgmq.q_jobs set read_ct = 2 where msg_id = 3")
    before = db("select * from pgmq.q_jobs order by msg_id")
    gone = [f"{n}.1.1" for n in range(1000, 1150)]
    with pytest.raises(psycopg.Error, match="151 of 153 messages could not be settled") as caught:
        settle(db, "jobs", acks=[one, *gone], rejects=[two], retries=[three], strict=True)
    assert caught.value.sqlstate == "PT409"
    assert (caught.value.diag.message_detail or "").count(",") == 99
    assert db("select * from pgmq.q_jobs order by msg_id") == before
    assert outcomes(settle(db, "jobs", acks=[one], rejects=[two], strict=True)) == ["acked", "rejected"]


@pytest.mark.parametrize(
    ("operations", "able", "unable"),
    [
        ("{delete}", ["acks"], ["archives", "retries", "rejects", "extensions"]),
        ("{archive}", ["acks", "archives"], ["retries", "rejects", "extensions"]),
        ("{read}", ["retries", "rejects", "extensions"], ["acks", "archives"]),
    ],
)
def test_75_settle_needs_only_the_privileges_of_its_lists(
    db: Sql, worker: str, operations: str, able: list[str], unable: list[str]
) -> None:
    db("select pgmq_admin.grant_queue('jobs', %s, %s)", worker, operations)
    send(db, "jobs", *range(5))
    receipts = read(db, "jobs", 5)
    db(f"set role {worker}")
    try:
        for name in unable:
            with pytest.raises(errors.InsufficientPrivilege):
                settle(db, "jobs", **{name: receipts[:1]})
        done = settle(db, "jobs", **{name: [receipt] for name, receipt in zip(able, receipts, strict=False)})
    finally:
        db("reset role")
    assert not {"stale", "gone"} & set(outcomes(done))


@pytest.mark.parametrize(
    "lists",
    [{"acks": ["1.1.1", "1.1.1"]}, {"acks": ["1.1.1"], "retries": ["1.1.1"]}, {"rejects": ["1.1.1", "1.1.1"]}],
)
def test_76_a_receipt_twice_is_refused(db: Sql, lists: dict[str, object]) -> None:
    with pytest.raises(errors.InvalidParameterValue, match=r'"1\.1\.1" is listed twice'):
        settle(db, "jobs", **lists)


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"retries": {}}, "must be an array, not object"),
        ({"retries": [1]}, "neither a receipt nor an object with one: 1"),
        ({"retries": [None]}, "neither a receipt"),
        ({"retries": [{"delay_seconds": 1}]}, "neither a receipt"),
        ({"retries": [{"receipt": "1.1.1", "sleep_seconds": 1}]}, '"sleep_seconds" of an entry to retry is unknown'),
        ({"rejects": [{"receipt": "1.1.1", "delay_seconds": 1}]}, '"delay_seconds" of an entry to reject is unknown'),
        ({"retries": [{"receipt": 1}]}, '"receipt" of an entry to retry cannot be 1'),
        ({"retries": [{"receipt": "1.1.1", "delay_seconds": "1"}]}, "cannot be"),
        ({"retries": [{"receipt": "1.1.1", "delay_seconds": 1.5}]}, "cannot be 1.5"),
        ({"retries": [{"receipt": "1.1.1", "delay_seconds": -1}]}, "delay_seconds must be between 0 and 31536000"),
        ({"extensions": [{"receipt": "1.1.1", "sleep_seconds": 604801}]}, "must be between 0 and 604800"),
        ({"rejects": [{"receipt": "1.1.1", "reason": "x" * 1001}]}, "a reason of 1001 characters is too long"),
        ({"acks": [f"{n}.1.1" for n in range(1, 10002)]}, "10001 receipts are too many"),
        ({"acks": [["1.1.1"], ["2.1.1"]], "rejects": ["3.1.1"]}, "a list of receipts contains a list"),
    ],
)
def test_wrong_arguments_of_settle_are_refused(db: Sql, lists: dict[str, object], message: str) -> None:
    with pytest.raises(errors.InvalidParameterValue, match=message):
        settle(db, "jobs", **lists)


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("pgmq_api.read('jobs', -1)", errors.InvalidParameterValue),
        ("pgmq_api.read('jobs', 604801)", errors.InvalidParameterValue),
        ("pgmq_api.read('jobs', 1, -1)", errors.InvalidParameterValue),
        ("pgmq_api.read('jobs', 1, null)", errors.NullValueNotAllowed),
        ("pgmq_api.pop('jobs', -1)", errors.InvalidParameterValue),
        ("pgmq_api.read('nowhere')", errors.UndefinedTable),
        ("pgmq_api.pop('nowhere')", errors.UndefinedTable),
        ("pgmq_api.ack('nowhere', '1.1.1')", errors.UndefinedTable),
        ("pgmq_api.settle('nowhere', '{1.1.1}')", errors.UndefinedTable),
        ("pgmq_api.retry('jobs', '1.1.1', -1)", errors.InvalidParameterValue),
        ("pgmq_api.retry('jobs', '1.1.1', 1, repeat('x', 1001))", errors.InvalidParameterValue),
        ("pgmq_api.reject('jobs', '1.1.1', repeat('x', 1001))", errors.InvalidParameterValue),
        ("pgmq_api.extend('jobs', '1.1.1', 604801)", errors.InvalidParameterValue),
        ("pgmq_api.read_any('{}')", errors.InvalidParameterValue),
        ("pgmq_api.read_any(null)", errors.InvalidParameterValue),
        ("pgmq_api.read_any('{jobs,null}')", errors.InvalidParameterValue),
        ("pgmq_api.read_any('{jobs,JOBS}')", errors.InvalidParameterValue),
        ("pgmq_api.read_any('{a,b,c,d,e,f,g,h,i,j,k}')", errors.InvalidParameterValue),
        ("pgmq_api.delete_batch('jobs', null)", errors.NullValueNotAllowed),
        ("pgmq_api.archive_batch('jobs', array(select generate_series(1, 10001)))", errors.InvalidParameterValue),
    ],
)
def test_wrong_arguments_are_refused(db: Sql, statement: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        db(f"select * from {statement}")


def test_77_concurrent_settles_do_not_deadlock(db: Sql, opened: Callable[[], Sql]) -> None:
    send(db, "jobs", *range(400))
    receipts = read(db, "jobs", 400)
    db("update pgmq.q_jobs set message = message where msg_id % 3 = 0")
    connections = [opened() for _ in range(4)]

    def settled(number: int) -> list[tuple[str, str]]:
        chance = random.Random(number)  # noqa: S311
        done = []
        for start in range(0, 400, 100):
            some = receipts[start : start + 100]
            chance.shuffle(some)
            done += settle(connections[number], "jobs", acks=some)
        return done

    with ThreadPoolExecutor(4) as pool:
        results = [row for rows in pool.map(settled, range(4)) for row in rows]
    acked = [receipt for receipt, outcome in results if outcome == "acked"]
    assert sorted(acked) == sorted(receipts)
    assert len(results) == 1600
    assert db("select count(*) from pgmq.q_jobs") == [(0,)]


def test_consumers_at_once_share_messages_and_settle_each_once(db: Sql, opened: Callable[[], Sql]) -> None:
    send(db, "jobs", *range(120))
    connections = [opened() for _ in range(4)]

    def consume(number: int) -> list[str]:
        acked = []
        for round_ in range(15):
            for receipt in read(connections[number], "jobs", 4, lease=round_ % 2 * 60):
                if call(connections[number], "ack", receipt) == "acked":
                    acked.append(receipt.split(".")[0])
        return acked

    with ThreadPoolExecutor(4) as pool:
        acked = [id_ for ids in pool.map(consume, range(4)) for id_ in ids]
    assert len(acked) == len(set(acked))
    (left,) = db("select count(*) from pgmq.q_jobs")[0]
    assert left == 120 - len(acked)


def test_pop_deletes_and_has_no_receipt(db: Sql) -> None:
    send(db, "jobs", 1, 2, 3)
    assert db("select msg_id, receipt, queue_name from pgmq_api.pop('jobs', 2)") == [
        (1, None, "jobs"), (2, None, "jobs")
    ]  # fmt: skip
    assert db("select msg_id from pgmq.q_jobs") == [(3,)]


def test_batches_by_id_return_those_that_were_there(db: Sql) -> None:
    send(db, "jobs", *range(6))
    assert db("select pgmq_api.delete_batch('jobs', '{5,1,99,1}')") == [(1,), (5,)]
    assert db("select pgmq_api.archive_batch('jobs', '{6,2,1}')") == [(2,), (6,)]
    assert db("select pgmq_api.archive_batch('jobs', '{}')") == []
    assert db("select msg_id from pgmq.q_jobs order by 1") == [(3,), (4,)]
    assert db("select msg_id from pgmq.a_jobs order by 1") == [(2,), (6,)]
    assert db("select pgmq_api.delete('jobs', 3), pgmq_api.archive('jobs', 4), pgmq_api.delete('jobs', 3)") == [
        (True, True, False)
    ]


def test_read_any_fills_up_from_the_first_queue_that_has_messages(db: Sql, worker: str) -> None:
    send(db, "jobs", 1, 2)
    send(db, "other", 3, 4)
    wanted = "select queue_name, msg_id from pgmq_api.read_any('{other,jobs}', 0, %s)"
    assert db(wanted, 3) == [("other", 1), ("other", 2), ("jobs", 1)]
    assert db(wanted, 1) == [("other", 1)]
    db("select pgmq_admin.grant_queue('other', %s, '{read}')", worker)
    with pytest.raises(errors.InsufficientPrivilege):
        as_role(db, worker, "select * from pgmq_api.read_any('{other,jobs}', 0, 1)")


def test_conditional_reads_leave_other_messages(db: Sql) -> None:
    send(db, "jobs", {"a": 1}, {"a": 2}, {"a": 1, "b": 3})
    assert db("select msg_id from pgmq_api.read('jobs', 60, 10, '{\"a\": 1}')") == [(1,), (3,)]
    assert db("select msg_id, read_ct from pgmq_api.read('jobs', 60, 10)") == [(2, 1)]


def test_a_paused_queue_gives_nothing(db: Sql) -> None:
    send(db, "jobs", 1)
    send(db, "other", 2)
    db("select pgmq_admin.set_queue_settings('jobs', '{\"paused\": true}')")
    assert db("select * from pgmq_api.read('jobs'), pgmq_api.pop('jobs')") == []
    assert db("select queue_name from pgmq_api.read_any('{jobs,other}', 0, 2)") == [("other",)]
    db("select pgmq_admin.set_queue_settings('jobs', '{\"paused\": null}')")
    assert len(read(db, "jobs")) == 1


def test_the_lease_is_that_of_the_settings(db: Sql) -> None:
    left = "select round(extract(epoch from vt - clock_timestamp()) / 10) from pgmq_api.read('jobs')"
    send(db, "jobs", 1, 2)
    assert db(left) == [(3,)]
    db("select pgmq_admin.set_queue_settings('jobs', '{\"lease_seconds\": 100}')")
    assert db(left) == [(10,)]


@pytest.mark.parametrize("function", ["read('jobs')", "pop('jobs')"])
def test_a_read_only_transaction_cannot_read(db: Sql, function: str) -> None:
    db("begin read only")
    with pytest.raises(errors.ReadOnlySqlTransaction):
        db(f"select * from pgmq_api.{function}")
    db("rollback")


PLAN = """
create function pg_temp.plan(statement text) returns setof text language plpgsql as $$
begin
    return query execute 'explain (costs off) ' || statement
    using clock_timestamp(), 10, 30, clock_timestamp(), 999999, ''::text, null::timestamptz, '{}'::jsonb, 'jobs'::text;
end $$
"""


def test_reads_of_all_shapes_scan_the_index_on_vt_without_a_sort(db: Sql) -> None:
    db("insert into pgmq.q_jobs (vt, message) select now() + interval '1 hour', '1' from generate_series(1, 3000)")
    db("analyze pgmq.q_jobs")
    db(PLAN)
    for conditional in (False, True):
        for living in (False, True):
            plan = "\n".join(
                line
                for (line,) in db(
                    "select pg_temp.plan(pgmq_settings.read_statement('q_jobs', %s, %s))", conditional, living
                )
            )
            claim = plan[plan.index("LockRows") :]
            assert "Index Scan using q_jobs_vt_idx" in claim, plan
            assert "Sort" not in claim, plan
            assert "Seq Scan" not in plan, plan


SETTLE_PLAN = """
create function pg_temp.settle_plan(statement text) returns setof text
language plpgsql set enable_seqscan = off set enable_bitmapscan = off as $$
begin
    return query execute 'explain (costs off) ' || statement
    using '{9,3,7}'::bigint[], array[now()], '{"(3,1,2026-01-01)"}'::pgmq_settings.delivery[];
end $$
"""


@pytest.mark.parametrize("operation", ["ack", "archive"])
def test_settling_deletes_in_the_order_of_ids(db: Sql, operation: str) -> None:
    send(db, "jobs", *range(50))
    db("analyze pgmq.q_jobs")
    db(SETTLE_PLAN)
    statement = "select pg_temp.settle_plan(pgmq_settings.settle_list_statement('q_jobs', %s))"
    plan = [line.strip(" ->") for (line,) in db(statement, operation)]
    db("drop function pg_temp.settle_plan")
    assert plan[plan.index("Delete on q_jobs q") + 1] == "Index Scan using q_jobs_pkey on q_jobs q", plan
    settings = db("select proconfig from pg_proc where proname in ('settle_list', 'remove_batch')")
    assert len(settings) == 2
    for (names,) in settings:
        assert {"enable_seqscan=off", "enable_bitmapscan=off"} <= set(names)


CHANGES_PLAN = """
create function pg_temp.changes_plan(noting boolean) returns setof text
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
set enable_mergejoin = off as $$
begin
    return query execute 'explain (costs off) ' || pgmq_settings.changes_statement('q_jobs', noting)
    using array(select (n, 1, '2026-01-01')::pgmq_settings.delivery from generate_series(1, 10000) as n),
        array_fill('retry'::text, '{10000}'), array_fill(1::double precision, '{10000}'), null::text[], now(), 5;
end $$
"""


@pytest.mark.parametrize("messages", [1, 500])
def test_settling_updates_in_the_order_of_ids(db: Sql, messages: int) -> None:
    """Either it looks up the sorted receipts in the index of ids, or, in a small queue, scans this index."""
    send(db, "jobs", *range(messages))
    db("analyze pgmq.q_jobs")
    db(CHANGES_PLAN)
    for noting in (True, False):
        plan = [line.strip(" ->") for (line,) in db("select pg_temp.changes_plan(%s)", noting)]
        scans = [line.partition(" on ")[0] for line in plan if "Scan" in line]
        if messages == 1:
            assert scans[0] == "Index Scan using q_jobs_pkey", plan
        else:
            assert scans == ["Subquery Scan", "Function Scan", "Index Scan using q_jobs_pkey", "CTE Scan"], plan
            assert plan[plan.index("Nested Loop") + 2] == "Sort", plan
    db("drop function pg_temp.changes_plan")
    [(names,)] = db("select proconfig from pg_proc where proname = 'settle_changes'")
    assert set(names) == {
        "search_path=pg_catalog, pg_temp",
        *(f"enable_{node}=off" for node in ("seqscan", "bitmapscan", "hashjoin", "mergejoin")),
    }


def unsettled(sql: Sql, *receipts: str) -> list[str]:
    """The receipts whose leases have not ended; each ends within a minute."""
    rows = sql("select receipt, seconds from pgmq_settings.unsettled('Jobs', %s)", list(receipts))
    assert all(0 < seconds <= 60 for _, seconds in rows)
    return [receipt for receipt, _ in rows]


def test_leases_that_have_ended_are_no_longer_unsettled(db: Sql) -> None:
    send(db, "jobs", *range(6))
    acked, retried, archived, expired, leased, again = read(db, "jobs", 6)
    assert sorted(unsettled(db, acked, retried, archived, expired, leased, again)) == sorted(
        [acked, retried, archived, expired, leased, again]
    )
    settle(db, "jobs", acks=[acked], archives=[archived], retries=[retried])
    db("update pgmq.q_jobs set vt = now() - interval '1 second' where msg_id = any (%s)",
       [int(receipt.split(".")[0]) for receipt in (expired, again)])  # fmt: skip
    db(
        "update pgmq.q_jobs set vt = now() + interval '1 minute', read_ct = 2 where msg_id = %s",
        int(again.split(".")[0]),
    )
    assert unsettled(db, acked, retried, archived, expired, leased, again, "1.1.1") == [leased]


def test_unsettled_receipts_are_those_that_the_caller_sees(db: Sql, worker: str) -> None:
    send(db, "jobs", 1, 2)
    receipts = read(db, "jobs", 2)
    with pytest.raises(errors.InsufficientPrivilege):
        as_role(db, worker, "select pgmq_settings.unsettled('jobs', %s)", receipts)
    db(f"grant select on pgmq.q_jobs to {worker}; alter table pgmq.q_jobs enable row level security")
    db("select pgmq_admin.grant_queue('jobs', %s, '{read}')", worker)
    db(f"create policy p on pgmq.q_jobs to {worker} using (message = '2')")
    rows = as_role(db, worker, "select receipt from pgmq_settings.unsettled('jobs', %s)", receipts)
    assert rows == [(receipts[1],)]


def test_unsettled_receipts_are_refused_like_others(db: Sql) -> None:
    with pytest.raises(errors.InvalidTextRepresentation, match="is malformed"):
        unsettled(db, "1.2")
    with pytest.raises(errors.InvalidParameterValue, match="10001 receipts are too many"):
        db("select pgmq_settings.unsettled('jobs', array_fill('1.1.1'::text, '{10001}'))")
    with pytest.raises(errors.UndefinedTable):
        db("select pgmq_settings.unsettled('nowhere', '{1.1.1}')")
