"""The lint: each rule finds its mistake, and nothing in a correct queue."""

from collections.abc import Iterator

import pytest
from psycopg import errors

from tests.databases import Sql
from tests.sql.conftest import OPERATIONS

THROTTLE = "pgmq.notify_insert_throttle"
TOUCHING = "create function public.past() returns void {} language sql as 'delete from pgmq.meta where false'"
NOTING = "create function public.note() returns trigger language plpgsql as 'begin return null; end'"
NO_BYPASS = "alter role service_role nobypassrls"
INHERITING = ("create role lint_worker inherit", "grant service_role to lint_worker")
GROUPS = "select pgmq_admin.set_queue_settings('q', '{\"group_limit\": 1}')"
LIMITED = "select pgmq_admin.set_queue_settings('q', '{\"group_limit\": 1, \"max_receives\": 3}')"
WOKEN = "select pgmq_admin.set_queue_settings('q', '{\"wake\": true}')"
BURIED = """select pgmq_admin.create_queue('dead'),
    pgmq_admin.set_queue_settings('q', '{"max_receives": 1, "dead_letter_queue": "dead"}')"""
BURY = """insert into pgmq.q_q (vt, read_ct, message) values (now(), 1, '1');
    select pgmq_gateway.maintain_queue('bury dead messages', 'q_q', 'infinity')"""
LEVELS = dict.fromkeys(("service_policy", "notify_right", "foreign_trigger", "caller_owns", "definer_role"), "error")
# Other findings are only information.
MISTAKES = "from pgmq_admin.lint() where level <> 'info'"
BROKEN = {
    "service_policy": [NO_BYPASS],
    "service_member": [*INHERITING, NO_BYPASS, "select pgmq_admin.set_rls('q', true)"],
    "rls_off": ["select pgmq_admin.set_rls('q', false)"],
    "silent_policy": ["select pgmq_admin.grant_queue('q', 'anon', '{read}')",
                      "create policy p on pgmq.q_q for select to anon using (true)"],
    "definer_function": [TOUCHING.format("security definer")],
    "unlogged_in_use": ["select pgmq_admin.create_queue('u', 'unlogged')", "select pgmq.send('u', '1')"],
    "notify_row": ["select pgmq.enable_notify_insert('q')", f"truncate {THROTTLE}"],
    "notify_right": ["select pgmq_admin.create_policy('q', 'producer')", "select pgmq.enable_notify_insert('q')"],
    "half_right": ["grant insert on pgmq.q_q to anon"],
    "no_time_limit": ["alter role anon reset statement_timeout"],
    "excess_privilege": ["grant trigger, references, truncate on pgmq.a_q to service_role"],
    "foreign_trigger": [NOTING, "alter function public.note() owner to service_role",
                        "create trigger t after insert on pgmq.q_q execute function public.note()"],
    "caller_owns": [TOUCHING.format(""), "alter function public.past() owner to anon"],
    "group_without_max_receives": [GROUPS],
    "open_groups": [LIMITED, "select pgmq_admin.grant_queue('q', 'anon', '{send}')",
                    "create policy p on pgmq.q_q to anon using (true)"],
    "notified_twice": [WOKEN, "select pgmq.enable_notify_insert('q')"],
    "wake_without_trigger": [WOKEN, "drop trigger pgmq_settings_wake on pgmq.q_q"],
    "failed_burials": [BURIED, "alter table pgmq.q_dead add check (message <> '1')", BURY],
    "unread_dead_letters": [BURIED, "revoke select on pgmq.q_dead from service_role"],
    "definer_access": ["revoke delete on pgmq.a_q from pgmq_definer"],
    "definer_role": ["alter role pgmq_definer login createdb"],
}  # fmt: skip
IN_ORDER = {
    "service_policy": [NO_BYPASS, "select pgmq_admin.set_rls('q', true), pgmq_admin.create_queue('other')"],
    "service_member": INHERITING,
    "rls_off": ["select pgmq_admin.set_rls('q', false)", "select pgmq_admin.unexpose()"],
    "silent_policy": ["select pgmq_admin.grant_queue('q', 'anon', '{read}')",
                      "create policy p on pgmq.q_q to anon using (true)"],
    "definer_function": [TOUCHING.format("security definer"), "revoke execute on function public.past() from public"],
    "unlogged_in_use": ["select pgmq_admin.create_queue('u', 'unlogged')", "select pgmq.send('q', '1')"],
    "notify_row": ["select pgmq.enable_notify_insert('q')"],
    "notify_right": ["select pgmq.enable_notify_insert('q')", "select pgmq_admin.create_policy('q', 'producer')"],
    "half_right": ["select pgmq_admin.create_policy('q', 'producer')"],
    "no_time_limit": ["alter role anon set statement_timeout = '1min'",
                      "alter role service_role reset statement_timeout"],
    "excess_privilege": ["grant trigger, references, truncate on pgmq.a_q to pg_monitor"],
    "foreign_trigger": [NOTING, "create trigger t after insert on pgmq.q_q when (true) execute function public.note()"],
    "caller_owns": ["create function public.other() returns void language sql as ''",
                    "alter function public.other() owner to anon", TOUCHING.format("")],
    "group_without_max_receives": [LIMITED],
    "open_groups": [LIMITED, "select pgmq_admin.grant_queue('q', 'anon', '{send}')",
                    "select pgmq_admin.grant_queue('q', 'authenticated', '{send}')",
                    "create policy p on pgmq.q_q to anon using (headers ->> 'x-pgmq-group' = 'anon')",
                    "create policy r on pgmq.q_q to authenticated using (true)",
                    "create policy s on pgmq.q_q as restrictive to authenticated using (headers ? 'x-pgmq-group')"],
    "notified_twice": ["select pgmq.enable_notify_insert('q')"],
    "wake_without_trigger": [WOKEN],
    "failed_burials": [BURIED, BURY, "alter table pgmq.q_dead add check (message <> '1') not valid",
                       BURY, "update pgmq_settings.burials set failed_at = now() - interval '3 hours'"],
    "unread_dead_letters": [BURIED, "revoke delete on pgmq.q_dead from service_role"],
    "definer_access": ["alter role pgmq_definer nobypassrls", "select pgmq_gateway.grant_definer_access('q')"],
    "definer_role": ["create role other_installer", "grant pgmq_definer to other_installer"],
}  # fmt: skip


