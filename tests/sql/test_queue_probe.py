"""pgmq_gateway.probe_queues: the state of queues for which requests wait."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg import errors
from psycopg.rows import namedtuple_row

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, runner
from tests.sql.conftest import Connect
from tests.sql.leases import prepare, send
from tests.waiting import until

PROBE = "select * from pgmq_gateway.probe_queues(%s)"


@pytest.fixture
def gateway(directory: DataDirectory, database: str, connect: Connect) -> psycopg.Connection[Any]:
    return connect(socket_uri(directory, "authenticator", database))


def probe(gateway: psycopg.Connection[Any], *queues: str) -> list[Any]:
    return gateway.cursor(row_factory=namedtuple_row).execute(PROBE, [list(queues)]).fetchall()


def test_it_counts_visible_messages_and_finds_the_next_one(db: Sql, gateway: psycopg.Connection[Any]) -> None:
    prepare(db, "empty", "full", "later", "parked")
    send(db, "full", *range(40))
    send(db, "later", 1, 2, 3)
    db("update pgmq.q_later set vt = clock_timestamp() + msg_id * interval '1 hour' where msg_id > 1")
    send(db, "parked", 1)
    db("update pgmq.q_parked set vt = 'infinity'")
    empty, full, later, parked = probe(gateway, "empty", "full", "later", "parked")
    assert (empty.has_table, empty.probed, empty.visible, empty.newest, empty.seconds_to_next) == (
        (True, True, 0, None, None)
    )  # fmt: skip
    assert (full.visible, full.seconds_to_next) == (33, None)
    assert db("select extract(epoch from max(vt))::float8 from pgmq.q_full") == [(full.newest,)]
    assert later.visible == 1
    assert 7200 >= later.seconds_to_next > 3600
    assert (parked.visible, parked.newest, parked.seconds_to_next) == (0, None, None)


def test_it_knows_missing_paused_and_grouped_queues(db: Sql, gateway: psycopg.Connection[Any]) -> None:
    prepare(db, "jobs", group_limit=1, paused=True)
    db("select pgmq.create('Spelt'), pgmq_admin.create_queue('own')")
    jobs, spelt, own, missing, long = probe(gateway, "jobs", "spelt", "own", "missing", "q" * 80)
    assert (jobs.has_table, jobs.grouped, jobs.paused, jobs.has_policies) == (True, True, True, False)
    assert (spelt.has_table, spelt.grouped, spelt.paused, spelt.has_policies) == (True, False, False, False)
    assert (own.probed, own.has_policies) == (True, True)
    for absent in (missing, long):
        assert (absent.has_table, absent.probed, absent.grouped, absent.paused) == (False, False, False, False)
    db("drop index pgmq.q_jobs_vt_idx; drop table pgmq.q_own cascade")
    jobs, own = probe(gateway, "jobs", "own")
    assert (jobs.has_table, jobs.probed, jobs.visible, own.has_table) == (True, False, None, False)


def test_it_knows_for_how_long_wake_is_silent(db: Sql, gateway: psycopg.Connection[Any]) -> None:
    prepare(db, "silent", wake_throttle_ms=50)
    prepare(db, "woken", wake=True)
    prepare(db, "seldom", wake=True, wake_throttle_ms=2500)
    states = probe(gateway, "silent", "woken", "seldom", "missing")
    assert [state.throttle for state in states] == [0, 0.1, 2.5, 0]


def test_a_locked_queue_does_not_delay_the_others(db: Sql, gateway: psycopg.Connection[Any]) -> None:
    prepare(db, "jobs", "locked")
    send(db, "jobs", 1)
    db("begin; lock table pgmq.q_locked")
    locked, jobs = probe(gateway, "locked", "jobs")
    db("commit")
    assert (locked.has_table, locked.probed, locked.visible) == (True, False, None)
    assert (jobs.probed, jobs.visible) == (True, 1)


def test_no_queue_is_read_from_end_to_end(db: Sql) -> None:
    prepare(db, "jobs")
    send(db, "jobs", *range(3))
    db("begin")
    db(PROBE, ["jobs"])
    assert db("select seq_tup_read, idx_scan > 0 from pg_stat_xact_user_tables where relname = 'q_jobs'") == [(0, True)]
    db("rollback")


def test_partitions_are_probed_together(db: Sql, gateway: psycopg.Connection[Any]) -> None:
    db("""
        insert into pgmq.meta (queue_name, is_partitioned, is_unlogged) values ('parted', true, false);
        create table pgmq.q_parted (msg_id bigint generated always as identity, read_ct int not null default 0,
            enqueued_at timestamptz not null default now(), last_read_at timestamptz, vt timestamptz not null,
            message jsonb, headers jsonb) partition by range (msg_id);
        create table pgmq.q_parted_1 partition of pgmq.q_parted for values from (1) to (3);
        create table pgmq.q_parted_2 partition of pgmq.q_parted for values from (3) to (9);
        create index on pgmq.q_parted (vt);
        grant select on pgmq.q_parted to pgmq_definer;
        insert into pgmq.q_parted (vt) select clock_timestamp() from generate_series(1, 5)
    """)
    (parted,) = probe(gateway, "parted")
    assert (parted.probed, parted.visible) == (True, 5)


def test_a_queue_at_whose_probe_the_time_is_up_does_not_delay_the_others(
    db: Sql, connect: Connect, directory: DataDirectory, database: str
) -> None:
    prepare(db, "slow", "jobs")
    send(db, "slow", 1)
    send(db, "jobs", 1)
    other = runner(connect(socket_uri(directory, database=database)))
    db("begin; alter role pgmq_definer nobypassrls")
    db("alter table pgmq.q_slow enable row level security")
    db("create policy d on pgmq.q_slow to pgmq_definer using (pg_sleep(600) is not null)")
    with ThreadPoolExecutor(1) as threads:
        probed = threads.submit(db, PROBE, ["slow", "jobs"])
        sleeping = "select pid from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"
        until(lambda: other(sleeping))
        # As the statement timeout does it.
        other("select pg_cancel_backend(%s)", other(sleeping)[0][0])
        assert [row[:3] for row in probed.result()] == [(True, False, None), (True, True, 1)]
    db("rollback")


@pytest.mark.parametrize("owned", ["table", "function"])
def test_no_code_of_a_role_of_requests_runs(db: Sql, owned: str) -> None:
    prepare(db, "jobs")
    send(db, "jobs", 1)
    db("begin; alter role pgmq_definer nobypassrls")
    db("alter table pgmq.q_jobs enable row level security; create policy d on pgmq.q_jobs to pgmq_definer using (true)")
    assert [row[:3] for row in db(PROBE, ["jobs"])] == [(True, True, 1)]
    if owned == "table":
        db("alter table pgmq.q_jobs owner to anon; grant select on pgmq.q_jobs to pgmq_definer")
    else:
        db("create function mine() returns boolean language plpgsql as 'begin raise ''ran''; end'")
        db("alter function mine() owner to anon; create policy p on pgmq.q_jobs using (mine())")
    assert [row[:3] for row in db(PROBE, ["jobs"])] == [(True, False, None)]
    db("rollback")


@pytest.mark.parametrize("role", ["anon", "service_role"])
def test_the_login_role_only_can_call_it(db: Sql, role: str) -> None:
    db("begin")
    db(f"set local role {role}")
    with pytest.raises(errors.InsufficientPrivilege):
        db(PROBE, ["jobs"])
    db("rollback")


@pytest.mark.parametrize("table", ["pgmq.meta", "pgmq.a_jobs", "pg_catalog.pg_authid"])
def test_only_tables_of_queues_are_searched_for_new_messages(
    db: Sql, gateway: psycopg.Connection[Any], table: str
) -> None:
    prepare(db, "jobs")
    found = "select recent, fresh, complete from pgmq_gateway.found_messages(%s::regclass, null, 9, %s, '{}', 2)"
    (oid,) = db("select %s::regclass::oid", table)[0]
    with pytest.raises(psycopg.DatabaseError, match="is not that of a queue"):
        gateway.execute(found.replace("%s::regclass", str(oid), 1), [[]])


def test_messages_are_found_in_portions(db: Sql, gateway: psycopg.Connection[Any]) -> None:
    prepare(db, "jobs")
    db("select pgmq.send_batch('jobs', array(select to_jsonb(n) from generate_series(1, 5) as n))")
    (oid,) = db("select 'pgmq.q_jobs'::regclass::oid")[0]
    known: list[int] = []
    known_at: list[object] = []
    found = []
    end = None
    for _ in range(4):
        query = (
            "select recent, fresh, times, until, complete from pgmq_gateway.found_messages(%s::oid, %s, 60, %s, %s, 2)"
        )
        (recent, fresh, known_at, end, complete) = gateway.execute(query, [oid, end, known, known_at]).fetchall()[0]
        assert sorted(recent) == sorted(known)
        known = recent + fresh
        found.append((len(fresh), complete))
        if complete:
            break
    assert found == [(2, False), (2, False), (1, True)]
    assert json.dumps(sorted(known)) == "[1, 2, 3, 4, 5]"
