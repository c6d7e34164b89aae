"""Grants on queues: exactly the privileges that each operation needs are granted, shown and revoked."""

import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import errors

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.install.installer import check, install
from tests.databases import Sql, runner
from tests.sql.conftest import OPERATIONS, Connect, as_role, connected

# Privileges that each operation needs on q_<queue> and on a_<queue>.
NEEDED = {
    "send": ({"INSERT", "SELECT"}, set()),
    "read": ({"SELECT", "UPDATE"}, set()),
    "pop": ({"SELECT", "UPDATE", "DELETE"}, set()),
    "archive": ({"SELECT", "DELETE"}, {"INSERT", "SELECT"}),
    "delete": ({"SELECT", "DELETE"}, set()),
}

ARGUMENTS = {"send": "%s, '{}'", "read": "%s, 60, 1", "pop": "%s", "archive": "%s, 1000", "delete": "%s, 1000"}

Grant = Callable[..., None]
SINGLE_RIGHTS = [
    (operation, table, right)
    for operation, rights in NEEDED.items()
    for table, needed in zip("qa", rights, strict=True)
    for right in sorted(needed)
]


def rights(sql: Sql, table: str, role: str) -> set[str]:
    """The privileges granted to a role itself on a table of pgmq."""
    rows = sql(
        "select a.privilege_type from pg_class as c, aclexplode(c.relacl) as a"
        " where c.oid = %s::regclass and a.grantee = %s::regrole",
        f'pgmq."{table}"', role,
    )  # fmt: skip
    return {right for (right,) in rows}


def both(sql: Sql, queue: str, role: str) -> tuple[set[str], set[str]]:
    """The privileges of a role on a queue and on its archive."""
    return rights(sql, f"q_{queue}", role), rights(sql, f"a_{queue}", role)


def attempt(sql: Sql, role: str, operation: str, queue: str) -> list[tuple[object, ...]]:
    """Run an operation in a role; the queue has a message with the id 1000."""
    message = "(msg_id, vt, message) overriding system value values (1000, now(), '{}')"
    sql(f"insert into pgmq.q_{queue} {message} on conflict do nothing")
    return as_role(sql, role, f"select * from pgmq_public.{operation}({ARGUMENTS[operation]})", queue)


def granted(sql: Sql, queue: str, role: str) -> list[str]:
    """The operations that list_grants shows for a role."""
    rows = sql("select operations from pgmq_admin.list_grants(%s) where role = %s", queue, role)
    return list(rows[0][0]) if rows else []


@pytest.fixture
def odd_role(sql: Sql) -> Iterator[str]:
    """The name of a role that needs quoting, quoted."""
    name = f'"Odd ""role"" {uuid.uuid4().hex[:8]}"'
    sql(f"create role {name}")
    yield name
    sql(f"drop owned by {name}")
    sql(f"drop role {name}")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_gives_exactly_the_rights_it_needs(sql: Sql, queue: str, grant: Grant, operation: str) -> None:
    assert both(sql, queue, "anon") == (set(), set())
    grant("anon", operation)
    assert both(sql, queue, "anon") == NEEDED[operation]
    grant("anon", operation)
    assert both(sql, queue, "anon") == NEEDED[operation]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.usefixtures("no_rls")
def test_an_operation_that_is_granted_works_and_no_other(sql: Sql, queue: str, grant: Grant, operation: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege, match=f"permission denied for table [qa]_{queue}"):
        attempt(sql, "anon", operation, queue)
    grant("anon", operation)
    assert len(attempt(sql, "anon", operation, queue)) == 1
    for other in OPERATIONS:
        possible = all(need <= have for need, have in zip(NEEDED[other], NEEDED[operation], strict=True))
        assert (other in granted(sql, queue, "anon")) == possible
        if not possible:
            with pytest.raises(errors.InsufficientPrivilege):
                attempt(sql, "anon", other, queue)


@pytest.mark.parametrize(("operation", "table", "right"), SINGLE_RIGHTS)
@pytest.mark.usefixtures("no_rls")
def test_an_operation_fails_with_one_right_fewer(
    sql: Sql, queue: str, grant: Grant, operation: str, table: str, right: str
) -> None:
    grant("anon", operation)
    sql(f"revoke {right} on pgmq.{table}_{queue} from anon")
    with pytest.raises(errors.InsufficientPrivilege):
        attempt(sql, "anon", operation, queue)
    assert operation not in granted(sql, queue, "anon")


