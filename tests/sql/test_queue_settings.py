"""Settings of queues: members, ranges, defaults, and what set_queue_settings() refuses."""

import json
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import errors

from tests.databases import Sql, runner
from tests.sql.conftest import as_role
from tests.sql.leases import prepare

DEFAULTS = {
    "lease_seconds": 30, "max_receives": None, "dead_letter_queue": None, "backoff": "none", "backoff_seconds": 10,
    "backoff_max_seconds": 3600, "backoff_jitter": 0.2, "on_expiry": "delete", "message_keep_seconds": None,
    "archive_keep_seconds": None, "max_message_bytes": None, "max_messages": None,
    "group_limit": None, "deduplication_seconds": 300, "deduplication_by_content": False,
    "paused": False, "wake": False, "wake_throttle_ms": 100,
}  # fmt: skip
QUEUES = ("a", "b", "c")


@pytest.fixture(scope="module")
def queues(owner: Sql) -> Sql:
    prepare(owner, *QUEUES)
    return owner


@pytest.fixture
def db(queues: Sql) -> Sql:
    """Queues `a`, `b`, `c` without settings."""
    for queue in QUEUES:
        queues("select pgmq_admin.set_queue_settings(%s, '{\"max_message_bytes\": null}')", queue)
    queues("delete from pgmq_settings.queues")
    return queues


def configure(sql: Sql, queue: str, **settings: object) -> object:
    return sql("select pgmq_admin.set_queue_settings(%s, %s)", queue, json.dumps(settings))[0][0]


def test_settings_name_only_changes_and_null_restores_a_default(db: Sql) -> None:
    assert db("select pgmq_admin.queue_settings('a')") == [(DEFAULTS,)]
    assert configure(db, "a") == DEFAULTS
    assert configure(db, "a", lease_seconds=5, backoff_jitter=0.5, paused=True) == {
        **DEFAULTS, "lease_seconds": 5, "backoff_jitter": 0.5, "paused": True
    }  # fmt: skip
    changed = {**DEFAULTS, "backoff_jitter": 0.5, "paused": True, "dead_letter_queue": "b"}
    assert configure(db, "a", lease_seconds=None, dead_letter_queue="b") == changed
    assert as_role(db, "service_role", "select pgmq_admin.queue_settings('a')") == [(changed,)]
    assert db("select pgmq_admin.queue_settings('b')") == [(DEFAULTS,)]


def test_the_ranges_are_listed_with_the_defaults(db: Sql) -> None:
    ranges = as_role(db, "service_role", "select setting, initial, choices from pgmq_admin.setting_ranges()")
    assert {setting: initial for setting, initial, _ in ranges} == DEFAULTS
    assert [choices for setting, _, choices in ranges if setting == "on_expiry"] == [["delete", "dead_letter"]]
    paused = "select paused, group_limit from pgmq_admin.list_queues() where queue_name = 'a'"
    assert db(paused) == [(False, None)]
    configure(db, "a", paused=True, group_limit=3)
    assert db(paused) == [(True, 3)]
    configure(db, "a", group_limit=None)


@pytest.mark.parametrize(
    ("member", "valid", "invalid"),
    [
        ("lease_seconds", [0, 604800], [-1, 604801, "5", 1.5, 1e300, True, [], {}]),
        ("max_receives", [1, 1000, None], [0, 1001]),
        ("backoff", ["none", "fixed", "exponential"], ["linear", 1, ""]),
        ("backoff_seconds", [0, 86400], [-1, 86401]),
        ("backoff_max_seconds", [1, 604800], [0, 604801]),
        ("backoff_jitter", [0, 0.25, 1], [-0.1, 1.1, "0.5"]),
        ("on_expiry", ["delete", "dead_letter"], ["archive"]),
        ("message_keep_seconds", [60, 315360000, None], [59, 315360001]),
        ("archive_keep_seconds", [60, 315360000], [59, 315360001]),
        ("max_message_bytes", [1, 16777216], [0, 16777217]),
        ("max_messages", [1, 2**53 - 1], [0, 2**53]),
        ("deduplication_seconds", [1, 604800, None], [0, 604801]),
        ("deduplication_by_content", [True, False], [0, "true"]),
        ("group_limit", [1, 1000, None], [0, 1001, 1.5, "1"]),
        ("paused", [True, False], [0, "true"]),
        ("wake", [True, False, None], [1, "true"]),
        ("wake_throttle_ms", [10, 60000, None], [9, 60001, 10.5, "100"]),
        ("dead_letter_queue", ["b"], [1, True]),
    ],
)
def test_values_out_of_range_are_refused(db: Sql, member: str, valid: list[object], invalid: list[object]) -> None:
    for value in valid:
        settings = configure(db, "a", **{member: value})
        assert isinstance(settings, dict)
        assert settings[member] == (DEFAULTS[member] if value is None else value)
    before = db("select * from pgmq_settings.queues")
    for value in invalid:
        with pytest.raises(errors.InvalidParameterValue, match=f'queue setting "{member}" cannot be') as caught:
            configure(db, "a", **{member: value})
        assert (caught.value.diag.message_hint or "").startswith("Use ")
    assert db("select * from pgmq_settings.queues") == before


