"""The role queue_viewer: it executes the stable functions of pgmq_admin, and changes nothing."""

import pytest
from psycopg import errors

from pgmq_gateway.install.findings import InstallError
from pgmq_gateway.install.installer import check, install
from tests.databases import Sql, runner
from tests.sql.cluster import Cluster
from tests.sql.conftest import Connect, connected
from tests.sql.test_actions import CALLS, TRIALS

# A call of each function that is not volatile, on the queue `x`, whose messages the viewer cannot read.
STABLE = [
    "database_status()",
    "executable_functions()",
    "exposed()",
    "history('x')",
    "lint()",
    "list_actions()",
    "list_grants('x')",
    "list_groups('x')",
    "list_policies('x')",
    "list_queues()",
    "policy_templates()",
    "queue_settings('x')",
    "queue_status('x')",
    "rights('x')",
    "setting_ranges()",
]
READING = ["count_messages('x')", "dead_letters('x')", "get_message('x', 1)", "list_messages('x')"]
TRIED = [
    "try_as('x', 'anon')",
    "messages_as('x', 'anon')",
    "try_policy('x', '{}', 'consumer', 'anon')",
    "apply('x', 'delete', '{}', 1)",
]
PAYLOAD, SECRET = "a payload", "a secret"


@pytest.fixture
def viewed(db: Sql) -> Sql:
    """A database with the viewer, a message in the queue `x` and a policy with a secret. All is undone."""
    db("begin")
    db("select pgmq_admin.create_queue(q) from unnest('{x,dead}'::text[]) as q")
    db(f"""select pgmq_admin.send('x', '"{PAYLOAD}"', '{{"x-pgmq-group": "{PAYLOAD}"}}')""")
    db("""select pgmq_admin.set_queue_settings('x', '{"dead_letter_queue": "dead", "group_limit": 1}')""")
    db(f"create policy header on pgmq.q_x using (current_setting('request.headers', true) = '{SECRET}')")
    db("select pgmq_gateway.create_viewer()")
    for (statement,) in db("select statement from pgmq_gateway.missing_viewer_privileges()"):
        db(statement)
    assert db("select * from pgmq_gateway.missing_viewer_privileges()") == []
    return db


def test_there_is_a_call_of_each_function(db: Sql) -> None:
    calls = {call.partition("(")[0] for call in (*STABLE, *READING, *TRIED, *(call for call, _, _ in CALLS))}
    assert calls == {
        name for (name,) in db("select proname::text from pg_proc where pronamespace = 'pgmq_admin'::regnamespace")
    }
    assert {call.partition("(")[0] for call in TRIED} == TRIALS | {"apply"}


def test_a50_stable_functions_show_no_message_and_no_secret(viewed: Sql) -> None:
    viewed("set local role queue_viewer; savepoint call")
    for call in STABLE:
        shown = repr(viewed(f"select * from pgmq_admin.{call}"))
        assert shown != "[]" or call.startswith(("list_actions", "history", "lint", "list_groups"))
        assert PAYLOAD not in shown, call
        assert SECRET not in shown, call
    for call in READING:
        with pytest.raises(errors.InsufficientPrivilege, match="permission denied for table q_x"):
            viewed(f"select * from pgmq_admin.{call}")
        viewed("rollback to call")
    assert viewed("select policy_name, using_expression from pgmq_admin.list_policies('x')") == [("header", None)]
    viewed("reset role")
    assert SECRET in repr(viewed("select * from pgmq_admin.list_policies('x')"))


def test_a50_no_function_that_changes_something_is_executed(viewed: Sql) -> None:
    tables = ("pgmq.q_x", "pgmq.meta", "pgmq_settings.queues", "pgmq_gateway.actions", "pg_policy")
    state = f"select {', '.join(f'(select jsonb_agg(to_jsonb(t)) from {table} as t)' for table in tables)}"
    before = viewed(state)
    viewed("set local role queue_viewer; savepoint call")
    for call in (*TRIED, *(call for call, _, _ in CALLS)):
        with pytest.raises(errors.InsufficientPrivilege, match="permission denied for function"):
            viewed(f"select * from pgmq_admin.{call}")
        viewed("rollback to call")
    viewed("reset role")
    assert viewed(state) == before


