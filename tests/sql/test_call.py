"""pgmq_gateway.call: the caller's role, for one transaction."""

import json
import re
from typing import Any

import psycopg
import pytest
from psycopg import errors

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, runner
from tests.sql.calls import TYPES
from tests.sql.conftest import Connect

CLAIMS = json.dumps({"role": "anon", "sub": "somebody"})
REQUEST = ["POST", "/rpc/f", '{"x-header": "1"}', '{"cookie": "2"}']
# The internal functions that management functions call with the privileges of service_role.
HELPERS = {
    "become", "can_switch_to", "change_messages", "change_part", "check_caller", "check_move", "check_not_parked",
    "check_page", "check_queue_exists", "check_request_role", "have_column", "lock_groups_of_matching",
    "message_table", "page_key", "source_table", "transfer_part", "try_operation", "visible_from", "with_ids",
}  # fmt: skip
API_ROLES = ["anon", "authenticated", "service_role"]

CALL = f"""
select total, row_count, body, response_headers, response_status
from pgmq_gateway.call({", ".join(["%s"] * 13)}, null, null, null, null)
"""

# The state that a statement, or a function in it, can see.
SEEN = """json_build_object(
    'role', current_user,
    'search_path', current_setting('search_path'),
    'claims', current_setting('request.jwt.claims', true),
    'method', current_setting('request.method', true),
    'path', current_setting('request.path', true),
    'headers', current_setting('request.headers', true),
    'cookies', current_setting('request.cookies', true),
    'response', current_setting('response.headers', true) || current_setting('response.status', true),
    'read_only', current_setting('transaction_read_only'))::text"""

OUTSIDE = {"role": "authenticator", "search_path": '"$user", public', "read_only": "off"}


@pytest.fixture
def gateway(directory: DataDirectory, database: str, connect: Connect) -> Sql:
    """Run SQL as the gateway's login role."""
    return runner(connect(socket_uri(directory, "authenticator", database)))


def call(
    gateway: Sql,
    statement: str,
    *,
    role: str = "anon",
    claims: str = CLAIMS,
    read_only: bool = False,
    arguments: str | None = None,
    parameters: list[str] | None = None,
    settings: list[str] | None = None,
    checks: tuple[bool, int | None, int | None] = (False, None, None),
) -> tuple[Any, ...]:
    """One call, as the gateway runs it: total, row_count, body, response_headers, response_status."""
    schemas = '"pgmq_public", "public"'
    what = (statement, arguments, parameters or [])
    (row,) = gateway(CALL, role, claims, REQUEST, schemas, settings, read_only, None, *what, *checks)
    return row


def seen(gateway: Sql) -> dict[str, Any]:
    """Non-empty settings of the connection between two calls."""
    ((text,),) = gateway(f"select {SEEN}")
    return {name: value for name, value in json.loads(text).items() if value}


def test_types_of_the_session_do_not_matter(gateway: Sql) -> None:
    gateway(TYPES)
    assert call(gateway, "select 1::bigint, 1::bigint, 'a'::pg_catalog.text, 1::bigint")[:3] == (1, 1, "a")


def test_the_statement_sees_role_claims_request_and_search_path(gateway: Sql) -> None:
    total, count, body, headers, status = call(gateway, f"select 3::bigint, 1::bigint, {SEEN}")
    assert (total, count, headers, status) == (3, 1, "", "")
    assert json.loads(body) == {
        "role": "anon", "search_path": '"pgmq_public", "public"', "claims": CLAIMS, "method": "POST", "path": "/rpc/f",
        "headers": REQUEST[2], "cookies": REQUEST[3], "response": "", "read_only": "off",
    }  # fmt: skip


def test_arguments_and_parameters_reach_the_statement(gateway: Sql) -> None:
    statement = "select null::bigint, 1::bigint, ($1->>'a') || ($2)[2]"
    assert call(gateway, statement, arguments='{"a": "x"}', parameters=["1", "2"])[2] == "x2"


def test_headers_and_status_that_the_statement_sets_come_back(gateway: Sql) -> None:
    setting = "set_config('response.headers', '[]', true) || set_config('response.status', '418', true)"
    statement = f"select 0::bigint, 0::bigint, {setting}"
    assert call(gateway, statement)[2:] == ("[]418", "[]", "418")


def test_nothing_is_left_after_the_commit(gateway: Sql) -> None:
    assert seen(gateway) == OUTSIDE
    call(gateway, f"select 0::bigint, 0::bigint, {SEEN}", read_only=True)
    assert seen(gateway) == OUTSIDE


