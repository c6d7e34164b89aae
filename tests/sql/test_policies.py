"""Policies from templates, and switching row-level security: effects, refused arguments, and bypasses."""

from collections.abc import Iterator

import pytest
from psycopg import errors

from tests.databases import Sql
from tests.sql.conftest import OPERATIONS

HOSTILE = """x' = '' or true); drop table pgmq.meta; --"\\ {a,b} %s %L $$"""


@pytest.fixture
def undone(db: Sql) -> Iterator[Sql]:
    """An installed database with a queue `q`. All changes are undone at the end, also those of roles."""
    db("begin")
    db("select pgmq_admin.create_queue('q')")
    yield db
    db("rollback")


def policies(sql: Sql) -> list[tuple[str, ...]]:
    return [tuple(row) for row in sql("select policy_name, on_table, command from pgmq_admin.list_policies('q')")]


def test_a_policy_is_named_for_what_it_does(undone: Sql) -> None:
    undone("select pgmq_admin.create_policy('q', 'tenant', member => 'customer.id')")
    name = "tenant of authenticated: {} where customer.id = tenant_id"
    assert sorted(policies(undone)) == sorted([
        *((name.format(command), "queue", command) for command in ("delete", "insert", "select", "update")),
        *((name.format(command), "archive", command) for command in ("insert", "select")),
    ])  # fmt: skip
    ((roles, using, check, permissive),) = undone(
        "select roles::text[], using_expression, check_expression, permissive from pgmq_admin.list_policies('q')"
        " where on_table = 'archive' and command = 'select'"
    )
    assert (roles, check, permissive) == (["authenticated"], None, True)
    assert using.startswith("((message #>> '{customer,id}'::text[]) = ( SELECT ")


def test_hostile_names_are_only_names(undone: Sql) -> None:
    role = 'a "role"; drop'
    undone('create role "a ""role""; drop"')
    undone('grant "a ""role""; drop" to authenticator')
    undone("select pgmq_admin.create_policy('q', 'own_messages', %s, %s, %s)", role, HOSTILE, HOSTILE)
    undone(
        "insert into pgmq.q_q (vt, message) values (now(), jsonb_build_object(%s::text, 'me')), (now(), '{}')", HOSTILE
    )
    seen = "select message from pgmq_admin.messages_as('q', %s, jsonb_build_object(%s::text, %s::text))"
    assert undone(seen, role, HOSTILE, "me") == [({HOSTILE: "me"},)]
    assert undone(seen, role, HOSTILE, "you") == []
    for name, _, _ in set(policies(undone)):
        undone("savepoint one")
        undone("select pgmq_admin.drop_policy('q', %s)", name)
        undone("rollback to savepoint one")
    undone("select pgmq_admin.revoke_queue('q', %s, %s)", role, list(OPERATIONS))


def test_the_claim_of_nobody_equals_the_member_of_nothing_never(undone: Sql) -> None:
    undone("select pgmq_admin.create_policy('q', 'own_messages')")
    undone("""insert into pgmq.q_q (vt, message) select now(), m::jsonb from unnest(array[
        '{}', '{"user_id": null}', '{"user_id": ""}', '"sub"', 'null', '[]', '{"user_id": 7}', '{"user_id": {"a": 1}}'
    ]) as m""")
    for claims, expected in (
        ("{}", []),
        ('{"sub": null}', []),
        ('{"sub": 7}', [({"user_id": 7},)]),
        ('{"sub": "7"}', [({"user_id": 7},)]),
        ('{"sub": ""}', [({"user_id": ""},)]),
    ):
        assert undone("select message from pgmq_admin.messages_as('q', 'authenticated', %s)", claims) == expected


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ("'reader'", errors.InvalidParameterValue, 'template "reader" is unknown'),
        ("null", errors.InvalidParameterValue, 'template "" is unknown'),
        ("'consumer', claim => 'sub'", errors.InvalidParameterValue, "takes neither claim nor member"),
        ("'tenant', claim => ''", errors.InvalidParameterValue, "must not be empty"),
        ("'tenant', claim => 'user_metadata.tenant'", errors.InvalidParameterValue, "cannot be trusted"),
        ("'consumer', operations => '{read,send}'", errors.InvalidParameterValue, "does not allow all of these"),
        ("'consumer', operations => '{}'", errors.InvalidParameterValue, 'operation "" is unknown'),
        ("'tenant', 'nobody'", errors.UndefinedObject, 'role "nobody" does not exist'),
        ("'tenant', 'service_role'", errors.InvalidParameterValue, 'would not apply to role "service_role"'),
    ],
)
def test_what_makes_no_sense_is_refused(undone: Sql, arguments: str, error: type[Exception], message: str) -> None:
    undone("savepoint before")
    with pytest.raises(error, match=message):
        undone(f"select pgmq_admin.create_policy('q', {arguments})")
    undone("rollback to savepoint before")
    assert policies(undone) == []


