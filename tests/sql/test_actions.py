"""The log of actions: every function of pgmq_admin that changes something logs it, and nothing else can."""

import json

import pytest
from psycopg import errors

from pgmq_gateway.dashboard.actions.operations import OPERATIONS
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, runner
from tests.sql.conftest import Connect
from tests.sql.maintenance import whole_pass

SETTINGS = json.dumps({"max_receives": 1, "dead_letter_queue": "dead"})
IDS = "array[1, 2, 99]::bigint[]"
# A call of each volatile function of pgmq_admin on the queue `x` with three messages and two archived ones, with the
# operation and the count that it logs. The first two of its messages are in the order of their ids.
CALLS = [
    ("create_queue('y')", "create_queue", None),
    ("drop_queue('x')", "drop_queue", None),
    ("purge_queue('x')", "purge_queue", 3),
    (f"set_queue_settings('x', '{SETTINGS}')", "set_queue_settings", None),
    ("enable_notify('x')", "enable_notify", None),
    ("disable_notify('x')", "disable_notify", None),
    ("send('x', '{}')", "send", 1),
    ("send_batch('x', '[1, 2]')", "send_batch", 2),
    (f"postpone('x', {IDS}, 60)", "postpone", 2),
    (f"make_visible('x', {IDS})", "make_visible", 2),
    (f"archive('x', {IDS})", "archive", 2),
    (f"delete('x', {IDS})", "delete", 2),
    ("delete_archived('x', '{4, 5, 99}')", "delete_archived", 2),
    (f"move('x', {IDS}, 'dead')", "move", 2),
    ("requeue('x', '{4, 99}')", "requeue", 1),
    ("apply('x', 'delete', '{}', 3)", "delete", 3),
    ("""apply('x', 'delete', '{"state": "archived"}', 2)""", "delete_archived", 2),
    ("redrive('dead', 'x')", "redrive", 1),
    ("replay('x')", "replay", 2),
    ("grant_queue('x', 'anon', '{send}')", "grant_queue", None),
    ("revoke_queue('x', 'anon', '{send}')", "revoke_queue", None),
    ("set_rls('x', false)", "set_rls", None),
    ("create_policy('x', 'consumer')", "create_policy", None),
    ("change_policy('x', '{p}', 'consumer')", "change_policy", None),
    ("drop_policy('x', 'p')", "drop_policy", None),
    ("expose()", "expose", None),
    ("unexpose()", "unexpose", None),
]
# They change nothing: all that they do is undone.
TRIALS = {"try_as", "try_policy", "messages_as"}
LOG = "select actor_role, key_name, queue_name, operation, count from pgmq_gateway.actions order by id"


@pytest.fixture
def logged(db: Sql) -> Sql:
    """A database with the queues `x` and `dead`, and an empty log. All is undone."""
    db("begin")
    db("select pgmq_admin.create_queue(q) from unnest('{x,dead}'::text[]) as q")
    db("select pgmq.send_batch('x', array['1', '2', '3', '4', '5']::jsonb[]), pgmq.send('dead', '{}')")
    db("select pgmq.archive('x', '{4, 5}'::bigint[])")
    db("create policy p on pgmq.q_x using (true)")
    db("delete from pgmq_gateway.actions")
    return db


def test_there_is_a_call_of_each_function_that_changes_something(db: Sql) -> None:
    volatile = {
        name
        for (name,) in db("select proname::text from pg_proc"
                          " where pronamespace = 'pgmq_admin'::regnamespace and provolatile = 'v'")
    }  # fmt: skip
    assert {call.partition("(")[0] for call, _, _ in CALLS} | TRIALS == volatile
    # Bulk actions are logged by what they do.
    assert {operation for _, operation, _ in CALLS} == volatile - TRIALS - {"apply"} == OPERATIONS.keys()


@pytest.mark.parametrize("connected", ["gateway", "psql"])
def test_a_change_is_logged_with_its_actor_and_its_count(logged: Sql, connected: str) -> None:
    for call, operation, count in CALLS:
        queue = {"create_queue": "y", "redrive": "dead", "expose": None, "unexpose": None}.get(operation, "x")
        logged("savepoint before")
        if connected == "gateway":
            logged("set local role service_role")
            logged("""select set_config('request.jwt.claims', '{"role": "service_role", "sub": "ann"}', true)""")
        logged(f"select * from pgmq_admin.{call}")
        logged("reset role")
        actor = ("service_role", "ann") if connected == "gateway" else ("postgres", "postgres")
        assert logged(LOG)[-1] == (*actor, queue, operation, count), call
        logged("rollback to before")
        assert logged(LOG) == [], call


def test_the_name_of_a_secret_key_precedes_the_claims(logged: Sql) -> None:
    logged("""select set_config('request.jwt.claims', '{"sub": "ann"}', true)""")
    logged("select set_config('pgmq_gateway.key_name', 'worker', true)")
    logged("select pgmq_admin.send('x', '{}')")
    logged("select set_config('request.jwt.claims', '', true)")
    logged("select pgmq_admin.send('x', '{}')")
    assert [row[1] for row in logged(LOG)] == ["worker", "postgres"]


