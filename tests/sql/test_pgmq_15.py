"""The six functions on a pgmq in the shape of 1.5, and after its upgrade."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import errors

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.install.installer import install
from pgmq_gateway.queue_functions import FUNCTIONS
from tests import databases
from tests.databases import Sql, runner
from tests.sql.calls import SUPABASE, calls
from tests.sql.conftest import OPERATIONS, PGMQ_SQL, Connect, as_role, connected
from tests.sql.shape_15 import shape_of_15

KEYS = ["msg_id", "read_ct", "enqueued_at", "vt", "message", "headers"]


@pytest.fixture(scope="module")
def template_15(directory: DataDirectory) -> Iterator[str]:
    """The name of a database with the old pgmq and a queue from before the installation, for cloning."""

    async def install_there(uri: str) -> None:
        async with connected(uri) as connection:
            await install(connection)

    with databases.new_database(directory) as name:
        uri = socket_uri(directory, database=name)
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute(shape_of_15().encode())
            connection.execute("select pgmq.create('q')")
        asyncio.run(install_there(uri))
        yield name


@pytest.fixture
def old(directory: DataDirectory, template_15: str, new_database: Callable[..., str], connect: Connect) -> Sql:
    """Run SQL as the owner in a clone of that database."""
    return runner(connect(socket_uri(directory, database=new_database(template_15))))


def call(sql: Sql, function: str) -> list[object]:
    """The result of a function for service_role; rows as dicts in the order of columns."""
    return [value for (value,) in as_role(sql, "service_role", f"select to_json(r) from pgmq_public.{function} as r")]


def table(sql: Sql, name: str = "q_q") -> list[object]:
    return [row for (row,) in sql(f"select to_json(t) from pgmq.{name} as t order by msg_id")]


def test_the_old_pgmq_is_kept(old: Sql) -> None:
    assert old(
        "select attname::text from pg_attribute where attrelid = 'pgmq.message_record'::regclass order by attnum"
    ) == [(k,) for k in KEYS]
    assert old(
        "select oid::regprocedure::text from pg_proc where proname = 'pop' and pronamespace = 'pgmq'::regnamespace"
    ) == [("pgmq.pop(text)",)]
    assert old("select to_regclass('pgmq.notify_insert_throttle'), to_regproc('pgmq.send_topic')") == [(None, None)]


def test_send_and_send_batch(old: Sql) -> None:
    assert call(old, "send('q', '{\"a\": 1}')") == [1]
    assert call(old, "send_batch('q', array['2', '3']::jsonb[], 600)") == [2, 3]
    assert call(old, "send_batch('q', '{}')") == []
    assert old("select msg_id, message, read_ct, vt > now() from pgmq.q_q") == [
        (1, {"a": 1}, 0, False), (2, 2, 0, True), (3, 3, 0, True),
    ]  # fmt: skip


def test_read_has_no_last_read_at(old: Sql) -> None:
    call(old, "send_batch('q', array['1', '2', '3']::jsonb[])")
    rows = call(old, "read('q', 60, 2)")
    assert [list(row) for row in rows if isinstance(row, dict)] == [KEYS, KEYS]
    assert rows == table(old)[:2]
    assert old("select msg_id, read_ct, vt > now() + '50 s' from pgmq.q_q order by 1") == [
        (1, 1, True),
        (2, 1, True),
        (3, 0, False),
    ]
    with pytest.raises(errors.NullValueNotAllowed):
        call(old, "read('q', 60, null)")


def test_pop_has_no_last_read_at(old: Sql) -> None:
    call(old, "send_batch('q', array['1', '2']::jsonb[])")
    first, second = table(old)
    assert call(old, "pop('q')") == [first]
    assert table(old) == [second]


def test_archive_and_delete(old: Sql) -> None:
    call(old, "send_batch('q', array['1', '2']::jsonb[])")
    assert [call(old, "archive('q', 1)"), call(old, "archive('q', 1)")] == [[True], [False]]
    assert [call(old, "delete('q', 2)"), call(old, "delete('q', 2)")] == [[True], [False]]
    assert old("select msg_id, message from pgmq.a_q") == [(1, 1)]
    assert table(old) == []


@pytest.mark.parametrize("operation", OPERATIONS)
def test_granting_an_operation_is_enough(old: Sql, operation: str) -> None:
    old("alter table pgmq.q_q disable row level security")
    arguments = {"send": "'q', '1'", "read": "'q', 1, 1", "pop": "'q'"}.get(operation, "'q', 1")
    statement = f"select * from pgmq_public.{operation}({arguments})"
    with pytest.raises(errors.InsufficientPrivilege):
        as_role(old, "anon", statement)
    old("select pgmq_admin.grant_queue('q', 'anon', %s)", [operation])
    as_role(old, "anon", statement)
    rights = "select verdict from pgmq_admin.rights('q') where role = 'anon' and operation = %s"
    assert old(rights, operation) == [("all",)]
    ((possible,),) = old("select operations from pgmq_admin.list_grants('q') where role = 'anon'")
    assert operation in possible


@pytest.mark.parametrize("function", FUNCTIONS)
def test_calls_can_share_a_transaction(old: Sql, function: str) -> None:
    assert old("select obstacles, fusion is not null from pgmq_gateway.judgement('q', %s)", function) == [([], True)]


FUSED = {
    "send": ({"message": 1}, ["[4]", "[5]", "[6]"]),
    "send_batch": ({"messages": [1, 2]}, ["[4, 5]", "[6, 7]", "[8, 9]"]),
    "read": ({"n": 1, "sleep_seconds": 9}, ["1", "2", "3"]),
    "pop": ({}, ["1", "2", "3"]),
    "delete": ({"message_id": 2}, ["true", "false", "false"]),
    "archive": ({"message_id": 2}, ["true", "false", "false"]),
    "pgmq_api.send": ({"message": 1}, ["[4]", "[5]", "[6]"]),
    "pgmq_api.read": ({"n": 1}, ["1", "2", "3"]),
    "pgmq_api.pop": ({}, ["1", "2", "3"]),
    "pgmq_api.archive": ({"message_id": 2}, ["true", "false", "false"]),
}


@pytest.mark.parametrize(("function", "case"), FUSED.items(), ids=FUSED)
def test_calls_can_be_one_statement(old: Sql, function: str, case: tuple[dict[str, object], list[str]]) -> None:
    arguments, expected = case
    for n in (1, 2, 3):
        old("select pgmq.send('q', %s::jsonb)", str(n))
    body = json.dumps({"queue_name": "q", **arguments})
    statement = f"{function}({','.join(sorted([*arguments, 'queue_name']))})"
    rows = calls(old, [body] * 3, statement=statement, role="service_role", careful=False)
    if function in ("read", "pop"):
        assert [list(json.loads(row[1])[0]) for row in rows] == [KEYS] * 3
    if function.endswith(("read", "pop")):
        rows = [(row[0], str(json.loads(row[1])[0]["msg_id"]), row[2]) for row in rows]
    assert [row[1] for row in rows] == expected


def test_a_column_that_pop_cannot_return_is_an_error_of_each_call(old: Sql) -> None:
    """The pop of this pgmq returns all columns."""
    judgement = "select obstacles, fusion is not null from pgmq_gateway.judgement('q', 'pop')"
    old(SUPABASE["pop"])
    assert old(judgement) == [([], True)]
    old("alter table pgmq.q_q add column extra text")
    assert old(judgement) == [([], False)]


def test_rights_are_managed(old: Sql) -> None:
    old("select pgmq_admin.set_rls('q', true), pgmq_admin.create_policy('q', 'own_messages')")
    tried = "select operation, allowed from pgmq_admin.try_as('q', 'authenticated', '{\"sub\": \"a\"}', %s)"
    assert dict(old(tried, '{"user_id": "a"}')) == dict.fromkeys(OPERATIONS, True)
    assert dict(old(tried, '{"user_id": "b"}')) == dict.fromkeys(OPERATIONS, False)
    call(old, "send('q', '1')")
    assert old("select last_read_at, message from pgmq_admin.messages_as('q', 'service_role')") == [(None, 1)]
    assert old("select * from pgmq_admin.lint()") == []


def test_queues_are_managed(old: Sql) -> None:
    assert old("select pgmq_admin.create_queue('new', 'unlogged')") == [(True,)]
    call(old, "send_batch('new', array['1', '2']::jsonb[])")
    assert old("select messages, visible from pgmq_admin.queue_status('new')") == [(2, 2)]
    assert old("select pgmq_admin.purge_queue('new')") == [(2,)]
    old("select pgmq_admin.drop_queue('new')")
    assert old("select queue_name from pgmq_admin.list_queues()") == [("q",)]


def test_an_upgrade_that_adds_the_attribute_at_the_end_is_followed(old: Sql) -> None:
    call(old, "send_batch('q', array['1', '2', '3']::jsonb[])")
    call(old, "read('q', 0, 1)")
    old("alter type pgmq.message_record add attribute last_read_at timestamptz")
    old("alter table pgmq.q_q add column last_read_at timestamptz")
    old("alter table pgmq.a_q add column last_read_at timestamptz")
    (row,) = call(old, "read('q', 60, 1)")
    assert isinstance(row, dict)
    assert list(row) == [*KEYS, "last_read_at"]
    assert row["last_read_at"] is not None
    assert row in table(old)
    (popped,) = call(old, "pop('q')")
    assert isinstance(popped, dict)
    assert (list(popped), popped["last_read_at"]) == ([*KEYS, "last_read_at"], None)


def test_a_table_with_other_columns_in_another_order_is_read_by_name(old: Sql) -> None:
    old("alter table pgmq.q_q add column mine text default 'x'")
    old("alter table pgmq.q_q drop column headers")
    old("alter table pgmq.q_q add column headers jsonb")
    call(old, "send_batch('q', array['1', '2']::jsonb[])")
    (row,) = call(old, "read('q', 60, 1)")
    (popped,) = call(old, "pop('q')")
    assert isinstance(row, dict)
    assert isinstance(popped, dict)
    assert (list(row), list(popped)) == (KEYS, KEYS)
    assert (row["msg_id"], row["message"], row["headers"]) == (1, 1, None)
    assert (popped["msg_id"], popped["message"], popped["read_ct"]) == (2, 2, 0)


async def test_an_upgrade_that_drops_read_and_pop_is_mended_by_installing_again(old: Sql) -> None:
    # As pgmq's upgrade to 1.10: it drops the type, with CASCADE also every function that returns it.
    old("drop type pgmq.message_record cascade")
    assert old("select to_regproc('pgmq_public.read'), to_regproc('pgmq_public.pop')") == [(None, None)]
    (record,) = re.findall(r"CREATE TYPE pgmq\.message_record AS \(.*?\);", PGMQ_SQL, re.DOTALL)
    old(record)
    old("alter table pgmq.q_q add column last_read_at timestamptz")
    ((name,),) = old("select current_database()")
    ((folder,),) = old("select current_setting('unix_socket_directories')")
    async with connected(f"postgresql://postgres@/{name}?host={folder}") as connection:
        await install(connection)
    call(old, "send_batch('q', array['1', '2']::jsonb[])")
    (row,) = call(old, "read('q', 60, 1)")
    assert isinstance(row, dict)
    assert list(row) == [*KEYS[:3], "last_read_at", *KEYS[3:]]
    assert len(call(old, "pop('q')")) == 1


def test_messages_are_managed(old: Sql) -> None:
    old("select pgmq_admin.create_queue('new')")
    as_role(old, "service_role", "select pgmq_admin.send('q', '1', '{\"h\": 1}')")
    as_role(old, "service_role", "select pgmq_admin.send_batch('q', '[2, 3, 4]', sleep_seconds => 60)")
    first, *_ = as_role(old, "service_role", "select last_read_at, headers, state from pgmq_admin.list_messages('q')")
    assert first == (None, {"h": 1}, "visible")
    for call, answer in {
        "postpone('q', '{1}', 60)": [(1,)],
        "make_visible('q', '{2}')": [(2,)],
        "archive('q', '{1,2}')": [(1,), (2,)],
        "requeue('q', '{1}')": [(1, 5)],
        "move('q', '{5,3}', 'new')": [(3, 1), (5, 2)],
        "apply('q', 'archive', '{\"contains\": 4}', 1)": [(1,)],
        "delete_archived('q', '{2}')": [(2,)],
        "delete('new', '{1}')": [(1,)],
    }.items():
        assert as_role(old, "service_role", f"select * from pgmq_admin.{call}") == answer
    assert (table(old), [row for (row,) in old("select message from pgmq.a_q")]) == ([], [4])
    assert old("select msg_id, message, headers, read_ct from pgmq.q_new") == [(2, 1, {"h": 1}, 0)]


def test_pgmq_api_works_without_the_column_last_read_at(old: Sql) -> None:
    old("select pgmq_admin.set_queue_settings('q', '{\"max_receives\": 1}')")
    old("select pgmq_api.send_batch('q', array['1', '2', '3', '4', '5', '6']::jsonb[])")
    rows = old("select receipt, last_read_at from pgmq_api.read('q', 0, 5)")
    assert [last for _, last in rows] == [None] * 5
    receipts = [receipt for receipt, _ in rows]
    assert old("select pgmq_api.ack('q', %s), pgmq_api.reject('q', %s)", *receipts[:2]) == [("acked", "rejected")]
    assert old("select outcome from pgmq_api.settle('q', archives => %s)", receipts[2:3]) == [("archived",)]
    assert old("select message from pgmq_api.read('q', 0, 2)") == [(6,)]
    assert old("select msg_id from pgmq.a_q order by 1") == [(2,), (3,), (4,), (5,)]
    assert [row[0] for row in old("select state from pgmq_api.peek('q')")] == ["visible"]
    assert old("select message from pgmq_api.pop('q', 2)") == []
    assert old("select msg_id from pgmq.a_q order by 1") == [(2,), (3,), (4,), (5,), (6,)]