def test_the_same_again_is_refused_and_says_so(undone: Sql) -> None:
    undone("select pgmq_admin.create_policy('q', 'consumer')")
    undone("savepoint before")
    with pytest.raises(
        errors.DuplicateObject, match=r'policy "consumer of authenticated: .*" on pgmq\.q_q already exists'
    ):
        undone("select pgmq_admin.create_policy('q', 'consumer')")
    undone("rollback to savepoint before")
    undone("select pgmq_admin.create_policy('q', 'consumer', 'anon')")
    undone("select pgmq_admin.drop_policy('q', policy_name) from (select distinct policy_name from"
           " pgmq_admin.list_policies('q')) as p")  # fmt: skip
    with pytest.raises(errors.UndefinedObject, match='queue "q" has no policy'):
        undone("select pgmq_admin.drop_policy('q', 'consumer of anon: select')")


def test_a_policy_is_changed_in_one_step_or_stays_as_it_is(undone: Sql) -> None:
    names = (
        "select array_agg(distinct policy_name) from pgmq_admin.list_policies('q') where policy_name like '%% of %%'"
    )
    undone("select pgmq_admin.create_policy('q', 'own_messages', operations => '{send}')")
    ((before,),) = undone(names)
    change = "select pgmq_admin.change_policy('q', %s, %s, operations => '{send,read}')"
    undone("savepoint before")
    for policies, template, error in (
        ([*before, "missing"], "tenant", errors.UndefinedObject),
        (before, "unknown", errors.InvalidParameterValue),
    ):
        with pytest.raises(error):
            undone(change, policies, template)
        undone("rollback to savepoint before")
    assert undone(names) == [(before,)]
    made = [name for (name,) in undone(change, before, "tenant")]
    ((after,),) = undone(names)
    assert sorted(made) == sorted(after)
    assert {name.partition(" ")[0] for name in after} == {"tenant"}
    assert undone("select operations from pgmq_admin.list_grants('q') where role = 'authenticated'") == [
        (["send", "read"],)
    ]


def test_u4_operations_are_allowed_one_by_one(undone: Sql) -> None:
    def allow(operation: str) -> set[str]:
        made = undone("select pgmq_admin.create_policy('q', 'consumer', operations => array[%s])", operation)
        return {row[0].rpartition(" ")[2] for row in made}

    assert allow("read") == {"select", "update"}
    assert undone("select operations from pgmq_admin.list_grants('q') where role = 'authenticated'") == [(["read"],)]
    assert allow("delete") == {"delete"}
    verdicts = "select operation from pgmq_admin.rights('q') where role = 'authenticated' and verdict = 'all'"
    assert undone(verdicts) == [("read",), ("pop",), ("delete",)]


def test_a_producer_loses_all_that_the_template_gave(undone: Sql) -> None:
    held = """
        select privilege_type::text from pg_class as c left join pg_attribute as a on a.attrelid = c.oid
        cross join lateral aclexplode(coalesce(a.attacl, c.relacl)) as p
        where c.oid = 'pgmq.q_q'::regclass and p.grantee = 'anon'::regrole group by 1 order by 1
    """
    undone("select pgmq_admin.create_policy('q', 'producer', 'anon')")
    assert undone(held) == [("INSERT",), ("SELECT",)]
    undone("select pgmq_admin.revoke_queue('q', 'anon', '{send}')")
    assert undone(held) == []