def test_it_can_execute_what_is_stable_and_nothing_else(viewed: Sql) -> None:
    assert viewed("""
        select p.oid::regprocedure::text from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
        where n.nspname in ('pgmq_admin', 'pgmq_gateway', 'pgmq_settings')
          and has_function_privilege('queue_viewer', p.oid, 'execute')
          and (p.provolatile = 'v' or p.prosecdef and n.nspname <> 'pgmq_admin')
    """) == []  # fmt: skip
    assert viewed("select n from unnest('{pgmq_public,pgmq_api}'::text[]) as n"
                  " where has_schema_privilege('queue_viewer', n, 'usage')") == []  # fmt: skip
    assert viewed("select rolcanlogin, rolinherit, rolsuper, rolbypassrls from pg_roles where rolname = 'queue_viewer'"
                  ) == [(False, False, False, False)]  # fmt: skip
    assert viewed("""
        select c.oid::regclass::text, a.privilege_type from pg_class as c, aclexplode(c.relacl) as a
        where a.grantee = 'queue_viewer'::regrole order by 1
    """) == [("pgmq.meta", "SELECT"), ("pgmq_settings.settings", "SELECT")]  # fmt: skip
    viewed("set local role queue_viewer")
    executable = {name for (name, _) in viewed("select * from pgmq_admin.executable_functions() where not changes")}
    assert executable == {call.partition("(")[0] for call in (*STABLE, *READING)}
    assert viewed("select * from pgmq_admin.executable_functions() where changes") == []


def test_a_policy_for_select_shows_it_messages(viewed: Sql) -> None:
    viewed("grant select on pgmq.q_x, pgmq.q_dead to queue_viewer")
    viewed("savepoint call; set local role queue_viewer")
    assert viewed("select count(*) from pgmq_admin.list_messages('x')") == [(0,)]
    viewed("reset role; create policy viewing on pgmq.q_x for select to queue_viewer using (true)")
    # In place of the one that reads a header.
    viewed("drop policy header on pgmq.q_x")
    assert viewed("select rule, message from pgmq_admin.lint() where message like '%%queue_viewer%%'") == []
    viewed("set local role queue_viewer")
    assert viewed("select message from pgmq_admin.list_messages('x')") == [(PAYLOAD,)]
    assert viewed("select message from pgmq_admin.get_message('x', 1)") == [(PAYLOAD,)]
    assert viewed("select pgmq_admin.count_messages('x')") == [(1,)]
    assert viewed("select origin, messages from pgmq_admin.dead_letters('x')") == [("x", 0)]
    assert viewed("select group_name from pgmq_admin.list_groups('x')") == [(PAYLOAD,)]
    with pytest.raises(errors.InsufficientPrivilege):
        viewed("delete from pgmq.q_x")


def test_a_function_that_begins_to_change_something_is_revoked(viewed: Sql) -> None:
    viewed("alter function pgmq_admin.exposed volatile")
    ((what, statement),) = viewed("select * from pgmq_gateway.missing_viewer_privileges()")
    assert what == "read-only access: EXECUTE on pgmq_admin.exposed() of queue_viewer"
    viewed(statement)
    assert viewed("select has_function_privilege('queue_viewer', 'pgmq_admin.exposed()', 'execute')") == [(False,)]


async def test_the_installer_creates_it_on_request_and_keeps_it_complete(
    blank_server: Cluster, connect: Connect
) -> None:
    uri = blank_server.uri(blank_server.create())
    sql = runner(connect(uri))
    async with connected(uri) as connection:
        await install(connection)
        assert await check(connection) == []
        assert [str(each) for each in await check(connection, viewer=True)] == ["missing: role queue_viewer"]
        assert await install(connection, viewer=True) == ["installed: role queue_viewer"]
        assert await install(connection, viewer=True) == []
        assert await check(connection, viewer=True) == []
    assert sql("select rolconfig from pg_roles where rolname = 'queue_viewer'") == [(["statement_timeout=8s"],)]
    assert sql("select pg_has_role('authenticator', 'queue_viewer', 'member')") == [(True,)]
    # As a function of the next version.
    sql("revoke execute on function pgmq_admin.lint from queue_viewer; revoke usage on schema pgmq from queue_viewer")
    async with connected(uri) as connection:
        assert [str(each) for each in await check(connection)] == [
            "missing: USAGE on schema pgmq for queue_viewer",
            "missing: EXECUTE on 1 functions for queue_viewer",
        ]
        assert await install(connection) == [
            "restored: USAGE on schema pgmq for queue_viewer",
            "restored: EXECUTE on 1 functions for queue_viewer",
        ]
        assert await check(connection) == []
    # Another database of the server does not have it.
    async with connected(blank_server.uri(blank_server.create())) as connection:
        await install(connection)
        assert await check(connection) == []
        sql("alter role queue_viewer bypassrls")
        with pytest.raises(InstallError, match="role queue_viewer has privileges from an attribute or another role"):
            await install(connection, viewer=True)
    # Roles belong to the server, which other tests use.
    sql("drop owned by queue_viewer; drop role queue_viewer")