def test_sending_a_batch_is_sending(sql: Sql, queue: str, grant: Grant, consumer: str) -> None:
    sql(f"alter table pgmq.q_{queue} disable row level security")
    grant(consumer, "send")
    batch = "select * from pgmq_public.send_batch(%s, array['1', '2']::jsonb[], 5)"
    assert as_role(sql, consumer, batch, queue) == [(1,), (2,)]


def test_row_level_security_decides_after_the_grant(sql: Sql, queue: str, grant: Grant) -> None:
    grant("anon", *OPERATIONS)
    with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
        attempt(sql, "anon", "send", queue)
    assert attempt(sql, "anon", "read", queue) == []
    assert attempt(sql, "anon", "delete", queue) == [(False,)]
    sql(f"create policy mine on pgmq.q_{queue} to anon using (true)")
    assert len(attempt(sql, "anon", "read", queue)) == 1


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_role_of_ones_own_needs_nothing_but_the_grant(
    directory: DataDirectory, connect: Connect, sql: Sql, queue: str, grant: Grant, consumer: str, operation: str
) -> None:
    sql(f"alter table pgmq.q_{queue} disable row level security")
    sql(f"insert into pgmq.q_{queue} (msg_id, vt) overriding system value values (1000, now())")
    gateway = runner(connect(socket_uri(directory, "authenticator")))
    statement = f"select * from pgmq_public.{operation}({ARGUMENTS[operation]})"
    with pytest.raises(errors.InsufficientPrivilege, match="permission denied for schema pgmq_public"):
        as_role(gateway, consumer, statement, queue)
    grant(consumer, operation)
    assert len(as_role(gateway, consumer, statement, queue)) == 1
    assert operation in granted(sql, queue, consumer)


def test_a_role_of_ones_own_needs_nothing_when_everybodys_rights_were_taken(db: Sql) -> None:
    role = f"strict_{uuid.uuid4().hex[:12]}"
    for (function,) in db(
        "select oid::regprocedure::text from pg_proc where pronamespace::regnamespace::text in ('pgmq', 'pgmq_public')"
        " and proname in ('send', 'send_batch', 'read', 'pop', 'archive', 'delete')"
    ):
        db(f"revoke execute on function {function} from public")
    db(f"create role {role}")
    try:
        db("select pgmq_admin.create_queue('q', rls => false)")
        db("select pgmq_admin.grant_queue('q', %s, %s)", role, list(OPERATIONS))
        for operation in OPERATIONS:
            attempt(db, role, operation, "q")
    finally:
        db(f"drop owned by {role}")
        db(f"drop role {role}")


async def test_install_grants_the_functions_that_a_release_adds(owner: Sql, worker: str, installed: str) -> None:
    owner("select pgmq_admin.create_queue('q', rls => false), pgmq_admin.grant_queue('q', %s, '{send}')", worker)
    functions = "select functions from pgmq_admin.rights('q') where role = %s and operation = 'send'"
    before = owner(functions, worker)
    assert "send_entries" in before[0][0]
    # As if the release that has granted them had not had these.
    owner(f"revoke select on pgmq_settings.settings from {worker}")
    owner(f"revoke execute on function pgmq_settings.visible_at, pgmq_settings.check_batch from {worker}")
    assert owner(functions, worker) == [([],)]
    lost = [
        f"SELECT on pgmq_settings.settings for {worker}", f"EXECUTE on 2 functions of pgmq_settings for {worker}"
    ]  # fmt: skip
    async with connected(installed) as connection:
        assert [finding.what for finding in await check(connection)] == lost
        assert await install(connection) == [f"restored: {what}" for what in lost]
        assert await check(connection) == []
    assert owner(functions, worker) == before
    assert as_role(owner, worker, "select pgmq_api.send('q', '{}')") == [(1,)]


def test_a_grant_copies_no_privileges_of_service_role(db: Sql) -> None:
    db("select pgmq_admin.create_queue('q')")
    db("begin; grant all on all functions in schema pgmq_settings to service_role")
    db("select pgmq_admin.grant_queue('q', 'anon', '{send}')")
    assert db("select has_function_privilege('anon', 'pgmq_settings.keep_parked()', 'execute')") == [(False,)]
    db("rollback")