@pytest.mark.parametrize("settings", ["[]", "null", "1", None])
def test_settings_must_be_an_object(db: Sql, settings: str | None) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="must be a JSON object"):
        db("select pgmq_admin.set_queue_settings('a', %s)", settings)


def test_unknown_members_and_queues_are_refused(db: Sql) -> None:
    with pytest.raises(errors.InvalidParameterValue, match='"lease" is unknown'):
        configure(db, "a", lease=5)
    for queue, settings in (("nowhere", {}), ("a", {"dead_letter_queue": "nowhere"})):
        with pytest.raises(errors.UndefinedTable, match='queue "nowhere" does not exist'):
            configure(db, queue, **settings)
    with pytest.raises(errors.UndefinedTable):
        db("select pgmq_admin.queue_settings('nowhere')")
    with pytest.raises(errors.InsufficientPrivilege):
        as_role(db, "authenticated", "select pgmq_admin.queue_settings('a')")
    assert db("select * from pgmq_settings.queues") == []


def test_93_a_cycle_of_dead_letter_queues_is_refused(db: Sql) -> None:
    configure(db, "a", dead_letter_queue="b")
    configure(db, "b", dead_letter_queue="c")
    for queue, letters in (("a", "a"), ("c", "a"), ("c", "b"), ("c", "c")):
        with pytest.raises(errors.InvalidParameterValue, match="dead messages would return to it"):
            configure(db, queue, dead_letter_queue=letters)
    configure(db, "a", dead_letter_queue=None)
    configure(db, "c", dead_letter_queue="a")


def test_93_a_long_cycle_is_refused(db: Sql) -> None:
    names = [f"step{n}" for n in range(12)]
    db("begin")
    db("insert into pgmq.meta (queue_name, is_partitioned, is_unlogged)"
       " select n, false, false from unnest(%s::text[]) as n", names)  # fmt: skip
    db("insert into pgmq_settings.queues (queue_table, queue_name, dead_letter_queue)"
       " select 'q_' || n, n, m from unnest(%s::text[], %s::text[]) as u (n, m)", names[:-1], names[1:])  # fmt: skip
    with pytest.raises(errors.InvalidParameterValue, match="dead messages would return to it"):
        db("select pgmq_settings.check_dead_letter_queue(%s, %s)", names[-1], names[0])
    db("rollback")


def test_93_two_calls_at_once_make_no_cycle(db: Sql, installed: str) -> None:
    def attempt(pair: tuple[str, str]) -> bool:
        with psycopg.connect(installed, autocommit=True) as connection:
            try:
                configure(runner(connection), pair[0], dead_letter_queue=pair[1])
            except errors.InvalidParameterValue:
                return False
            return True

    with ThreadPoolExecutor(2) as pool:
        done = [*pool.map(attempt, [("a", "b"), ("b", "a")])]
    assert sorted(done) == [False, True]
    assert len(db("select * from pgmq_settings.queues where dead_letter_queue is not null")) == 1


def test_settings_go_with_their_queue(db: Sql) -> None:
    for drop in ("pgmq.drop_queue", "pgmq_admin.drop_queue"):
        db("select pgmq_admin.create_queue('gone')")
        configure(db, "gone", lease_seconds=5)
        db(f"select {drop}('gone')")
        assert db("select * from pgmq_settings.queues") == []