def test_nothing_is_left_after_an_error(gateway: Sql) -> None:
    with pytest.raises(errors.DivisionByZero):
        call(gateway, "select 1 / 0, 0::bigint, ''", read_only=True)
    assert seen(gateway) == OUTSIDE


def test_nothing_is_left_after_a_role_that_may_not_be_taken(gateway: Sql) -> None:
    with pytest.raises(errors.InsufficientPrivilege, match="permission denied to set role"):
        call(gateway, "select 0::bigint, 0::bigint, ''", role="postgres")
    with pytest.raises(errors.InvalidParameterValue, match='role "nobody-at-all" does not exist'):
        call(gateway, "select 0::bigint, 0::bigint, ''", role="nobody-at-all")
    assert seen(gateway) == OUTSIDE


def test_a_call_does_not_see_what_an_earlier_one_set_for_the_session(gateway: Sql) -> None:
    names = ("request.jwt.claims", "request.method", "request.headers", "response.headers", "response.status")
    for name in names:
        call(gateway, f"select 0::bigint, 0::bigint, set_config('{name}', 'left over', false)")
    _, _, body, headers, status = call(gateway, f"select 0::bigint, 0::bigint, {SEEN}")
    assert (headers, status) == ("", "")
    assert "left over" not in body


@pytest.mark.parametrize("role", API_ROLES)
def test_the_rights_are_those_of_the_callers_role(db: Sql, gateway: Sql, role: str) -> None:
    db("create table only_for_one (n int)")
    db(f"grant select on only_for_one to {role}")
    statement = "select null::bigint, count(*), null from only_for_one"
    for other in API_ROLES:
        if other == role:
            assert call(gateway, statement, role=other)[1] == 0
        else:
            with pytest.raises(errors.InsufficientPrivilege):
                call(gateway, statement, role=other)


def test_the_login_role_has_no_rights_of_its_own(db: Sql, gateway: Sql) -> None:
    db("create table only_for_one (n int)")
    db("grant select on only_for_one to anon, authenticated, service_role")
    with pytest.raises(errors.InsufficientPrivilege):
        gateway("select * from only_for_one")
    with pytest.raises(errors.InsufficientPrivilege):
        gateway("select * from pgmq_public.read('x', 0, 1)")


def test_a17_one_connection_serves_one_role_after_the_other(db: Sql, gateway: Sql) -> None:
    db("create table rows_of (owner name)")
    db("insert into rows_of select unnest(array['anon', 'authenticated', 'authenticated'])")
    db("alter table rows_of enable row level security")
    db("create policy own on rows_of using (owner = current_user)")
    db("grant select on rows_of to anon, authenticated")
    statement = "select null::bigint, count(*), null from rows_of"
    counts = [call(gateway, statement, role=role)[1] for role in ("anon", "authenticated") * 8]
    assert counts == [1, 2] * 8


def test_a_read_only_call_cannot_write(db: Sql, gateway: Sql) -> None:
    db("create table open_to_all (n int)")
    db("grant all on open_to_all to anon")
    statement = "with w as (insert into open_to_all values (1) returning n) select null::bigint, count(*), null from w"
    with pytest.raises(errors.ReadOnlySqlTransaction):
        call(gateway, statement, read_only=True)
    assert call(gateway, statement)[1] == 1


def test_a_deferred_trigger_runs_in_the_callers_role_and_search_path(db: Sql, gateway: Sql) -> None:
    db("create table noted (n int, role name default '', path text)")
    db("create table watched (n int)")
    db("""create function note() returns trigger language plpgsql as $$ begin
        insert into public.noted values (new.n, current_user, current_setting('search_path')); return new; end $$""")
    db("create constraint trigger t after insert on watched deferrable initially deferred for each row"
       " execute function note()")  # fmt: skip
    db("grant all on noted, watched to anon")
    call(gateway, "with w as (insert into watched values (1) returning n) select null::bigint, count(*), null from w")
    assert db("select * from noted") == [(1, "anon", '"pgmq_public", "public"')]


@pytest.mark.parametrize("role", API_ROLES)
def test_the_api_roles_may_not_call_it(gateway: Sql, role: str) -> None:
    inner = f"select * from pgmq_gateway.call('{role}', '', '{{}}', '', null, false, null, "
    inner += "'select 1, 1, null', null, null, false, null, null, null, null, null, null)"
    with pytest.raises(errors.InsufficientPrivilege, match=r"permission denied for (schema|function)"):
        call(gateway, inner, role=role)


