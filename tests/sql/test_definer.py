"""The roles of pgmq_api's functions: SECURITY DEFINER functions belong to pgmq_definer, and no function to callers."""

from pathlib import Path

import pytest
from psycopg import errors

from tests.databases import Sql
from tests.sql.conftest import as_role
from tests.sql.leases import expire, prepare, read, send

SECURITY = Path(__file__).parents[2] / "SECURITY.md"
OURS = "('pgmq_public', 'pgmq_api', 'pgmq_admin', 'pgmq_settings', 'pgmq_gateway')"
CALLERS = ("anon", "authenticated", "service_role", "authenticator")


def test_functions_run_as_their_caller_or_as_pgmq_definer(db: Sql) -> None:
    rows = db("""
        select p.oid::regprocedure::text, p.prosecdef, p.proowner::regrole::text, p.proconfig
        from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
        where n.nspname in ('pgmq_api', 'pgmq_settings')
    """)
    definers = {name for name, definer, _, _ in rows if definer}
    assert definers == {
        "pgmq_settings.arrange_groups(text,integer)",
        "pgmq_settings.bury(text,bigint[])",
        "pgmq_settings.bury_unread(text,bigint,timestamp with time zone)",
        "pgmq_settings.claim_ids(text,bytea,text[],integer)",
        "pgmq_settings.notify_wake()",
        "pgmq_settings.record_action(text,text,bigint)",
        "pgmq_settings.record_ids(text,bytea,text[],bigint[])",
        "pgmq_settings.sweep_groups(text,integer,text,timestamp with time zone)",
        "pgmq_settings.trim_archive(text,bigint,bigint,timestamp with time zone)",
    }
    page = SECURITY.read_text()
    for name in definers:
        assert f"`{name.removeprefix('pgmq_settings.').partition('(')[0]}`" in page, name
    assert {name for (name,) in db("""
        select p.oid::regprocedure::text from pg_proc as p
        where p.proowner = 'pgmq_definer'::regrole and has_function_privilege('service_role', p.oid, 'execute')
    """)} == {
        "pgmq_settings.bury(text,bigint[])",
        "pgmq_settings.claim_ids(text,bytea,text[],integer)",
        "pgmq_settings.record_action(text,text,bigint)",
        "pgmq_settings.record_ids(text,bytea,text[],bigint[])",
    }  # fmt: skip
    for name, definer, owner, settings in rows:
        assert owner == ("pgmq_definer" if definer else "postgres"), name
        assert "search_path=pg_catalog, pg_temp" in settings, name
        assert not definer or "row_security=on" in settings, name


def test_pgmq_definer_can_only_use_messages(db: Sql) -> None:
    assert db("select rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolinherit, rolreplication, rolbypassrls"
              " from pg_roles where rolname = 'pgmq_definer'") == [(False,) * 6 + (True,)]  # fmt: skip
    assert db("select member::regrole from pg_auth_members where roleid = 'pgmq_definer'::regrole") == []
    assert db("select roleid::regrole from pg_auth_members where member = 'pgmq_definer'::regrole") == []
    # Before Postgres 15 all roles can create objects in public, which no function of pgmq_definer searches.
    created = db("select nspname from pg_namespace where has_schema_privilege('pgmq_definer', oid, 'create')")
    assert [row for row in created if row != ("public",)] == []
    assert db("""
        select c.oid::regclass::text, string_agg(a.privilege_type, ',' order by a.privilege_type)
        from pg_class as c, aclexplode(c.relacl) as a
        where a.grantee = 'pgmq_definer'::regrole group by 1 order by 1
    """) == [
        ("pgmq_gateway.actions", "INSERT"),
        ("pgmq_gateway.message_tables", "SELECT"),
        ("pgmq_settings.burials", "INSERT,SELECT,UPDATE"),
        ("pgmq_settings.deduplication_ids", "DELETE,INSERT,SELECT,UPDATE"),
        ("pgmq_settings.settings", "SELECT"),
        ("pgmq_settings.wake_throttles", "INSERT,SELECT,UPDATE"),
    ]
    db("select pgmq_admin.create_queue('made'), pgmq.create('made_by_pgmq')")
    assert db("""
        select c.relname::text, string_agg(a.privilege_type, ',' order by a.privilege_type)
        from pg_class as c, aclexplode(c.relacl) as a
        where a.grantee = 'pgmq_definer'::regrole and c.relnamespace = 'pgmq'::regnamespace group by 1 order by 1
    """) == [
        (name, "DELETE,INSERT,SELECT,UPDATE") for name in ("a_made", "a_made_by_pgmq", "q_made", "q_made_by_pgmq")
    ]  # fmt: skip


def test_86_service_role_cannot_alter_replace_or_own_any_of_our_functions(db: Sql) -> None:
    # With trigger functions of its own.
    prepare(db, "jobs", group_limit=1)
    functions = db(f"""
        select format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
            pg_get_functiondef(p.oid)
        from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace where n.nspname in {OURS}
    """)
    assert {"pgmq_settings.park_q_jobs()", "pgmq_settings.promote_q_jobs()"} <= {name for name, _ in functions}
    for role in CALLERS:
        assert db(f"select 1 from pg_proc where proowner = '{role}'::regrole") == []
    db("begin")
    # As after somebody's GRANT ALL.
    db("grant all on all functions in schema pgmq_public, pgmq_api, pgmq_admin, pgmq_settings, pgmq_gateway"
       " to service_role")  # fmt: skip
    db("grant create on schema pgmq_public, pgmq_api, pgmq_admin, pgmq_settings, pgmq_gateway to service_role")
    db("set local role service_role; savepoint attack")
    for name, definition in functions:
        for attack in (
            definition,
            f"alter routine {name} security invoker",
            f"alter routine {name} owner to service_role",
            f"drop routine {name}",
        ):
            with pytest.raises((errors.InsufficientPrivilege, errors.InvalidFunctionDefinition)):
                db(attack.replace("%", "%%") if "%s" in attack else attack)
            db("rollback to attack")
    db("rollback")


