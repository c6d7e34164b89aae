"""Partitioned queues on Debian's Postgres with pg_partman: their functions, their privileges, and dropping them."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from tests import server
from tests.databases import Sql, runner
from tests.sql.cluster import PARTMAN, Cluster, with_partman
from tests.sql.conftest import as_role

LEAVES = "select relid::regclass::text from pg_partition_tree(%s) where isleaf"


@pytest.fixture(scope="module", params=PARTMAN or [None], ids=lambda path: path and path.parts[4])
def partman(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A server of Debian's Postgres with pg_partman and an installed database."""
    with with_partman(request.param) as own:
        yield own


@pytest.fixture
def db(partman: Cluster) -> Iterator[Sql]:
    """Run SQL as the owner; the queues are dropped at the end."""
    with psycopg.connect(partman.uri(), autocommit=True) as connection:
        yield (sql := runner(connection))
        sql("select pgmq_admin.drop_queue(queue_name) from pgmq.meta")


def test_without_the_extension_the_error_says_how_to_get_it(partman: Cluster) -> None:
    with psycopg.connect(partman.uri(partman.create()), autocommit=True) as connection:
        sql = runner(connection)
        assert server.run("install", "--db-uri", partman.uri(connection.info.dbname)).returncode == 0
        with pytest.raises(errors.FeatureNotSupported, match="need the extension pg_partman") as caught:
            sql("select pgmq_admin.create_queue('q', 'partitioned')")
        assert "create extension pg_partman schema partman" in (caught.value.diag.message_hint or "")
        assert sql("select partman_version from pgmq_admin.database_status()") == [(None,)]


@pytest.mark.parametrize(("interval", "retention"), [("1000", "5000"), ("1 day", "7 days")])
def test_all_is_done_with_it_that_is_done_with_others(db: Sql, interval: str, retention: str) -> None:
    create = "select pgmq_admin.create_queue('q', 'partitioned', true, %s, %s)"
    assert [*db(create, interval, retention), *db(create, interval, retention)] == [(True,), (False,)]
    assert db("select distinct partition_interval, retention from partman.part_config") == [(interval, retention)]
    batch = "pgmq_public.send_batch('q', array(select to_jsonb(n) from generate_series(1, 2500) as n))"
    assert as_role(db, "service_role", f"select count(*) from {batch}") == [(2500,)]
    assert db("select count(*) from pgmq.q_q_default") == [(0,)]
    assert [row[0] for row in as_role(db, "service_role", "select msg_id from pgmq_public.read('q', 60, 2)")] == [1, 2]
    assert as_role(db, "service_role", "select pgmq_public.archive('q', 1), pgmq_public.delete('q', 3)") == [
        (True, True)
    ]
    assert db("select messages, visible, delayed, in_flight, archived, sent from pgmq_admin.queue_status('q')") == [
        (2498, 2497, 0, 1, 1, 2500)
    ]
    # Few pages, so the count is exact; the sizes are those of the partitions.
    assert db(
        "select messages, exact, visible, in_flight, archived, sent, rls, table_bytes = (select sum(pg_table_size("
        "relid)) from pg_partition_tree('pgmq.q_q') where isleaf) from pgmq_admin.list_queues()"
    ) == [(2498, True, 2497, 1, 1, 2500, True, True)]
    db("set enable_seqscan = off")
    plan = str(db("explain select * from pgmq.q_q where vt <= now() order by vt limit 1"))
    assert "Sort Key: q_q.vt" in plan
    assert "Index Scan" in plan
    assert "Index" in str(db("explain delete from pgmq.q_q where msg_id = 1"))
    db("reset enable_seqscan")
    assert db("select pgmq_admin.purge_queue('q')") == [(2498,)]
    db("select pgmq_admin.drop_queue('q')")
    assert db("select relname from pg_class where relname ~ '[qa]_q(_|$)'") == []
    assert db("select * from partman.part_config") == []


def test_partitions_are_closed_and_stored_like_other_queues_those_to_come_too(db: Sql) -> None:
    db("alter default privileges in schema pgmq grant all on tables to anon")
    db("select pgmq_admin.create_queue('q', 'partitioned', true, '100', '1000')")
    db("alter default privileges in schema pgmq revoke all on tables from anon")
    db("select pgmq_public.send_batch('q', array(select to_jsonb(n) from generate_series(1, 450) as n))")
    for (leaf,) in db(LEAVES, "pgmq.q_q"):
        assert as_role(db, "anon", f"select count(*) from {leaf}") == [(0,)]
    db("select partman.run_maintenance()")
    stored = db("select unnest(string_to_array(replace(pgmq_gateway.queue_storage(), ' ', ''), ','))")
    wanted = {(option,) for (option,) in stored if not option.startswith("toast.")}
    leaves = db(LEAVES, "pgmq.q_q")
    assert ("pgmq.q_q_p500",) in leaves
    for (leaf,) in leaves:
        assert set(db("select unnest(reloptions) from pg_class where oid = %s::regclass", leaf)) == wanted
    # Without extended default privileges, only service_role has privileges on later partitions.
    with pytest.raises(errors.InsufficientPrivilege):
        as_role(db, "anon", "select * from pgmq.q_q_p500")
    # More messages than fit into the existing partitions, before the next maintenance.
    behind = "select level, message from pgmq_admin.lint() where rule = 'partitions_missing'"
    assert db(behind) == []
    db("select pgmq_public.send_batch('q', array(select to_jsonb(n) from generate_series(1, 2000) as n))")
    ((level, message),) = db(behind)
    assert (level, message[:37]) == ("warning", "Messages are in the default partition")


