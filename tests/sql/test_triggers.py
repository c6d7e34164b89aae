"""SECURITY DEFINER functions run no code of other roles, whatever triggers are on the tables that they write."""

from contextlib import suppress

import pytest
from psycopg import errors

from tests.databases import Sql

ESCALATE = """create function pg_temp.escalate() returns trigger language plpgsql as
    'begin alter role service_role superuser; return null; end'"""
REPORT = "create function pg_temp.report() returns trigger language plpgsql as $$ begin raise 'ran as %', user; end $$"
# A call of each SECURITY DEFINER function, on the queue `x`, which notifies.
SETTINGS = '{"max_message_bytes": 100, "group_limit": 1, "wake": true}'
CALLS = {
    "pgmq_admin.change_policy": "pgmq_admin.change_policy('x', '{p}', 'consumer')",
    "pgmq_admin.create_policy": "pgmq_admin.create_policy('x', 'consumer')",
    "pgmq_admin.create_queue": "pgmq_admin.create_queue('y')",
    "pgmq_admin.database_status": "pgmq_admin.database_status()",
    "pgmq_admin.disable_notify": "pgmq_admin.disable_notify('x')",
    "pgmq_admin.drop_policy": "pgmq_admin.drop_policy('x', 'p')",
    "pgmq_admin.drop_queue": "pgmq_admin.drop_queue('x')",
    "pgmq_admin.enable_notify": "pgmq_admin.enable_notify('x')",
    "pgmq_admin.expose": "pgmq_admin.expose()",
    "pgmq_admin.exposed": "pgmq_admin.exposed()",
    "pgmq_admin.grant_queue": "pgmq_admin.grant_queue('x', 'anon', '{send,read,pop,archive,delete}')",
    "pgmq_admin.history": "pgmq_admin.history()",
    "pgmq_admin.lint": "pgmq_admin.lint()",
    "pgmq_admin.list_actions": "pgmq_admin.list_actions()",
    "pgmq_admin.list_grants": "pgmq_admin.list_grants('x')",
    "pgmq_admin.list_policies": "pgmq_admin.list_policies('x')",
    "pgmq_admin.list_queues": "pgmq_admin.list_queues()",
    "pgmq_admin.purge_queue": "pgmq_admin.purge_queue('x')",
    "pgmq_admin.queue_status": "pgmq_admin.queue_status('x')",
    "pgmq_admin.queue_settings": "pgmq_admin.queue_settings('x')",
    "pgmq_admin.revoke_queue": "pgmq_admin.revoke_queue('x', 'anon', '{send}')",
    "pgmq_admin.rights": "pgmq_admin.rights('x')",
    "pgmq_admin.set_queue_settings": f"pgmq_admin.set_queue_settings('x', '{SETTINGS}')",
    "pgmq_admin.set_rls": "pgmq_admin.set_rls('x', true)",
    "pgmq_admin.unexpose": "pgmq_admin.unexpose()",
    "pgmq_gateway.claim_key": "pgmq_gateway.claim_key('k', 1::bigint, 'f', '1s')",
    "pgmq_gateway.database_metrics": "pgmq_gateway.database_metrics()",
    "pgmq_gateway.found_messages": "pgmq_gateway.found_messages((select c.oid::regclass from pg_class as c"
    " where c.relname = 'q_x'), null, 1::float8, '{}', '{}', 10)",
    "pgmq_gateway.maintain": "pgmq_gateway.maintain(60000)",
    "pgmq_gateway.probe_queues": "pgmq_gateway.probe_queues('{x}')",
    "pgmq_gateway.queue_metrics": "pgmq_gateway.queue_metrics(10)",
    "pgmq_gateway.remove_expired_keys": "pgmq_gateway.remove_expired_keys(1)",
    "pgmq_gateway.store_answers": "pgmq_gateway.store_answers('{k}', '{f}', 60, '', null, '{1}', null, null, '{x}')",
    "pgmq_gateway.take_sample": "pgmq_gateway.take_sample(30, 7)",
    "pgmq_settings.arrange_groups": "pgmq_settings.arrange_groups('q_x', 1)",
    "pgmq_settings.bury": "pgmq_settings.bury('q_x', '{1}')",
    "pgmq_settings.bury_unread": "pgmq_settings.bury_unread('q_x', 0::bigint, 'infinity')",
    "pgmq_settings.claim_ids": "pgmq_settings.claim_ids('q_x', '', '{a}', 300)",
    "pgmq_settings.notify_wake": "public.insert_woken()",
    "pgmq_settings.record_action": "pgmq_settings.record_action('x', 'send', 1::bigint)",
    "pgmq_settings.record_ids": "pgmq_settings.record_ids('q_x', '', '{a}', '{1}')",
    "pgmq_settings.sweep_groups": "pgmq_settings.sweep_groups('q_x', 1, '', 'infinity')",
    "pgmq_settings.trim_archive": "pgmq_settings.trim_archive('q_x', 0::bigint, 0::bigint, 'infinity')",
}
# Functions that only the owner can call.
BY_OWNER = ("_groups(", "bury_unread(", "trim_archive(")
REFUSED = (
    r'^(trigger "\w+" on \S+ (runs a function of role service_role|has a WHEN condition)|table \S+ is owned by role)'
)