@pytest.mark.usefixtures("no_rls")
def test_a_queue_that_notifies_can_be_sent_to_after_the_grant(
    sql: Sql, queue: str, grant: Grant, consumer: str
) -> None:
    sql("select pgmq.enable_notify_insert(%s, 0)", queue)
    grant(consumer, "send")
    assert len(attempt(sql, consumer, "send", queue)) == 1
    assert rights(sql, "notify_insert_throttle", consumer) == {"SELECT", "UPDATE"}


def test_a_queue_that_does_not_notify_gives_no_right_on_the_throttle(
    sql: Sql, queue: str, grant: Grant, consumer: str
) -> None:
    grant(consumer, *OPERATIONS)
    assert queue
    assert rights(sql, "notify_insert_throttle", consumer) == set()


def test_a_role_whose_name_needs_quoting_is_granted_to(sql: Sql, queue: str, odd_role: str) -> None:
    ((name,),) = sql("select rolname::text from pg_roles where oid = %s::regrole", odd_role)
    sql("select pgmq_admin.grant_queue(%s, %s, '{read}')", queue, name)
    assert both(sql, queue, odd_role) == NEEDED["read"]
    sql("select pgmq_admin.revoke_queue(%s, %s, '{read}')", queue, name)
    assert both(sql, queue, odd_role) == (set(), set())


@pytest.mark.parametrize("operation", OPERATIONS)
def test_revoking_takes_back_what_was_given(sql: Sql, queue: str, grant: Grant, consumer: str, operation: str) -> None:
    grant(consumer, operation)
    covered = granted(sql, queue, consumer)
    sql("select pgmq_admin.revoke_queue(%s, %s, %s)", queue, consumer, covered)
    assert both(sql, queue, consumer) == (set(), set())
    assert granted(sql, queue, consumer) == []


@pytest.mark.parametrize(
    ("given", "taken", "left", "queue_rights"),
    [
        (["send", "read"], ["send"], ["read"], {"SELECT", "UPDATE"}),
        (["send", "read"], ["read"], ["send"], {"INSERT", "SELECT"}),
        (["send", "delete"], ["delete"], ["send"], {"INSERT", "SELECT"}),
        (["read", "archive"], ["archive", "pop", "delete"], ["read"], {"SELECT", "UPDATE"}),
        (["archive"], ["archive"], ["delete"], {"SELECT", "DELETE"}),
        (["pop"], ["pop", "read"], ["delete"], {"SELECT", "DELETE"}),
        (["pop"], ["pop", "delete"], ["read"], {"SELECT", "UPDATE"}),
        (list(OPERATIONS), ["send"], ["read", "pop", "archive", "delete"], {"SELECT", "UPDATE", "DELETE"}),
        (list(OPERATIONS), ["archive"], ["send", "read", "pop", "delete"], {"INSERT", "SELECT", "UPDATE", "DELETE"}),
    ],
)
def test_revoking_keeps_what_others_need(
    sql: Sql, queue: str, grant: Grant, given: list[str], taken: list[str], left: list[str], queue_rights: set[str]
) -> None:
    grant("anon", *given)
    sql("select pgmq_admin.revoke_queue(%s, 'anon', %s)", queue, taken)
    assert granted(sql, queue, "anon") == left
    assert both(sql, queue, "anon") == (queue_rights, NEEDED["archive"][1] if "archive" in left else set())


@pytest.mark.parametrize(
    ("given", "taken"),
    [(["pop"], ["read"]), (["pop"], ["delete"]), (["read", "delete"], ["pop"]), (["archive"], ["delete"])],
)
def test_revoking_what_others_keep_possible_fails_and_changes_nothing(
    sql: Sql, queue: str, grant: Grant, given: list[str], taken: list[str]
) -> None:
    grant("anon", *given)
    before = both(sql, queue, "anon")
    with pytest.raises(errors.InvalidGrantOperation, match=f'role "anon" can still {taken[0]} on queue "{queue}"'):
        sql("select pgmq_admin.revoke_queue(%s, 'anon', %s)", queue, taken)
    assert both(sql, queue, "anon") == before