@pytest.fixture
def lint(db: Sql) -> Iterator[Sql]:
    """An installed database with a queue `q`. All changes are undone at the end, also those of roles."""
    db("begin")
    db("select pgmq_admin.create_queue('q')")
    yield db
    db("rollback")


@pytest.mark.parametrize("rule", BROKEN)
def test_a_rule_finds_what_it_is_for_and_nothing_else(lint: Sql, rule: str) -> None:
    for statement in BROKEN[rule]:
        lint(statement)
    ((found, level, message, hint),) = lint(f"select rule, level, message, hint {MISTAKES}")
    assert (found, level) == (rule, LEVELS.get(rule, "warning"))
    assert message.endswith(".") or "lacks" in message
    assert hint.endswith(".")


@pytest.mark.parametrize("rule", IN_ORDER)
def test_a_rule_is_silent_where_all_is_in_order(lint: Sql, rule: str) -> None:
    for statement in IN_ORDER[rule]:
        lint(statement)
    assert lint(f"select * {MISTAKES}") == []


def test_an_open_queue_is_an_error_as_soon_as_somebody_gets_in(lint: Sql) -> None:
    lint("select pgmq_admin.set_rls('q', false), pgmq_admin.grant_queue('q', 'anon', '{send, read}')")
    assert lint("select rule, level, message from pgmq_admin.lint('q')") == [
        ("rls_off", "error", "Row-level security is off, so these roles can access all messages: anon (read, send).")
    ]


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (["grant delete on pgmq.q_q to anon"],
         "anon cannot delete: it has DELETE on pgmq.q_q and lacks SELECT on pgmq.q_q"),
        (["grant update on pgmq.q_q to anon"],
         "anon cannot read: it has UPDATE on pgmq.q_q and lacks SELECT on pgmq.q_q"),
        (["grant select, delete on pgmq.q_q to anon", "grant insert on pgmq.a_q to anon",
          "create policy p on pgmq.q_q using (true)"],
         "anon cannot archive: it lacks SELECT on pgmq.a_q"),
        (["select pgmq_admin.create_policy('q', 'consumer')",
          "revoke usage on schema pgmq_public, pgmq_api from authenticated",
          "revoke select, delete, insert on pgmq.a_q from authenticated",
          "revoke delete on pgmq.q_q from authenticated", "revoke update on pgmq.q_q from authenticated",
          "grant select, update on pgmq.q_q to authenticated"],
         "authenticated cannot read: it has the privileges on the tables, but authenticated lacks USAGE on "
         "schema pgmq_public: grant it with pgmq_admin.grant_queue()."),
    ],
)  # fmt: skip
def test_a_half_right_names_its_other_half(lint: Sql, statements: list[str], message: str) -> None:
    for statement in statements:
        lint(statement)
    assert lint("select rule, message from pgmq_admin.lint('q')") == [("half_right", message)]


