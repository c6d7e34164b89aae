"""Samples of queues: one per interval for all gateways, thinned out, deleted; and the history made of them."""

from collections.abc import Sequence

import pytest
from psycopg import errors

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, runner
from tests.sql.conftest import Connect, as_role

TAKE = "select pgmq_gateway.take_sample(%s, %s)"
RATES = "sent_rate, read_rate, archived_rate, deleted_rate"


@pytest.fixture
def jobs(db: Sql) -> Sql:
    """A database with a queue."""
    db("select pgmq_admin.create_queue('jobs')")
    return db


def about(rate: float) -> object:
    """A rate, within the precision of clocks."""
    return pytest.approx(rate, rel=0.01)


def sample(db: Sql, ago: str, counters: Sequence[int] = (0, 0, 0, 0), *, lasting: bool = True) -> None:
    """A sample of the queue at an earlier time: sent, updated, deleted, archived."""
    db(
        "insert into pgmq_gateway.samples (queue_name, at, spacing, lasting, messages, sent, updated, deleted,"
        " archive_inserted) values ('jobs', now() - %s::interval, 30, %s, 7, %s, %s, %s, %s)",
        ago, lasting, *counters,
    )  # fmt: skip


def test_only_the_login_role_takes_samples(directory: DataDirectory, connect: Connect, jobs: Sql) -> None:
    for role in ("anon", "authenticated", "service_role"):
        with pytest.raises(errors.InsufficientPrivilege):
            as_role(jobs, role, TAKE, 1, 7)
    ((name,),) = jobs("select current_database()")
    gateway = runner(connect(socket_uri(directory, "authenticator", name)))
    assert gateway(TAKE, 60, 7) == [(60,)]
    with pytest.raises(errors.InsufficientPrivilege):
        gateway("select * from pgmq_gateway.samples")
    assert jobs("select queue_name, messages, sent, lasting from pgmq_gateway.samples") == [("jobs", 0, 0, True)]


def test_one_sample_is_taken_however_many_ask(directory: DataDirectory, connect: Connect, jobs: Sql) -> None:
    ((name,),) = jobs("select current_database()")
    other = runner(connect(socket_uri(directory, "authenticator", name)))
    other("begin")
    assert other(TAKE, 60, 7) == [(60,)]
    assert jobs(TAKE, 60, 7) == [(60,)]
    other("commit")
    ((due,),) = jobs(TAKE, 60, 7)
    assert 0 < due <= 60
    assert jobs("select count(*) from pgmq_gateway.samples") == [(1,)]
    assert jobs(TAKE, 0, 7) == [(1,)]
    assert jobs("select count(*) from pgmq_gateway.samples") == [(1,)]


def test_samples_are_thinned_after_a_day_and_forgotten_when_their_time_is_over(jobs: Sql) -> None:
    sample(jobs, "23 hours", lasting=False)
    sample(jobs, "25 hours", lasting=False)
    sample(jobs, "47 hours")
    sample(jobs, "49 hours")
    jobs(TAKE, 1, 2)
    assert jobs("select extract(epoch from now() - at)::int / 3600 from pgmq_gateway.samples order by at") == [
        (47,), (23,), (0,)
    ]  # fmt: skip


def test_one_sample_in_five_minutes_lasts(jobs: Sql) -> None:
    sample(jobs, "5 minutes")
    jobs(TAKE, 0.001, 7)
    jobs(TAKE, 0.001, 7)
    ((first, second),) = jobs(
        "select array_agg(lasting order by at), count(distinct date_bin('5 minutes', at, 'epoch')) from"
        " pgmq_gateway.samples where at > now() - interval '1 minute'"
    )
    assert first == [True, False] or second == 2


def test_what_was_dropped_has_no_history(jobs: Sql) -> None:
    jobs("select pgmq_admin.create_queue('other'), pgmq_gateway.take_sample(0.001, 7)")
    jobs("select pgmq_admin.drop_queue('other'), pgmq.drop_queue('jobs'), pgmq_gateway.take_sample(0.001, 7)")
    assert jobs("select count(*) from pgmq_gateway.samples") == [(0,)]
    with pytest.raises(errors.UndefinedTable):
        jobs("select * from pgmq_admin.history('jobs')")