def test_revoking_what_another_role_gives_fails_and_says_so(sql: Sql, queue: str, consumer: str) -> None:
    sql(f"grant select, update on pgmq.q_{queue} to public")
    with pytest.raises(errors.InvalidGrantOperation, match="can still read") as caught:
        sql("select pgmq_admin.revoke_queue(%s, %s, '{read}')", queue, consumer)
    detail = caught.value.diag.message_detail or ""
    assert "privileges from another role" in detail
    assert "can also ," not in detail


def test_revoking_touches_no_right_that_the_operation_does_not_need(sql: Sql, queue: str, grant: Grant) -> None:
    grant("anon", "read")
    sql(f"grant insert (message), truncate on pgmq.q_{queue} to anon")
    sql(f"grant delete on pgmq.a_{queue} to anon")
    sql("select pgmq_admin.revoke_queue(%s, 'anon', '{read}')", queue)
    assert both(sql, queue, "anon") == ({"TRUNCATE"}, {"DELETE"})


def test_revoking_one_operation_keeps_a_right_that_was_given_by_hand_and_is_not_its(sql: Sql, queue: str) -> None:
    sql(f"grant insert, update on pgmq.q_{queue} to anon")
    sql("select pgmq_admin.revoke_queue(%s, 'anon', '{delete}')", queue)
    assert both(sql, queue, "anon") == ({"INSERT", "UPDATE"}, set())


def test_revoking_what_was_never_granted_is_harmless(sql: Sql, queue: str, consumer: str) -> None:
    sql("select pgmq_admin.revoke_queue(%s, %s, %s)", queue, consumer, list(OPERATIONS))
    assert both(sql, queue, consumer) == (set(), set())


def test_rights_on_one_queue_are_none_on_another(db: Sql) -> None:
    db("select pgmq_admin.create_queue('one'), pgmq_admin.create_queue('two')")
    db("select pgmq_admin.grant_queue('one', 'anon', '{send}')")
    assert granted(db, "one", "anon") == ["send"]
    assert granted(db, "two", "anon") == []


def test_grants_list_the_api_roles_and_those_that_may_do_something(
    sql: Sql, queue: str, grant: Grant, consumer: str
) -> None:
    always = [("anon", []), ("authenticated", []), ("service_role", list(OPERATIONS))]
    assert sql("select role::text, operations from pgmq_admin.list_grants(%s)", queue) == always
    grant(consumer, "send", "read")
    expected = sorted([*always, (consumer, ["send", "read"])])
    assert sql("select role::text, operations from pgmq_admin.list_grants(%s)", queue) == expected


def test_grants_list_only_what_the_schemas_let_through(db: Sql) -> None:
    db("select pgmq_admin.create_queue('q')")
    db("select pgmq_admin.grant_queue('q', 'anon', '{send}')")
    db("revoke usage on schema pgmq_public from anon")
    assert granted(db, "q", "anon") == ["send"]
    db("revoke usage on schema pgmq_api from anon")
    assert granted(db, "q", "anon") == []


def test_grants_are_listed_where_a_function_has_an_overload(db: Sql) -> None:
    db("select pgmq_admin.create_queue('q')")
    db("select pgmq_admin.grant_queue('q', 'anon', '{send}')")
    db("create function pgmq_public.send(queue_name text, message jsonb, headers jsonb, sleep_seconds integer)"
       " returns setof bigint language sql as 'select * from pgmq.send($1, $2, $3, $4)'")  # fmt: skip
    assert granted(db, "q", "anon") == ["send"]