def test_a_role_of_requests_is_no_member_of_pgmq_definer(lint: Sql) -> None:
    lint("create role movers; grant pgmq_definer to movers; grant movers to anon")
    found = lint("select level, split_part(message, ',', 1) from pgmq_admin.lint() where rule = 'definer_role'")
    assert found == [("error", "anon"), ("error", "movers")]


@pytest.mark.parametrize(
    ("statements", "hint"),
    [
        (["drop policy \"pgmq_definer: all messages\" on pgmq.q_q"], "pgmq-gateway install restores them."),
        (["create policy p on pgmq.q_q as restrictive using (true)"],
         "Name the roles that it is for (alter policy p on pgmq.q_q to …), or as a superuser run: "
         "alter role pgmq_definer bypassrls."),
    ],
)  # fmt: skip
def test_without_bypassrls_pgmq_definer_needs_policies(lint: Sql, statements: list[str], hint: str) -> None:
    lint("alter role pgmq_definer nobypassrls; select pgmq_gateway.grant_definer_access('q')")
    for statement in statements:
        lint(statement)
    assert lint("select rule, hint from pgmq_admin.lint('q')") == [("definer_access", hint)]


def test_max_receives_without_a_dead_letter_queue_is_information(lint: Sql) -> None:
    lint("select pgmq_admin.set_queue_settings('q', '{\"max_receives\": 1}')")
    assert lint("select rule, level from pgmq_admin.lint('q')") == [("no_dead_letter_queue", "info")]


def test_a_partitioned_queue_cannot_notify(lint: Sql) -> None:
    lint("create table pgmq.q_parted (like pgmq.q_q including all) partition by range (msg_id)")
    lint("create table pgmq.a_parted (like pgmq.a_q)")
    lint("insert into pgmq.meta (queue_name, is_partitioned, is_unlogged) values ('parted', true, false)")
    lint("select pgmq_admin.set_rls('parted', true), pgmq.enable_notify_insert('parted')")
    ((rule, hint),) = lint("select rule, hint from pgmq_admin.lint('parted') where level <> 'info'")
    assert (rule, hint) == ("notify_row", "pgmq_admin.disable_notify('parted') removes the useless trigger.")


def test_a_wrapper_of_somebody_elses_is_an_error(lint: Sql) -> None:
    lint("alter function pgmq_public.read(text, integer, integer) security definer")
    ((level, message),) = lint("select level, message from pgmq_admin.lint() where rule = 'definer_function'")
    assert level == "error"
    assert message.startswith("pgmq_public.read(text,integer,integer) is SECURITY DEFINER")


