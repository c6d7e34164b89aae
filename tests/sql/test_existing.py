"""Installing on databases with existing roles, pgmq or pgmq_public, which are kept."""

import pytest
from psycopg import errors

from pgmq_gateway.install.installer import install
from pgmq_gateway.install.owner import left_to_do
from tests.databases import Sql, runner
from tests.sql.cluster import Cluster
from tests.sql.conftest import PGMQ_SQL, Connect, as_role, connected

# Attributes, limits and settings that differ from the installer's.
ROLES = """
create role postgres login createrole createdb bypassrls password 'pg';
create role anon nologin inherit;
create role authenticated nologin connection limit 5;
create role service_role login bypassrls password 'sr';
create role authenticator login noinherit password 'au' connection limit 13 valid until '2099-01-01';
create role dashboard_user nologin;
grant anon to authenticator with admin option;
grant authenticated, service_role to authenticator;
grant dashboard_user to authenticator;
grant anon, authenticated, service_role to postgres;
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s'
"""

ROLE_STATE = (
    "select to_jsonb(r) from pg_authid as r where rolname <> 'pgmq_definer' order by rolname",
    "select to_jsonb(m) from pg_auth_members as m order by roleid, member, grantor",
    "select to_jsonb(s) from pg_db_role_setting as s order by setdatabase, setrole",
)

# Hand-written versions of the six functions, overloads of them, and other functions.
THEIRS = """
create schema pgmq_public;
create function pgmq_public.send(queue_name text, message jsonb, sleep_seconds integer default 0) returns setof bigint
    language sql as 'select * from pgmq.send($1, $2, $3)';
create function pgmq_public.send_batch(queue_name text, messages jsonb[], sleep_seconds integer default 0)
    returns setof bigint language sql as 'select * from pgmq.send_batch($1, $2, $3)';
create function pgmq_public.read(queue_name text, sleep_seconds integer, n integer) returns setof pgmq.message_record
    language sql as 'select * from pgmq.read($1, $2, $3)';
create function pgmq_public.pop(queue_name text) returns setof pgmq.message_record
    language sql as 'select * from pgmq.pop($1)';
create function pgmq_public.archive(queue_name text, message_id bigint) returns boolean
    language sql as 'select pgmq.archive($1, $2)';
create function pgmq_public.delete(queue_name text, message_id bigint) returns boolean
    language sql as 'select pgmq.delete($1, $2)';
create function pgmq_public.depth(queue_name text) returns bigint
    language sql as 'select queue_length from pgmq.metrics($1)'
"""

OVERLOAD = """
create function pgmq_public.send(queue_name text, message jsonb, headers jsonb, sleep_seconds integer)
    returns setof bigint language sql as 'select * from pgmq.send($1, $2, $3, $4)'
"""


@pytest.fixture
def old(blank_server: Cluster) -> str:
    """The URI of a database whose server has the roles of a Supabase project."""
    blank_server.execute(*ROLES.split(";"))
    return blank_server.uri(blank_server.create())


@pytest.fixture
def old_sql(old: str, connect: Connect) -> Sql:
    """Run SQL in that database, as the server's superuser."""
    return runner(connect(old))


async def bring_up(uri: str, *, replace: bool = False) -> None:
    async with connected(uri) as connection:
        await install(connection, replace=replace)


def roles(sql: Sql) -> list[object]:
    """Attributes, passwords, memberships and settings of all roles."""
    return [sql(query) for query in ROLE_STATE]


def functions(sql: Sql, schema: str) -> list[tuple[object, ...]]:
    """The functions of a schema, without their privileges."""
    query = "select p.oid, to_jsonb(p) - 'proacl' from pg_proc as p where pronamespace = %s::regnamespace order by oid"
    return sql(query, schema)


def run_all(sql: Sql, script: str) -> None:
    for statement in script.split(";\n"):
        sql(statement)


async def test_roles_that_exist_keep_everything_they_have(old: str, old_sql: Sql) -> None:
    # The login role gets limits that it does not have.
    old_sql("alter role authenticator set idle_in_transaction_session_timeout = '10s'")
    before = roles(old_sql)
    await bring_up(old)
    assert roles(old_sql) == before
    async with connected(old) as connection:
        assert await left_to_do(connection, "PASSWORD") == []


async def test_a_missing_membership_is_given_and_no_other_is_touched(old: str, old_sql: Sql) -> None:
    old_sql("revoke service_role from authenticator")
    memberships = "select roleid::regrole::text, member::regrole::text, admin_option from pg_auth_members"
    before = set(old_sql(memberships))
    await bring_up(old)
    assert set(old_sql(memberships)) - before == {("service_role", "authenticator", False)}


async def test_the_roles_of_supabase_get_supabases_rights(old: str, old_sql: Sql) -> None:
    await bring_up(old)
    old_sql("select pgmq_admin.create_queue('later')")
    privileges = "has_table_privilege(r, 'pgmq.q_later', p)"
    assert old_sql(f"""
        select r, array_agg(p order by p) filter (where {privileges})
        from unnest(array['anon', 'authenticated', 'postgres', 'service_role']) as r,
             unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) as p
        group by r order by r
    """) == [
        ("anon", None),
        ("authenticated", None),
        ("postgres", ["DELETE", "INSERT", "SELECT", "UPDATE"]),
        ("service_role", ["DELETE", "INSERT", "SELECT", "UPDATE"]),
    ]
    assert as_role(old_sql, "service_role", "select * from pgmq_public.send('later', '1')") == [(1,)]