@pytest.mark.parametrize("function", ["grant_queue", "revoke_queue"])
@pytest.mark.parametrize(
    ("role", "operations", "error", "message"),
    [
        ("anon", ["peek"], errors.InvalidParameterValue, 'operation "peek" is unknown'),
        ("anon", ["send", "SEND"], errors.InvalidParameterValue, 'operation "SEND" is unknown'),
        ("anon", ["send", None], errors.InvalidParameterValue, 'operation "" is unknown'),
        ("anon", [], errors.InvalidParameterValue, 'operation "" is unknown'),
        ("anon", None, errors.InvalidParameterValue, 'operation "" is unknown'),
        ("no_such", ["send"], errors.UndefinedObject, 'role "no_such" does not exist'),
        ("ANON", ["send"], errors.UndefinedObject, 'role "ANON" does not exist'),
        ("public", ["send"], errors.UndefinedObject, 'role "public" does not exist'),
        ("-", ["send"], errors.UndefinedObject, 'role "-" does not exist'),
        ("10", ["send"], errors.UndefinedObject, 'role "10" does not exist'),
        ("", ["send"], psycopg.Error, "zero-length|does not exist"),
        ("anon, authenticated", ["send"], errors.UndefinedObject, "does not exist"),
        (None, ["send"], psycopg.Error, "null|NULL"),
    ],
)
def test_unknown_roles_and_operations_are_refused(
    sql: Sql, queue: str, function: str, role: str | None, operations: list[str] | None,
    error: type[Exception], message: str,
) -> None:  # fmt: skip
    before = both(sql, queue, "anon")
    with pytest.raises(error, match=message):
        sql(f"select pgmq_admin.{function}(%s, %s, %s::text[])", queue, role, operations)
    assert both(sql, queue, "anon") == before


@pytest.mark.parametrize(
    "call", ["grant_queue(%s, 'anon', '{send}')", "revoke_queue(%s, 'anon', '{send}')", "drop_queue(%s)",
             "purge_queue(%s)", "queue_status(%s)"]
)  # fmt: skip
@pytest.mark.parametrize("name", ["no-such", "NO-SUCH", "", None])
def test_unknown_queues_are_refused(sql: Sql, call: str, name: str | None) -> None:
    with pytest.raises(errors.UndefinedTable, match="does not exist"):
        sql(f"select pgmq_admin.{call}", name)


@pytest.mark.parametrize(
    "name",
    [
        "Foo",
        "",
        "a" * 48,
        "é",
        "a.b",
        'a"b',
        "a'b",
        "a b",
        "a\n",
        "\na",
        "a;b",
        "a$b",
        "$(id)",
        "a/b",
        "%s",
        "\uff41",
        None,
    ],
)
def test_names_that_are_not_allowed_make_no_queue(sql: Sql, name: str | None) -> None:
    before = sql("select count(*) from pgmq.meta")
    with pytest.raises(errors.InvalidName, match="is not allowed"):
        sql("select pgmq_admin.create_queue(%s)", name)
    assert sql("select count(*) from pgmq.meta") == before


def test_two_dashes_in_a_row_are_refused_as_pgmq_refuses_them(sql: Sql) -> None:
    with pytest.raises((errors.InvalidName, errors.RaiseException), match=r"not allowed|invalid characters"):
        sql("select pgmq_admin.create_queue('a--b')")


def test_a_nul_in_a_name_never_gets_to_the_database(sql: Sql) -> None:
    with pytest.raises(psycopg.DataError):
        sql("select pgmq_admin.create_queue(%s)", "a\0b")
    with pytest.raises(errors.UntranslatableCharacter):
        sql("""select pgmq_admin.create_queue('"a\\u0000b"'::jsonb #>> '{}')""")


@pytest.mark.parametrize("type_", ["basic", "unlogged"])
def test_creating_twice_is_harmless_and_with_another_type_fails(db: Sql, type_: str) -> None:
    assert db("select pgmq_admin.create_queue('q', %s)", type_) == [(True,)]
    db("select * from pgmq_public.send('q', '1')")
    assert db("select pgmq_admin.create_queue('q', %s)", type_) == [(False,)]
    other = {"basic": "unlogged", "unlogged": "basic"}[type_]
    with pytest.raises(errors.DuplicateTable, match=f'queue "q" already exists with type {type_}, not {other}'):
        db("select pgmq_admin.create_queue('q', %s)", other)
    assert db("select queue_name, queue_type, rls from pgmq_admin.list_queues()") == [("q", type_, True)]
    assert db("select count(*) from pgmq.q_q") == [(1,)]
    persistence = {"basic": "p", "unlogged": "u"}[type_]
    assert db("select relpersistence::text from pg_class where relname = 'q_q'") == [(persistence,)]


@pytest.mark.parametrize("type_", ["nonsense", "BASIC", "", None])
def test_unknown_types_are_refused(db: Sql, type_: str | None) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="is unknown"):
        db("select pgmq_admin.create_queue('q', %s)", type_)
    assert db("select * from pgmq_admin.list_queues()") == []