@pytest.mark.parametrize(
    ("interval", "retention", "message"),
    [
        ("10", "1 day", "are not of one kind"),
        ("1 day", "100", "are not of one kind"),
        ("", "1", "are not of one kind"),
        ("x", "y", "are not of one kind"),
        ("1;drop", "2", "are not of one kind"),
        (None, None, "are not of one kind"),
        ("99999999999", "999999999999", "are not of one kind"),
        ("0", "100", "too small"),
        ("100", "10", "makes 0.1 partitions"),
        ("10", "100000000", "partitions"),
        ("1 second", "1 day", "too short"),
        ("-1 day", "1 day", "too short"),
        ("1 day", "1 hour", "partitions"),
        ("1 minute", "10 years", "partitions"),
    ],
)
def test_intervals_that_make_no_sense_make_no_queue(
    db: Sql, interval: str | None, retention: str | None, message: str
) -> None:
    with pytest.raises(errors.InvalidParameterValue, match=message):
        db("select pgmq_admin.create_queue('q', 'partitioned', true, %s, %s)", interval, retention)
    assert db("select count(*) from pgmq.meta") == [(0,)]


@pytest.mark.parametrize("name", ["q_default", "q_p0", "q_p20261123"])
def test_no_queue_takes_the_name_of_a_partition(db: Sql, name: str) -> None:
    db("select pgmq_admin.create_queue('q', 'partitioned')")
    db("select pgmq_admin.create_queue('q_px'), pgmq_admin.create_queue('qq')")
    with pytest.raises(errors.DuplicateTable):
        db("select pgmq_admin.create_queue(%s)", name)
    db("select pgmq_admin.drop_queue('q')")
    db("select pgmq_admin.create_queue(%s)", name)
    with pytest.raises(errors.DuplicateTable):
        db("select pgmq_admin.create_queue('q', 'partitioned')")


def test_d10_a_partitioned_orphan_is_adopted_or_dropped(db: Sql) -> None:
    db("select pgmq_admin.create_queue('q', 'partitioned')")
    db("select pgmq.send('q', '1')")
    db("delete from pgmq.meta")
    with pytest.raises(errors.DuplicateTable, match='the tables of queue "q" are not of type basic') as refused:
        db("select pgmq_admin.create_queue('q', adopt => true)")
    assert refused.value.diag.message_hint == "Use type partitioned."
    assert db("select pgmq_admin.create_queue('q', 'partitioned', adopt => true)") == [(True,)]
    assert db("select queue_name, queue_type, messages from pgmq_admin.list_queues()") == [("q", "partitioned", 1)]
    db("delete from pgmq.meta")
    db("select pgmq_admin.drop_queue('q')")
    assert db("select relname from pg_class where relname ~ '[qa]_q(_|$)'") == []
    assert db("select * from partman.part_config") == []


def test_d11_a_partitioned_queue_beside_a_publication_of_all_tables(db: Sql) -> None:
    db("create publication everything for all tables")
    try:
        db("select pgmq_admin.create_queue('q', 'partitioned')")
        db("select pgmq.send('q', '1')")
        for call in ("pgmq.read('q', 0, 1)", "pgmq.delete('q', 1)"):
            with pytest.raises(errors.ObjectNotInPrerequisiteState, match="does not have a replica identity"):
                db(f"select {call}")
        for (table,) in db("select relid::text from pg_partition_tree('pgmq.q_q')"):
            db(f"alter table {table} replica identity full")
        assert db("select pgmq.delete('q', 1)") == [(True,)]
        db("select pgmq_admin.drop_queue('q')")
    finally:
        db("drop publication everything")
    assert db("select * from partman.part_config") == []


def test_a_queue_that_pgmq_alone_has_partitioned_is_listed(db: Sql) -> None:
    db("select pgmq.create_partitioned('bare', '1 day', '7 days')")
    db("insert into pgmq.q_bare (vt, message) select now(), to_jsonb(repeat('x', 100)) from generate_series(1, 20000)")
    ((messages, exact, oldest),) = db("select messages, exact, oldest_seconds > 0 from pgmq_admin.list_queues()")
    assert (10000 < messages < 40000, exact, oldest) == (True, False, True)


def test_notifications_of_a_partitioned_queue_are_refused(db: Sql) -> None:
    db("select pgmq_admin.create_queue('q', 'partitioned')")
    with pytest.raises(errors.FeatureNotSupported, match="cannot have notifications"):
        db("select pgmq_admin.enable_notify('q')")