def test_the_login_role_may_only_call_and_see_what_is_installed(db: Sql) -> None:
    assert db("""
        select oid::regprocedure::text from pg_proc
        where pronamespace in ('pgmq_gateway'::regnamespace, 'pgmq_admin'::regnamespace)
          and has_function_privilege('authenticator', oid, 'execute')
        order by 1
    """) == [
        (
            "pgmq_gateway.call(text,text,text[],text,text[],boolean,text,text,text,text[],boolean,bigint,bigint,"
            "text,oid[],text[],text)",
        ),
        ("pgmq_gateway.calls(text,text,text[],text[],text,text[],text[],text,oid[],text[],text,json,boolean)",),
        (
            "pgmq_gateway.calls_in_turn(text,text[],text[],text[],text,text[],text[],text,oid[],text[],text,"
            "bigint[],text[],text[],double precision,text[])",
        ),
        ("pgmq_gateway.claim_key(bytea,bigint,bytea,text)",),
        ("pgmq_gateway.clean_session()",),
        ("pgmq_gateway.create_policy_probe(regclass)",),
        ("pgmq_gateway.database_metrics()",),
        ("pgmq_gateway.distinguishes_calls(text,oid[],boolean)",),
        ("pgmq_gateway.expressions(oid,boolean)",),
        ("pgmq_gateway.fingerprint(oid[],text[])",),
        (
            "pgmq_gateway.found_messages(regclass,timestamp with time zone,double precision,bigint[],"
            "timestamp with time zone[],integer)",
        ),
        ("pgmq_gateway.function_faults(oid)",),
        ("pgmq_gateway.function_md5(oid)",),
        ("pgmq_gateway.function_obstacles(text)",),
        ("pgmq_gateway.fused_calls(text,json,text[],json[])",),
        ("pgmq_gateway.fused_leases(text,text,json[])",),
        ("pgmq_gateway.fused_receive(text,text,text[],json[])",),
        ("pgmq_gateway.fused_send(text,text,text[],json[])",),
        ("pgmq_gateway.fused_send_batch(text,text,text[],json[])",),
        ("pgmq_gateway.fused_settle(text,text,text[],json[])",),
        ("pgmq_gateway.fused_statement(text,text,name[],name[],name)",),
        ("pgmq_gateway.fusion(text,text,oid[],boolean)",),
        ("pgmq_gateway.is_harmless_builtin(oid)",),
        ("pgmq_gateway.is_plain_type(oid)",),
        ("pgmq_gateway.is_shipped(oid)",),
        ("pgmq_gateway.judge_settings(text,text)",),
        ("pgmq_gateway.judgement(text,text)",),
        (
            "pgmq_gateway.keyed_call(bytea,bigint,text,double precision,text,text,text,text[],text,text[],text,text,"
            "text,text[],boolean,bigint,bigint,text,oid[],text[],text)",
        ),
        (
            "pgmq_gateway.keyed_calls(bytea[],bigint[],double precision,text,text,text,text[],text[],text,text[],"
            "text[],text,oid[],text[],text,json,boolean)",
        ),
        ("pgmq_gateway.known_functions()",),
        ("pgmq_gateway.maintain(integer)",),
        ("pgmq_gateway.may_execute(text,json)",),
        ("pgmq_gateway.outline(text)",),
        ("pgmq_gateway.plain_call(text,text,text,json)",),
        ("pgmq_gateway.policy_judgement(text)",),
        (
            "pgmq_gateway.probe_policy(regclass,timestamp with time zone,double precision,bigint[],"
            "timestamp with time zone[],integer,text,text,text[],text[],text[],text[],integer,text,oid[],text[],text)",
        ),
        ("pgmq_gateway.probe_queues(text[])",),
        ("pgmq_gateway.queue_metrics(integer)",),
        ("pgmq_gateway.reads_other_settings(text,text[])",),
        ("pgmq_gateway.receiving_statement(text)",),
        ("pgmq_gateway.referred(oid,oid,boolean)",),
        ("pgmq_gateway.remove_expired_keys(integer)",),
        ("pgmq_gateway.request_fingerprint(text,text,text[])",),
        ("pgmq_gateway.source_faults(text,boolean)",),
        ("pgmq_gateway.store_answers(bytea[],bytea[],double precision,text,bigint[],bigint[],text[],text[],text[])",),
        ("pgmq_gateway.table_faults(oid,boolean)",),
        ("pgmq_gateway.table_obstacles(oid[],boolean)",),
        ("pgmq_gateway.take_sample(double precision,double precision)",),
        ("pgmq_gateway.tree_faults(text)",),
        ("pgmq_gateway.wake_triggers(oid[])",),
        ("pgmq_gateway.writes_archive(text)",),
        ("pgmq_gateway.written_tables(text,text)",),
    ]
    assert db("""
        select n, has_schema_privilege('authenticator', n, 'usage'), has_schema_privilege('authenticator', n, 'create')
        from unnest(array['pgmq', 'pgmq_admin', 'pgmq_gateway', 'pgmq_public']) as n
    """) == [("pgmq", False, False), ("pgmq_admin", False, False),
             ("pgmq_gateway", True, False), ("pgmq_public", False, False)]  # fmt: skip
    assert db("""
        select table_name::text, privilege_type::text from information_schema.role_table_grants
        where table_schema in ('pgmq_gateway', 'pgmq_admin') and grantee <> 'postgres' order by 1
    """) == [
        ("actions", "INSERT"),
        ("message_tables", "SELECT"),
        ("migrations", "SELECT"),
        ("sharing_settings", "SELECT"),
        ("shipped", "SELECT"),
    ]