@pytest.mark.parametrize("drop", ["pgmq.drop_queue", "pgmq_admin.drop_queue"])
def test_a_queue_that_is_created_again_has_no_settings(db: Sql, drop: str) -> None:
    """As where the installer can create no foreign keys."""
    db("select pgmq_admin.create_queue('gone')")
    configure(db, "gone", paused=True)
    configure(db, "a", dead_letter_queue="gone")
    db("begin")
    for key in ("queues_queue_name_fkey", "queues_dead_letter_queue_fkey"):
        db(f"alter table pgmq_settings.queues drop constraint {key}")
    db(f"select {drop}('gone')")
    db("select pgmq_admin.create_queue('gone')")
    assert db("select pgmq_admin.queue_settings('gone'), pgmq_admin.queue_settings('a')") == [(DEFAULTS, DEFAULTS)]
    db("rollback")
    db("select pgmq_admin.drop_queue('gone')")


def test_two_names_of_a_table_share_settings(db: Sql) -> None:
    db("begin")
    db("insert into pgmq.meta (queue_name, is_partitioned, is_unlogged) values ('A', false, false)")
    configure(db, "a", paused=True)
    assert configure(db, "A", max_receives=2) == {**DEFAULTS, "paused": True, "max_receives": 2}
    db("delete from pgmq.meta where queue_name = 'A'")
    assert db("select queue_name, paused, max_receives from pgmq_settings.queues") == [("a", True, 2)]
    db("rollback")


def test_118_large_messages_are_refused_for_all_writers(db: Sql) -> None:
    configure(db, "a", max_message_bytes=10)
    for call in ("pgmq_public.send('a', {})", "pgmq_api.send('a', {})", "pgmq.send('a', {})",
                 "pgmq_public.send_batch('a', array[{}]::jsonb[])"):  # fmt: skip
        with pytest.raises(psycopg.Error, match="a message of 11 bytes is too large") as caught:
            as_role(db, "service_role", f"select {call.format(chr(39) + json.dumps('x' * 9) + chr(39))}")
        assert caught.value.sqlstate == "PT413"
        assert caught.value.diag.message_hint == "The queue accepts messages of at most 10 bytes."
        as_role(db, "service_role", f"select {call.format(chr(39) + json.dumps('x' * 8) + chr(39))}")
    configure(db, "a", max_message_bytes=None)
    assert db("select tgname from pg_trigger where tgrelid = 'pgmq.q_a'::regclass and not tgisinternal") == []


def test_our_triggers_with_a_condition_are_no_foreign_code(db: Sql) -> None:
    configure(db, "a", max_message_bytes=10)
    assert db("select * from pgmq_gateway.foreign_triggers(array['pgmq.q_a'::regclass::oid])") == []
    assert db("select rule from pgmq_admin.lint() where rule = 'foreign_trigger'") == []
    # Whoever can execute the function can create such a trigger, with any condition.
    db("grant execute on function pgmq_settings.refuse_message_bytes to service_role")
    assert len(db("select * from pgmq_gateway.foreign_triggers(array['pgmq.q_a'::regclass::oid])")) == 1
    db("revoke execute on function pgmq_settings.refuse_message_bytes from service_role")


def test_119_a_full_queue_refuses_sends(db: Sql) -> None:
    configure(db, "a", max_messages=1)
    db("update pgmq_settings.queues set is_full = true")
    for call in ("send('a', '1')", "send_batch('a', array['1']::jsonb[])", "send_entries('a', '[{\"message\": 1}]')"):
        with pytest.raises(psycopg.Error, match='queue "a" is full') as caught:
            as_role(db, "service_role", f"select pgmq_api.{call}")
        assert caught.value.sqlstate == "PT429"
    configure(db, "a", max_messages=None)
    assert as_role(db, "service_role", "select count(*) from pgmq_api.send('a', '1')") == [(1,)]


def test_the_view_has_the_columns_of_the_table(db: Sql) -> None:
    columns = (
        "select array_agg(attname::text order by attnum) from pg_attribute where attrelid = %s::regclass and attnum > 0"
    )
    assert db(columns, "pgmq_settings.settings") == db(columns, "pgmq_settings.queues")