async def test_an_owner_who_is_no_superuser_can_install_where_the_roles_exist(
    blank_server: Cluster, connect: Connect
) -> None:
    blank_server.execute(*ROLES.split(";"))
    uri = blank_server.uri(blank_server.create("postgres"), "postgres", "pg")
    await bring_up(uri)
    sql = runner(connect(uri))
    sql("select pgmq_admin.create_queue('q')")
    sql("select pgmq_admin.grant_queue('q', 'anon', '{send}')")
    sql("alter table pgmq.q_q disable row level security")
    assert as_role(sql, "anon", "select * from pgmq_public.send('q', '1')") == [(1,)]
    async with connected(uri) as connection:
        assert await left_to_do(connection, "PASSWORD") == ["no row-level security on q: alter table pgmq.q_… enable"
                                                            " row level security"]  # fmt: skip


async def test_pgmq_that_is_there_keeps_its_queues_and_messages(old: str, old_sql: Sql) -> None:
    old_sql(PGMQ_SQL)
    old_sql("select pgmq.create('Kept'), pgmq.send('Kept', '{\"a\": 1}')")
    before, messages = functions(old_sql, "pgmq"), old_sql("select * from pgmq.q_kept")
    await bring_up(old)
    assert functions(old_sql, "pgmq") == before
    assert old_sql("select * from pgmq.q_kept") == messages
    assert old_sql("select queue_name, queue_type, rls from pgmq_admin.list_queues()") == [("Kept", "basic", False)]
    assert as_role(old_sql, "service_role", "select message from pgmq_public.read('Kept', 60, 1)") == [({"a": 1},)]


async def test_functions_that_exist_are_kept(old: str, old_sql: Sql) -> None:
    old_sql(PGMQ_SQL)
    run_all(old_sql, THEIRS)
    before = functions(old_sql, "pgmq_public")
    await bring_up(old)
    await bring_up(old)
    assert functions(old_sql, "pgmq_public") == before
    old_sql("select pgmq_admin.create_queue('q')")
    assert as_role(old_sql, "service_role", "select * from pgmq_public.send('q', '1')") == [(1,)]


async def test_functions_that_exist_are_replaced_on_request_and_others_kept(old: str, old_sql: Sql) -> None:
    old_sql(PGMQ_SQL)
    run_all(old_sql, THEIRS)
    depth = "select oid, prosrc from pg_proc where oid = 'pgmq_public.depth'::regproc"
    before = old_sql(depth)
    await bring_up(old, replace=True)
    assert old_sql(depth) == before
    assert old_sql("""
        select proname::text, lanname::text, proconfig from pg_proc as p join pg_language as l on l.oid = prolang
        where pronamespace = 'pgmq_public'::regnamespace and proname <> 'depth' order by 1
    """) == [
        (name, "plpgsql", ['search_path=""']) for name in ("archive", "delete", "pop", "read", "send", "send_batch")
    ]
    old_sql("select pgmq_admin.create_queue('q')")
    assert as_role(old_sql, "service_role", "select * from pgmq_public.send('q', '1')") == [(1,)]


async def test_one_missing_function_is_added_beside_those_that_exist(old: str, old_sql: Sql) -> None:
    old_sql(PGMQ_SQL)
    run_all(old_sql, THEIRS)
    old_sql("drop function pgmq_public.pop")
    await bring_up(old)
    assert old_sql(
        "select proname::text from pg_proc where pronamespace = 'pgmq_public'::regnamespace and prosrc ~ 'declare'"
    ) == [("pop",)]


async def test_an_overload_of_somebody_elses_does_not_stop_the_installer(old: str, old_sql: Sql) -> None:
    old_sql(PGMQ_SQL)
    run_all(old_sql, THEIRS)
    old_sql(OVERLOAD)
    before = functions(old_sql, "pgmq_public")
    await bring_up(old)
    assert functions(old_sql, "pgmq_public") == before


async def test_a_lone_overload_does_not_hide_that_the_standard_function_is_missing(old: str, old_sql: Sql) -> None:
    old_sql(PGMQ_SQL)
    old_sql("create schema pgmq_public")
    old_sql(OVERLOAD)
    await bring_up(old)
    assert old_sql("select to_regprocedure('pgmq_public.send(text,jsonb,integer)') is not null") == [(True,)]


async def test_replacing_keeps_overloads_of_somebody_elses(old: str, old_sql: Sql) -> None:
    await bring_up(old)
    old_sql(OVERLOAD)
    await bring_up(old, replace=True)
    for arguments in ("text,jsonb,integer", "text,jsonb,jsonb,integer"):
        assert old_sql("select to_regprocedure(%s) is not null", f"pgmq_public.send({arguments})") == [(True,)]


async def test_replacing_keeps_the_rights_of_custom_roles(old: str, old_sql: Sql) -> None:
    await bring_up(old)
    old_sql("revoke execute on all functions in schema pgmq_public from public")
    old_sql("select pgmq_admin.create_queue('q', rls => false)")
    old_sql("select pgmq_admin.grant_queue('q', 'dashboard_user', '{send}')")
    await bring_up(old, replace=True)
    assert as_role(old_sql, "dashboard_user", "select * from pgmq_public.send('q', '1')") == [(1,)]


async def test_a_server_without_a_role_postgres_can_be_installed(blank_server: Cluster, connect: Connect) -> None:
    uri = blank_server.uri(blank_server.create())
    await bring_up(uri)
    sql = runner(connect(uri))
    assert sql("select to_regrole('postgres') is null, current_user::text") == [(True, "boss")]
    sql("select pgmq_admin.create_queue('q')")
    assert as_role(sql, "service_role", "select * from pgmq_public.send('q', '1')") == [(1,)]
    with pytest.raises(errors.InsufficientPrivilege):
        as_role(sql, "anon", "select * from pgmq_public.send('q', '1')")