def test_nothing_internal_is_open_to_the_api_roles_or_to_everybody(db: Sql) -> None:
    internal = "('pgmq_gateway'::regnamespace, 'pgmq_admin'::regnamespace)"
    roles = "(select oid from pg_roles where rolname in ('anon', 'authenticated') union all select 0)"
    assert (
        db(f"""
        select p.oid::regprocedure::text, a.grantee
        from pg_proc as p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
        where p.pronamespace in {internal} and a.grantee in {roles}
        union all
        select n.nspname, a.grantee
        from pg_namespace as n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) as a
        where n.oid in {internal} and a.grantee in {roles}
        union all
        select c.relname, a.grantee
        from pg_class as c, aclexplode(c.relacl) as a
        where c.relnamespace in {internal} and a.grantee in {roles}
    """)
        == []
    )


@pytest.mark.parametrize("role", API_ROLES)
def test_no_api_role_can_use_what_is_internal_through_anybody(db: Sql, role: str) -> None:
    managing = "" if role == "service_role" else ", 'pgmq_admin'::regnamespace"
    internal = f"('pgmq_gateway'::regnamespace{managing})"
    helping = HELPERS if role == "service_role" else set()
    assert {
        name
        for (name,) in db(f"""
        select proname::text from pg_proc
        where pronamespace in {internal} and has_function_privilege('{role}', oid, 'execute')
    """)
    } == helping
    assert db(f"""
        select nspname::text from pg_namespace
        where oid in {internal} and has_schema_privilege('{role}', oid, 'usage, create')
    """) == [("pgmq_gateway",)] * bool(helping)


def test_management_holds_nothing_but_what_service_role_calls(db: Sql) -> None:
    assert (
        db("""
        select proname::text from pg_proc
        where pronamespace = 'pgmq_admin'::regnamespace and not has_function_privilege('service_role', oid, 'execute')
    """)
        == []
    )


def test_only_management_has_its_owners_rights_and_every_function_has_a_search_path_of_its_own(db: Sql) -> None:
    rows = db("""
        select oid::regprocedure::text, prosecdef, proconfig, obj_description(oid, 'pg_proc'),
            has_function_privilege('service_role', oid, 'execute')
        from pg_proc
        where pronamespace in ('pgmq_gateway'::regnamespace, 'pgmq_admin'::regnamespace, 'pgmq_public'::regnamespace)
    """)
    assert len(rows) >= 6 + 3 + 10
    for name, definer, settings, comment, managed in rows:
        paths = [setting for setting in settings or () if setting.startswith("search_path=")]
        if definer:
            assert paths == ["search_path=pg_catalog, pg_temp"], name
        elif re.match(
            r"pgmq_gateway\.((keyed_)?calls?|calls_in_turn|plain_call|probe_policy|become|(last|first)_sample|sample_validity)\(",
            name,
        ):
            assert paths == [], name
        else:
            empty = re.match(r"pgmq_public\.|pgmq_gateway\.fused_(calls|send|send_batch|receive|settle)\(", name)
            assert paths == ['search_path=""' if empty else "search_path=pg_catalog, pg_temp"], name
        assert not (definer and name.startswith("pgmq_gateway.") and managed), name
        if name.startswith("pgmq_admin.") and managed:
            assert comment, name