# For each function one more of the same name, in which the n-th argument type that Postgres can convert is another one.
# A call that relies on a conversion selects the new function.
OVERLOADS = """
do $overloads$
declare
    made text;
begin
    for made in
        with others as (
            select p.oid, a.place, t.other, row_number() over (partition by p.oid order by a.place, t.other) as n
            from pg_proc as p
            cross join unnest(p.proargtypes) with ordinality as a (type, place)
            join (values
                ('text', 'varchar'), ('text', 'name'), ('name', 'text'), ('oid', 'regclass'), ('oid', 'regrole'),
                ('regclass', 'oid'), ('oid[]', 'regclass[]'), ('regclass[]', 'oid[]'), ('bigint', 'integer')
            ) as t (type, other) on a.type = t.type::regtype
            where p.pronamespace in ('pgmq'::regnamespace, 'pgmq_gateway'::regnamespace, 'pgmq_settings'::regnamespace)
              and p.prokind = 'f'
        )
        select format(
            'create function %s(%s) returns %s language plpgsql as $$ begin assert false, user; end $$',
            o.oid::regproc,
            (
                select string_agg(case place when o.place then o.other else type::regtype::text end, ',' order by place)
                from unnest(p.proargtypes) with ordinality as a (type, place)
            ),
            pg_get_function_result(p.oid))
        from others as o
        join pg_proc as p on p.oid = o.oid
        where o.n = NUMBER
    loop
        begin
            execute made;
        exception when duplicate_function or ambiguous_function then
        end;
    end loop;
end;
$overloads$
"""


@pytest.fixture
def attacked(db: Sql) -> Sql:
    """A database with a queue `x`, where somebody has granted everything to service_role. Changes are undone."""
    db("begin")
    db("select pgmq_admin.create_queue('x'), pgmq_admin.enable_notify('x'), pgmq_public.send('x', '{}')")
    db("create policy p on pgmq.q_x using (true)")
    db("grant all on all tables in schema pgmq, pgmq_gateway, pgmq_settings to service_role")
    db("grant create on schema pgmq, public to service_role")
    # Fires a trigger as a queue does, and no other ones.
    db("create table public.woken (); grant insert on public.woken to service_role")
    db("create trigger wake after insert on public.woken for each statement"
       " execute function pgmq_settings.notify_wake(100)")  # fmt: skip
    db("create function public.insert_woken() returns void language sql as 'insert into public.woken default values'")
    return db


def serve(sql: Sql, call: str) -> None:
    """Run a call as service_role, or as the login role or the owner if that is who calls it."""
    role = "authenticator" if call.startswith("pgmq_gateway.") else "service_role"
    sql(f"set local role {'none' if any(name in call for name in BY_OWNER) else role}")
    sql(f"select * from {call}")


@pytest.mark.parametrize(
    ("attack", "call"),
    [
        ("create trigger t before truncate on pgmq.q_x {}", "purge_queue('x')"),
        ("create trigger t after truncate on pgmq.q_x {}", "purge_queue('x')"),
        ("create trigger t before insert on pgmq.meta {}", "create_queue('y')"),
        ("create trigger t after delete on pgmq.meta {}", "drop_queue('x')"),
        ("create constraint trigger t after insert on pgmq.meta deferrable initially deferred for each row {}",
         "create_queue('y')"),
        # By the foreign keys of pgmq and of another table.
        ("create trigger t before delete on pgmq.topic_bindings {}", "drop_queue('x')"),
        ("create table public.mine (queue_name text references pgmq.meta (queue_name) on delete cascade);"
         "insert into public.mine values ('x'); create trigger t after delete on public.mine {}", "drop_queue('x')"),
    ],
)  # fmt: skip
def test_a46_a_trigger_of_service_role_does_not_make_it_a_superuser(attacked: Sql, attack: str, call: str) -> None:
    attacked("set local role service_role")
    attacked(ESCALATE)
    for statement in attack.format("execute function pg_temp.escalate()").split(";"):
        attacked(statement)
    attacked("savepoint attack")
    with pytest.raises(errors.InsufficientPrivilege, match=REFUSED) as caught:
        serve(attacked, f"pgmq_admin.{call}")
    assert (caught.value.diag.message_hint or "").endswith(";")
    attacked("rollback to attack; reset role; set constraints all immediate")
    assert attacked("select rolsuper from pg_roles where rolname = 'service_role'") == [(False,)]


def test_a46_a_condition_of_a_trigger_is_not_evaluated(attacked: Sql) -> None:
    attacked("set local role service_role")
    condition = "query_to_xml('select 1 / 0', true, true, '') is null"
    function = "suppress_redundant_updates_trigger()"
    attacked(f"create trigger t before truncate on pgmq.q_x when ({condition}) execute function {function}")
    with pytest.raises(errors.InsufficientPrivilege, match=REFUSED):
        serve(attacked, "pgmq_admin.purge_queue('x')")