def test_rates_come_from_what_only_grows(jobs: Sql) -> None:
    sample(jobs, "90 seconds", (100, 50, 60, 20))
    sample(jobs, "60 seconds", (130, 80, 75, 26))
    sample(jobs, "30 seconds", (130, 80, 75, 26))
    rows = jobs(f"select messages, {RATES} from pgmq_admin.history('jobs', now() - interval '105 seconds', 4)")
    assert rows == [
        (7, None, None, None, None),
        (7, about(1), about(1), about(0.2), about(0.3)),
        (7, 0, 0, 0, 0),
        (7, 0, 0, 0, 0),
    ]


def test_narrow_buckets_tell_the_same_rates_and_wide_ones_the_mean(jobs: Sql) -> None:
    for ago in range(10, -1, -1):
        sample(jobs, f"{30 * ago} seconds", (600 - 60 * ago, 0, 0, 0))
    for buckets in (1, 4, 60):
        rows = jobs("select sent_rate from pgmq_admin.history('jobs', now() - interval '5 minutes', %s)", buckets)
        rates = [rate for (rate,) in rows if rate is not None]
        assert rates == pytest.approx([2] * len(rates), abs=0.1)
        assert len(rates) > 0.8 * buckets


def test_a_counter_that_began_anew_gives_no_negative_rate(jobs: Sql) -> None:
    sample(jobs, "60 seconds", (1000, 1000, 1000, 1000))
    sample(jobs, "30 seconds", (30, 60, 90, 30))
    rows = jobs(f"select {RATES} from pgmq_admin.history('jobs', now() - interval '40 seconds', 1)")
    assert rows == [(about(1), about(2), about(1), about(2))]


def test_a_gap_stays_one(jobs: Sql) -> None:
    sample(jobs, "14 minutes 10 seconds", (1, 0, 0, 0))
    sample(jobs, "3 minutes 10 seconds", (100, 0, 0, 0))
    sample(jobs, "2 minutes 40 seconds", (160, 0, 0, 0))
    rows = jobs("select messages, sent_rate from pgmq_admin.history('jobs', now() - interval '15 minutes', 15)")
    assert [messages for messages, _ in rows] == [7, 7, *[None] * 9, 7, 7, None, None]
    assert [rate for _, rate in rows] == [*[None] * 12, about(2), None, None]


def test_after_a_day_five_minutes_are_no_gap(jobs: Sql) -> None:
    for minutes in range(0, 60, 5):
        sample(jobs, f"{25 * 60 + minutes} minutes", (1200 - 20 * minutes, 0, 0, 0))
    ((complete, rate),) = jobs(
        "select count(messages), avg(sent_rate) from pgmq_admin.history('jobs', now() - interval '26 hours', 1560)"
        " where at between now() - interval '25 hours 50 minutes' and now() - interval '25 hours'"
    )
    assert (complete >= 50, rate) == (True, pytest.approx(20 / 60, abs=0.02))


def test_all_queues_come_without_a_name(jobs: Sql) -> None:
    jobs("select pgmq_admin.create_queue('other'), pgmq_gateway.take_sample(1, 7)")
    assert jobs("select queue_name, count(*), count(messages) from pgmq_admin.history(buckets => 3) group by 1") == [
        ("jobs", 3, 1), ("other", 3, 1)
    ]  # fmt: skip


def test_d13_samples_and_histories_of_many_queues_are_bounded(db: Sql) -> None:
    db(
        "insert into pgmq.meta (queue_name, is_partitioned, is_unlogged)"
        " select 'q' || n, false, false from generate_series(1000, 2499) as n"
    )
    assert db(TAKE, 30, 7) == [(90,)]
    bounds = "count(distinct queue_name), min(queue_name), max(queue_name), count(*)"
    assert db(f"select {bounds} from pgmq_admin.history(buckets => 2)") == [(100, "q1000", "q1099", 200)]
    assert db("select count(*) from pgmq_admin.history('q2499', buckets => 2)") == [(2,)]


@pytest.mark.parametrize(
    "arguments", ["buckets => 0", "buckets => 2001", "buckets => null", "since => now() + '1 hour'", "since => null",
                  "since => 'infinity'", "since => '-infinity'"]
)  # fmt: skip
def test_what_makes_no_history_is_refused(jobs: Sql, arguments: str) -> None:
    with pytest.raises(errors.InvalidParameterValue):
        jobs(f"select * from pgmq_admin.history({arguments})")