@pytest.mark.parametrize(
    "call",
    [
        "delete('x', '{99}')",
        "archive('x', '{}')",
        "create_queue('x')",
        "purge_queue('empty')",
        "send_batch('x', '[]')",
        "redrive('x')",
        "replay('dead')",
        "try_as('x', 'anon')",
        "try_policy('x', '{}', 'consumer', 'anon')",
        "messages_as('x', 'service_role')",
        "list_messages('x')",
        "lint()",
    ],
)
def test_a_call_that_changes_nothing_is_not_logged(logged: Sql, call: str) -> None:
    logged("select pgmq.create('empty')")
    logged("set local session authorization authenticator; set local role service_role")
    logged(f"select * from pgmq_admin.{call}")
    logged("reset role; reset session authorization")
    assert logged(LOG) == []


def test_a_failed_bulk_action_is_not_logged(logged: Sql) -> None:
    logged("savepoint before")
    with pytest.raises(errors.DatabaseError, match="3 messages match, not 4"):
        logged("select pgmq_admin.apply('x', 'delete', '{}', 4)")
    logged("rollback to before")
    assert logged(LOG) == []


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role", "authenticator"])
def test_a51_no_role_of_requests_can_write_or_read_the_table(logged: Sql, role: str) -> None:
    logged("select pgmq_admin.send('x', '{}')")
    logged(f"set local role {role}; savepoint attack")
    for attack in (
        "select * from pgmq_gateway.actions",
        "insert into pgmq_gateway.actions (at, actor_role, operation) values (now(), 'anon', 'send')",
        "update pgmq_gateway.actions set count = 0",
        "delete from pgmq_gateway.actions",
        "truncate pgmq_gateway.actions",
        "drop table pgmq_gateway.actions",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            logged(attack)
        logged("rollback to attack")
    logged("reset role")
    assert len(logged(LOG)) == 1


def test_a51_a_caller_of_the_helper_logs_nothing_but_its_own_name_and_operations(logged: Sql) -> None:
    logged("set local role service_role; savepoint attack")
    for operation in ("nothing", "lint", "pg_sleep", "'); drop table pgmq.meta; --"):
        with pytest.raises(
            errors.InvalidParameterValue, match="is not a function of pgmq_admin that changes something"
        ):
            logged("select pgmq_settings.record_action('x', %s, 1)", operation)
        logged("rollback to attack")
    logged("select pgmq_settings.record_action(repeat('x', 1000), 'send', 1)")
    logged("reset role")
    assert logged(LOG) == [("service_role", "postgres", "x" * 63, "send", 1)]
    logged("savepoint before")
    for role in ("anon", "authenticated"):
        logged(f"set local role {role}")
        with pytest.raises(errors.InsufficientPrivilege):
            logged("select pgmq_settings.record_action('x', 'send', 1)")
        logged("rollback to before")


def test_the_list_has_the_latest_first_in_pages(logged: Sql) -> None:
    for queue in ("x", "dead", "x", "x"):
        logged(f"select pgmq_admin.send('{queue}', '1')")
    logged("set local role service_role")
    rows = logged("select id, queue_name from pgmq_admin.list_actions()")
    assert [queue for _, queue in rows] == ["x", "x", "dead", "x"]
    assert rows == sorted(rows, reverse=True)
    first = logged("select id from pgmq_admin.list_actions('x', max_rows => 2)")
    assert first == [(rows[0][0],), (rows[1][0],)]
    assert logged("select id from pgmq_admin.list_actions('x', before => %s)", rows[1][0]) == [(rows[3][0],)]
    assert logged("select id from pgmq_admin.list_actions('missing')") == []
    with pytest.raises(errors.InvalidParameterValue, match="max_rows is 1001, but must be between 1 and 1000"):
        logged("select pgmq_admin.list_actions(max_rows => 1001)")


def test_actions_do_not_wait_for_each_other(db: Sql, directory: DataDirectory, database: str, connect: Connect) -> None:
    db("select pgmq_admin.create_queue(q) from unnest('{x,y}'::text[]) as q")
    other = runner(connect(socket_uri(directory, database=database)))
    db("begin")
    db("select pgmq_admin.send('x', '1')")
    # Would fail if it waited.
    other("set lock_timeout = '1ms'")
    other("select pgmq_admin.send('x', '2'), pgmq_admin.send('y', '3')")
    db("commit")
    count = "select queue_name, count(*) from pgmq_gateway.actions where operation = 'send' group by 1 order by 1"
    assert db(count) == [("x", 2), ("y", 1)]


def test_actions_are_kept_for_90_days(db: Sql) -> None:
    db("select pgmq_admin.create_queue('x')")
    db("""insert into pgmq_gateway.actions (at, actor_role, operation)
       select now() - make_interval(days => days), 'anon', 'send'
       from unnest(array[91, 91, 89, 1]) as days, generate_series(1, 3000)""")
    whole_pass(db)
    assert db("select count(*), min(at) > now() - interval '90 days' from pgmq_gateway.actions") == [(6001, True)]