@pytest.mark.parametrize(("interval", "retention"), [("10", "100"), ("1 day", "7 days")])
def test_messages_are_found_and_moved_across_partitions(db: Sql, interval: str, retention: str) -> None:
    db("select pgmq_admin.create_queue('q', 'partitioned', true, %s, %s)", interval, retention)
    db("select pgmq_admin.create_queue('basic')")
    batch = "pgmq_admin.send_batch('q', (select jsonb_agg(n) from generate_series(1, 35) as n))"
    assert as_role(db, "service_role", f"select count(*) from {batch}") == [(35,)]
    for page, expected in {
        "after => '[18, 18]', max_rows => 4": [19, 20, 21, 22],
        "before => '[22, 22]', max_rows => 3": [19, 20, 21],
        "sort => 'vt', descending => true, max_rows => 2": [35, 34],
        """filter => '{"path": "$ > 33"}', sort => 'enqueued_at'""": [34, 35],
    }.items():
        ((found,),) = as_role(
            db, "service_role", f"select array_agg(msg_id) from pgmq_admin.list_messages('q', {page})"
        )
        assert found == expected
    for call, answer in {
        "postpone('q', '{4, 33}', 60)": [(4,), (33,)],
        "archive('q', '{4, 5}')": [(4,), (5,)],
        "requeue('q', '{4}')": [(4, 36)],
        "move('q', '{36, 1}', 'basic')": [(1, 1), (36, 2)],
        "move('basic', '{1}', 'q')": [(1, 37)],
        """apply('q', 'archive', '{"path": "$ > 10"}', 25)""": [(25,)],
        """apply('q', 'requeue', '{"state": "archived"}', 26)""": [(26,)],
        "delete('q', '{2, 37, 99}')": [(2,), (37,)],
        "count_messages('q')": [(32,)],
    }.items():
        assert as_role(db, "service_role", f"select * from pgmq_admin.{call}") == answer
    assert db("select count(*), count(distinct message) from pgmq.q_q") == [(32, 32)]


@pytest.mark.parametrize(
    ("trigger", "call"),
    [
        ("before truncate on pgmq.q_q_default", "purge_queue('q')"),
        ("before insert on partman.part_config", "create_queue('other', 'partitioned')"),
        ("before delete on partman.part_config", "drop_queue('q')"),
    ],
)
def test_a_trigger_of_another_role_is_not_run(db: Sql, trigger: str, call: str) -> None:
    db("select pgmq_admin.create_queue('q', 'partitioned')")
    db("begin")
    db("grant usage on schema partman to service_role")
    db("grant trigger on pgmq.q_q_default, partman.part_config to service_role")
    db("set local role service_role")
    db("create function pg_temp.f() returns trigger language plpgsql as 'begin raise ''ran as %'', user; end'")
    db(f"create trigger t {trigger} execute function pg_temp.f()")
    with pytest.raises(errors.InsufficientPrivilege, match=r'trigger "t" on .* runs a function of role service_role'):
        db(f"select pgmq_admin.{call}")
    db("rollback")


@pytest.mark.parametrize(("interval", "retention"), [("1000", "5000"), ("1 day", "7 days")])
def test_81_receipts_lead_to_one_partition(db: Sql, interval: str, retention: str) -> None:
    db("select pgmq_admin.create_queue('q', 'partitioned', false, %s, %s)", interval, retention)
    db("select pgmq_admin.set_queue_settings('q', '{\"max_receives\": 1}')")
    db("select pgmq_api.send_batch('q', array(select to_jsonb(n) from generate_series(1, 2500) as n))")
    db("update pgmq.q_q set vt = now() + interval '1 hour' where msg_id < 2001")
    receipts = [receipt for (receipt,) in db("select receipt from pgmq_api.read('q', 0, 6)")]
    first = db("select (pgmq_settings.delivery(%s)).*", receipts[0])[0]
    plan = db("explain delete from pgmq.q_q as q where q.msg_id = %s and q.read_ct = %s and q.enqueued_at = %s", *first)
    assert sum("Delete on q_q_p" in line for (line,) in plan) == 1, plan
    assert db("select pgmq_api.ack('q', %s), pgmq_api.retry('q', %s), pgmq_api.reject('q', %s)", *receipts[:3]) == [
        ("acked", "rejected", "rejected")
    ]
    assert [row[0] for row in db("select outcome from pgmq_api.settle('q', %s, %s)", receipts[3:4], receipts[4:5])] == [
        "acked", "archived",
    ]  # fmt: skip
    # One of the messages was received before.
    assert [row[0] for row in db("select msg_id from pgmq_api.read('q', 60, 490)")] == [*range(2007, 2497)]
    assert [row[0] for row in db("select msg_id from pgmq_api.pop('q', 9)")] == [*range(2497, 2501)]
    assert db("select msg_id from pgmq.a_q order by 1") == [(2002,), (2003,), (2005,), (2006,)]