def test_partitioned_queues_say_what_they_need(db: Sql) -> None:
    with pytest.raises(errors.FeatureNotSupported, match="partitioned queues need the extension pg_partman"):
        db("select pgmq_admin.create_queue('q', 'partitioned')")
    assert db("select * from pgmq_admin.list_queues()") == []


def test_row_level_security_is_on_unless_it_is_declined(db: Sql) -> None:
    db("select pgmq_admin.create_queue('safe'), pgmq_admin.create_queue('open', rls => false)")
    assert db("select queue_name, rls from pgmq_admin.list_queues()") == [("open", False), ("safe", True)]


def test_row_level_security_is_not_declined_by_null(db: Sql) -> None:
    db("select pgmq_admin.create_queue('q', rls => null)")
    assert db("select rls from pgmq_admin.list_queues()") == [(True,)]


def test_a_queue_is_not_created_over_one_that_differs_in_case(db: Sql) -> None:
    db("select pgmq.create('Foo'), pgmq.send('Foo', '1')")
    with pytest.raises(errors.DuplicateTable):
        db("select pgmq_admin.create_queue('foo')")
    assert db("select queue_name::text from pgmq.meta") == [("Foo",)]


def test_a_queue_in_mixed_case_that_exists_can_be_used_and_dropped(db: Sql) -> None:
    db("select pgmq.create('Foo')")
    db("select pgmq_admin.grant_queue('Foo', 'anon', '{send}')")
    assert both(db, "foo", "anon") == NEEDED["send"]
    db("select * from pgmq_public.send('Foo', '1')")
    assert db("select messages from pgmq_admin.queue_status('Foo')") == [(1,)]
    assert db("select pgmq_admin.purge_queue('Foo')") == [(1,)]
    db("select pgmq_admin.drop_queue('Foo')")
    assert db("select relname from pg_class where relname ~ '^[qa]_foo'") == []


@pytest.mark.parametrize(
    ("first", "second"), [("x", "x_vt_idx"), ("x_vt_idx", "x"), ("x", "x_pkey"), ("x", "x_msg_id_seq")]
)
def test_queues_whose_tables_and_indexes_share_a_name_are_whole_or_refused(db: Sql, first: str, second: str) -> None:
    db("select pgmq_admin.create_queue(%s)", first)
    try:
        db("select pgmq_admin.create_queue(%s)", second)
    except psycopg.Error:
        assert db("select queue_name from pgmq_admin.list_queues()") == [(first,)]
    for (name,) in db("select queue_name from pgmq_admin.list_queues()"):
        assert db("select count(*) from pg_index join pg_attribute on attrelid = indrelid and attnum = indkey[0]"
                  " where indrelid = to_regclass(%s) and attname = 'vt'", f'pgmq."q_{name}"') == [(1,)]  # fmt: skip


def test_the_status_counts_each_message_once(sql: Sql, queue: str) -> None:
    assert sql("select * from pgmq_admin.queue_status(%s)", queue) == [(0, 0, 0, 0, 0, 0, None, None, 0)]
    sql("select pgmq_public.send_batch(%s, array['1', '2', '3', '4', '5', '6']::jsonb[])", queue)
    sql("select pgmq_public.send_batch(%s, array['7', '8']::jsonb[], 600)", queue)
    sql("select pgmq_public.read(%s, 600, 3), pgmq_public.archive(%s, 1)", queue, queue)
    sql(f"update pgmq.q_{queue} set enqueued_at = now() - interval '1 hour' where msg_id = 4")
    ((*counts, oldest, newest, sent),) = sql("select * from pgmq_admin.queue_status(%s)", queue)
    assert (counts, sent) == ([7, 3, 2, 2, 0, 1], 8)
    assert 3600 < oldest < 3700
    assert 0 < newest < 100


def test_creating_the_same_queue_at_once_makes_it_once(directory: DataDirectory, connect: Connect, db: Sql) -> None:
    ((name,),) = db("select current_database()")
    other = connect(socket_uri(directory, database=name))
    db("begin")
    assert db("select pgmq_admin.create_queue('q')") == [(True,)]
    other.execute("set lock_timeout = '50ms'")
    with pytest.raises(errors.LockNotAvailable):
        other.execute("select pgmq_admin.create_queue('q')")
    db("commit")
    assert other.execute("select pgmq_admin.create_queue('q')").fetchone() == (False,)