def test_no_caller_runs_its_own_code_with_the_owners_rights(gateway: Sql, db: Sql) -> None:
    db("create table public.seen (who text)")
    db("grant insert on public.seen to service_role")
    gateway("set role service_role")
    gateway("create function pg_temp.evil(x anyelement) returns boolean language sql as"
            " 'insert into public.seen values (current_user) returning true'")  # fmt: skip
    for name in ("text", "bool", "regclass", "oid", "int8", "name", "timestamptz"):
        gateway(f"create domain pg_temp.{name} as pg_catalog.{name} check (pg_temp.evil(value))")
    gateway("create function pg_temp.format(pg_catalog.text, variadic pg_catalog.text[]) returns pg_catalog.text"
            " language sql as 'select pg_temp.evil(1)::pg_catalog.text'")  # fmt: skip
    gateway("select pgmq_admin.create_queue('q'), pgmq_admin.purge_queue('q')")
    gateway("select pgmq_admin.list_queues(), pgmq_admin.queue_status('q')")
    gateway("select pgmq_admin.drop_queue('q')")
    assert db("select * from public.seen") == []


def test_the_exposed_functions_are_the_six_and_volatile(db: Sql) -> None:
    assert db("""
        select proname || '(' || pg_get_function_arguments(oid) || ') ' || pg_get_function_result(oid) from pg_proc
        where pronamespace = 'pgmq_public'::regnamespace and provolatile = 'v' order by 1
    """) == [
        ("archive(queue_name text, message_id bigint) boolean",),
        ("delete(queue_name text, message_id bigint) boolean",),
        ("pop(queue_name text) SETOF pgmq.message_record",),
        ("read(queue_name text, sleep_seconds integer, n integer) SETOF pgmq.message_record",),
        ("send(queue_name text, message jsonb, sleep_seconds integer DEFAULT 0) SETOF bigint",),
        ("send_batch(queue_name text, messages jsonb[], sleep_seconds integer DEFAULT 0) SETOF bigint",),
    ]


def test_a_statement_cannot_end_the_transaction(gateway: Sql) -> None:
    with pytest.raises((errors.FeatureNotSupported, errors.InvalidTransactionTermination, psycopg.errors.SyntaxError)):
        call(gateway, "commit work")
    assert seen(gateway) == OUTSIDE


@pytest.mark.parametrize(
    ("checks", "code", "rows"),
    [((True, None, None), "GW116", "2"), ((False, 1, None), "GW124", "2"), ((False, None, 4), "GW103", "3")],
)  # fmt: skip
def test_a_result_that_fails_a_check_is_rolled_back(
    db: Sql, gateway: Sql, checks: tuple[bool, int | None, int | None], code: str, rows: str
) -> None:
    db("create table public.trace (a int); grant all on public.trace to anon")
    statement = "with t as (insert into public.trace values (1)) select 3::bigint, 2::bigint, '[]'"
    with pytest.raises(errors.DatabaseError) as raised:
        call(gateway, statement, checks=checks)
    assert (raised.value.sqlstate, raised.value.diag.message_primary) == (code, rows)
    assert db("select count(*) from public.trace") == [(0,)]


def test_an_explained_statement_gives_its_plan_and_runs_only_when_analyzed(db: Sql, gateway: Sql) -> None:
    db("create table public.trace (a int); grant all on public.trace to anon")
    statement = "with t as (insert into public.trace values (($2)[1]::int)) select 1::bigint, 1::bigint, $1->>'a'"
    given: dict[str, Any] = {"arguments": '{"a": 1}', "parameters": ["7"]}
    total, row_count, plan, *_ = call(gateway, f"explain (format text) {statement}", **given)
    assert (total, row_count) == (None, None)
    assert "Insert on trace" in plan
    assert plan.endswith("\n")
    assert db("select a from public.trace") == []
    assert json.loads(call(gateway, f"explain (format json, analyze) {statement}", **given)[2])[0]["Plan"]
    assert db("select a from public.trace") == [(7,)]


def test_settings_hold_for_the_call_only(gateway: Sql) -> None:
    statement = "select null::bigint, 1::bigint, current_setting('timezone')"
    assert call(gateway, statement, settings=["timezone", "Asia/Tokyo"])[2] == "Asia/Tokyo"
    assert gateway("show timezone") == [("UTC",)]