def test_a_queue_whose_calls_cannot_share_is_reported(lint: Sql) -> None:
    lint("select pgmq.enable_notify_insert('q')")
    lint("create policy p on pgmq.q_q using (pg_try_advisory_xact_lock(1))")
    for queue in ("'q'", ""):
        ((name, level, message),) = lint(f"select queue_name, level, message from pgmq_admin.lint({queue})")
        assert (name, level) == ("q", "info")
        assert "Table pgmq.q_q has the trigger trigger_notify_queue_insert_listeners." in message
        assert "Policy p of pgmq.q_q calls pg_try_advisory_xact_lock(bigint)" in message


def test_a_function_that_keeps_calls_from_sharing_is_reported_once(lint: Sql) -> None:
    lint("select pgmq_admin.create_queue('other')")
    lint("alter function pgmq_public.send set work_mem = '1MB'")
    rows = lint("select queue_name, level, message from pgmq_admin.lint()")
    assert [row[:2] for row in rows] == [(None, "info")]
    assert rows[0][2].endswith("Function pgmq_public.send(text,jsonb,integer) is not that of pgmq or Supabase.")
    assert [name for (name,) in lint("select queue_name from pgmq_admin.lint('q')")] == ["q"]


def test_a_queue_is_looked_at_alone_when_it_is_named(lint: Sql) -> None:
    lint("select pgmq_admin.create_queue('other', rls => false)")
    assert lint("select * from pgmq_admin.lint('q')") == []
    assert lint("select queue_name, rule from pgmq_admin.lint('other')") == [("other", "rls_off")]
    with pytest.raises(errors.UndefinedTable, match='queue "none" does not exist'):
        lint("select * from pgmq_admin.lint('none')")


def test_templates_leave_nothing_to_find(lint: Sql) -> None:
    for template in ("own_messages", "tenant", "consumer"):
        lint("select pgmq_admin.create_policy('q', %s)", template)
    lint("select pgmq_admin.create_policy('q', 'producer', 'anon')")
    assert lint("select * from pgmq_admin.lint()") == []
    assert set(OPERATIONS) == {row[0] for row in lint("select operation from pgmq_admin.rights('q')")}


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("alter table pgmq.a_q owner to service_role", "table pgmq.a_q is owned by service_role, which requests can"),
        ("create policy p on pgmq.q_q using (public.mine())", "function public.mine() is owned by anon, which"),
        ("create trigger t before truncate on pgmq.q_q when (true) execute function public.note()",
         'Trigger "t" on pgmq.q_q has a WHEN condition, so functions that run as '),
        ("grant trigger on all tables in schema pgmq to public",
         "Every role has privileges that no call needs: TRIGGER on pgmq.a_q, TRIGGER on pgmq.q_q."),
    ],
)  # fmt: skip
def test_code_of_others_is_found_on_the_tables_of_one_queue(lint: Sql, statement: str, message: str) -> None:
    lint(NOTING)
    lint("create function public.mine() returns boolean language sql as 'select true'")
    lint("alter function public.mine() owner to anon")
    lint("select pgmq_admin.create_queue('other')")
    lint(statement)
    assert lint("select * from pgmq_admin.lint('other') where rule <> 'excess_privilege'") == []
    ((queue, found),) = lint("select queue_name, message from pgmq_admin.lint('q') where level <> 'info'")
    assert (queue, found[: len(message)]) == ("q", message)


def test_privileges_that_the_operator_keeps_are_no_finding(lint: Sql) -> None:
    lint("grant all on all tables in schema pgmq to service_role")
    assert {row[0] for row in lint("select rule from pgmq_admin.lint()")} == {"excess_privilege"}
    lint("insert into pgmq_gateway.install_options values ('keep_trigger', 'true')")
    assert lint("select * from pgmq_admin.lint()") == []