def test_triggers_of_the_owner_do_not_matter(attacked: Sql) -> None:
    attacked("create table public.noted (a text)")
    attacked("create function public.note() returns trigger language plpgsql as"
             " 'begin insert into public.noted values (tg_op); return null; end'")  # fmt: skip
    attacked("create trigger t after truncate on pgmq.q_x execute function public.note()")
    attacked("create trigger t after delete on pgmq.meta execute function public.note()")
    serve(attacked, "pgmq_admin.purge_queue('x')")
    serve(attacked, "pgmq_admin.drop_queue('x')")
    attacked("reset role")
    assert {a for (a,) in attacked("select a from public.noted")} == {"TRUNCATE", "DELETE"}


def test_a_purge_is_not_refused_for_triggers_that_it_does_not_fire(attacked: Sql) -> None:
    attacked("set local role service_role")
    attacked(REPORT)
    attacked("create trigger t after insert or update or delete on pgmq.q_x execute function pg_temp.report()")
    serve(attacked, "pgmq_admin.purge_queue('x')")
    assert attacked("select count(*) from pgmq.q_x") == [(0,)]


@pytest.mark.parametrize("what", ["table pgmq.q_x", "function pgmq.purge_queue(text)"])
def test_what_a_role_of_requests_owns_is_not_used(attacked: Sql, what: str) -> None:
    attacked(f"alter {what} owner to service_role")
    with pytest.raises(errors.InsufficientPrivilege, match="is owned by role service_role") as caught:
        serve(attacked, "pgmq_admin.purge_queue('x')")
    assert what in str(caught.value.diag.message_hint)


def test_a_function_of_a_policy_that_a_role_of_requests_owns_is_not_run(attacked: Sql) -> None:
    attacked("create function public.mine() returns boolean language sql as 'select true'")
    attacked("create policy mine on pgmq.q_x using (public.mine())")
    serve(attacked, "pgmq_admin.queue_status('x')")
    attacked("reset role; alter function public.mine() owner to anon")
    with pytest.raises(errors.InsufficientPrivilege, match=r"function public\.mine\(\) is owned by role anon"):
        serve(attacked, "pgmq_admin.queue_status('x')")


def test_rows_of_a_table_that_a_role_of_requests_owns_are_not_read(attacked: Sql) -> None:
    attacked("alter table pgmq.q_x owner to service_role")
    assert attacked("select queue_name, messages from pgmq_admin.list_queues()") == [("x", None)]
    assert attacked("select pgmq_gateway.take_sample(30, 7)") == [(30,)]
    with pytest.raises(errors.InsufficientPrivilege, match=r"table pgmq\.q_x is owned by role service_role"):
        serve(attacked, "pgmq_admin.queue_status('x')")


def test_the_calls_are_those_of_all_definer_functions(db: Sql) -> None:
    rows = db("""
        select format('%s.%s', n.nspname, p.proname)
        from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
        where p.prosecdef and n.nspname like 'pgmq%'
    """)
    assert {name for (name,) in rows} == CALLS.keys()


@pytest.mark.parametrize("name", CALLS)
def test_a46_a_definer_function_runs_no_trigger_of_service_role(attacked: Sql, name: str) -> None:
    tables = [
        table for (table,) in attacked("""
            select format('%s.%s', n.nspname, c.relname)
            from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p') and n.nspname in ('pgmq', 'pgmq_gateway', 'pgmq_settings')
        """)
    ]  # fmt: skip
    assert {"pgmq.meta", "pgmq.q_x", "pgmq.a_x", "pgmq_gateway.samples"} <= set(tables)
    attacked("set local role service_role")
    attacked(REPORT)
    attacked("savepoint attack")
    serve(attacked, CALLS[name])
    attacked("rollback to attack")
    for table in tables:
        for kind, events in (
            ("statement", "insert or update or delete or truncate"),
            ("row", "insert or update or delete"),
        ):
            on = f"{table} for each {kind}"
            attacked(f"create trigger {kind} before {events} on {on} execute function pg_temp.report()")
        with suppress(errors.InsufficientPrivilege):
            serve(attacked, CALLS[name])
        attacked("rollback to attack")


@pytest.mark.parametrize("number", range(1, 8))
def test_a46_a_definer_function_calls_no_other_function_of_that_name(attacked: Sql, number: int) -> None:
    attacked("grant create on schema pgmq_gateway, pgmq_settings to service_role")
    attacked("set local role service_role")
    attacked(OVERLOADS.replace("NUMBER", str(number)))
    attacked("savepoint attack")
    for call in CALLS.values():
        with suppress(errors.AmbiguousFunction, errors.InsufficientPrivilege):
            serve(attacked, call)
        attacked("rollback to attack")