def test_without_row_level_security_nobody_gets_rights_by_a_template(undone: Sql) -> None:
    undone("select pgmq_admin.set_rls('q', false)")
    with pytest.raises(errors.InvalidParameterValue) as caught:
        undone("select pgmq_admin.create_policy('q', 'own_messages')")
    assert caught.value.diag.message_hint == "Turn row-level security on first: pgmq_admin.set_rls(queue_name, true)."


def test_row_level_security_is_switched_with_partitions_and_archive(undone: Sql) -> None:
    undone("create table pgmq.q_parted (like pgmq.q_q including all) partition by range (msg_id)")
    undone("create table pgmq.q_parted_p0 partition of pgmq.q_parted for values from (0) to (10)")
    undone("create table pgmq.a_parted (like pgmq.a_q)")
    undone("insert into pgmq.meta (queue_name, is_partitioned, is_unlogged) values ('parted', true, false)")
    on = "select relname::text from pg_class where relnamespace = 'pgmq'::regnamespace and relrowsecurity order by 1"
    undone("select pgmq_admin.set_rls('parted', true)")
    assert undone(on) == [("q_parted",), ("q_parted_p0",), ("q_q",)]
    undone("select pgmq_admin.set_rls('parted', true, archive => true)")
    assert undone(on) == [("a_parted",), ("q_parted",), ("q_parted_p0",), ("q_q",)]
    undone("select pgmq_admin.set_rls('parted', false)")
    assert undone(on) == [("a_parted",), ("q_q",)]
    with pytest.raises(errors.NullValueNotAllowed):
        undone("select pgmq_admin.set_rls('q', null)")


def test_nothing_of_a_callers_is_found_first_by_a_definer_function(db: Sql) -> None:
    """Types and tables are looked up first in pg_temp, where callers create some, unless search_path names it last."""
    unsafe = db("""
        select p.oid::regprocedure::text, p.proconfig from pg_proc as p
        where p.prosecdef and p.pronamespace::regnamespace::text in ('pgmq_admin', 'pgmq_gateway')
          and not coalesce(p.proconfig, '{}') && array['search_path=pg_catalog, pg_temp']
    """)
    assert unsafe == []


def test_a_domain_that_shadows_a_type_runs_nothing_as_the_owner(undone: Sql) -> None:
    undone("grant create on schema public to service_role")
    undone("set local role service_role")
    undone("create function pg_temp.evil(t text) returns boolean language plpgsql as $$ begin"
           " raise exception 'ran as %', current_user; end $$")  # fmt: skip
    for name in ("text", "regclass", "regnamespace", "oid", "name", "jsonb"):
        undone(f"create domain pg_temp.{name} as pg_catalog.text check (pg_temp.evil(value))")
    for call in ("rights('q')", "lint()", "grant_queue('q', 'anon', '{send}')", "revoke_queue('q', 'anon', '{send}')",
                 "create_policy('q', 'tenant')", "change_policy('q', '{}', 'consumer')",
                 "list_policies('q')", "set_rls('q', true)", "list_grants('q')",
                 "unexpose()", "expose()", "exposed()"):  # fmt: skip
        undone(f"select * from pgmq_admin.{call}")


def test_exposing_without_the_schema_names_the_command_that_creates_it(db: Sql) -> None:
    db("drop schema pgmq_public cascade")
    with pytest.raises(errors.InvalidSchemaName, match='schema "pgmq_public" does not exist') as caught:
        db("select pgmq_admin.expose()")
    assert caught.value.diag.message_hint == "Create it with pgmq-gateway install --replace."
    db("select pgmq_admin.unexpose()")
    assert db("select to_regnamespace('pgmq_public') is null, pgmq_admin.exposed()") == [(True, False)]