@pytest.mark.parametrize("table", ["q_jobs", "a_jobs", "q_dead"])
def test_a_trigger_of_service_role_does_not_run_as_pgmq_definer(db: Sql, table: str) -> None:
    prepare(db, "jobs", "dead", max_receives=1, **({} if table == "a_jobs" else {"dead_letter_queue": "dead"}))
    send(db, "jobs", 1)
    assert len(read(db, "jobs")) == 1
    expire(db, "jobs")
    db("grant trigger on all tables in schema pgmq to service_role")
    db("begin; set local role service_role")
    db("create function pg_temp.steal() returns trigger language plpgsql as"
       " 'begin raise ''ran as %'', current_user; end'")  # fmt: skip
    db(f"create trigger t before insert or update or delete on pgmq.{table} for each statement"
       " execute function pg_temp.steal()")  # fmt: skip
    db("reset role")
    before = db("select msg_id, vt from pgmq.q_jobs")
    assert as_role_in_transaction(db, "anon", "select pgmq_settings.bury('q_jobs', '{1}')") == [(0,)]
    assert db("select msg_id, vt from pgmq.q_jobs") == before
    db(f"drop trigger t on pgmq.{table}")
    assert as_role_in_transaction(db, "anon", "select pgmq_settings.bury('q_jobs', '{1}')") == [(1,)]
    db("rollback")


@pytest.mark.parametrize(
    "part",
    [
        pytest.param("create policy p on pgmq.q_jobs to anon using (mine(msg_id))", id="policy"),
        pytest.param("alter table pgmq.a_jobs alter read_ct set default mine(1)::integer", id="default"),
        pytest.param("alter table pgmq.a_jobs add check (mine(msg_id))", id="constraint"),
        pytest.param("create index on pgmq.a_jobs (mine(msg_id))", id="index"),
        pytest.param("create index on pgmq.q_jobs (msg_id) where mine(msg_id)", id="partial index"),
        pytest.param("create rule r as on insert to pgmq.a_jobs where mine(new.msg_id) do also select 1", id="rule"),
        pytest.param(
            "create table child (id bigint references pgmq.q_jobs on delete cascade, check (mine(id)))", id="reference"
        ),
        pytest.param("create table child (check (mine(msg_id))) inherits (pgmq.q_jobs)", id="child"),
        pytest.param("alter table pgmq.a_jobs owner to anon", id="owner"),
    ],
)
def test_a_burial_runs_no_function_of_a_role_of_requests(db: Sql, part: str) -> None:
    prepare(db, "jobs", max_receives=1)
    send(db, "jobs", 1)
    read(db, "jobs")
    expire(db, "jobs")
    db("begin")
    db("create function mine(bigint) returns boolean immutable language sql as 'select true'")
    db("alter function mine(bigint) owner to anon")
    db("savepoint before")
    db(part)
    assert as_role_in_transaction(db, "anon", "select pgmq_settings.bury('q_jobs', '{1}')") == [(0,)]
    db("rollback to before")
    assert as_role_in_transaction(db, "anon", "select pgmq_settings.bury('q_jobs', '{1}')") == [(1,)]
    db("rollback")


def as_role_in_transaction(sql: Sql, role: str, statement: str) -> list[tuple[object, ...]]:
    sql(f"set local role {role}")
    rows = sql(statement)
    sql("reset role")
    return rows


@pytest.mark.parametrize("table", ["meta", "q_missing", "a_jobs", "Q_jobs", 'q_jobs"; drop table pgmq.q_jobs; --'])
def test_only_tables_of_queues_are_buried_in(db: Sql, table: str) -> None:
    prepare(db, "jobs")
    with pytest.raises(errors.UndefinedTable, match="is not that of a queue"):
        as_role(db, "anon", "select pgmq_settings.bury(%s, '{1}')", table)


def test_settings_of_queues_are_visible_to_their_users_only(db: Sql) -> None:
    prepare(db, "mine", "theirs", lease_seconds=7)
    db("select pgmq_admin.set_queue_settings('theirs', '{\"lease_seconds\": 8}')")
    db("grant delete on pgmq.q_mine to anon; grant update (vt) on pgmq.q_theirs to authenticated")
    seen = "select queue_name, lease_seconds from pgmq_settings.settings order by 1"
    assert as_role(db, "anon", seen) == [("mine", 7)]
    assert as_role(db, "authenticated", seen) == [("theirs", 8)]
    assert as_role(db, "service_role", seen) == [("mine", 7), ("theirs", 8)]
    for statement in ("select * from pgmq_settings.queues", "delete from pgmq_settings.queues"):
        for role in ("anon", "service_role"):
            with pytest.raises(errors.InsufficientPrivilege):
                as_role(db, role, statement)
