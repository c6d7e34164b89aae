"""pgmq_gateway.keyed_call: one execution for each Idempotency-Key, and its stored answer."""

from typing import Any

import psycopg
import pytest
from psycopg import errors

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, runner
from tests.sql.calls import CLAIMS, JUDGEMENT, SEND, sends
from tests.sql.conftest import Connect

REQUEST = ["POST", "/rpc/f", "{}", "{}"]
KEYED_CALL = (
    "select body, replayed from pgmq_gateway.keyed_call(%s::bytea, %s, '50ms', %s, null, 'anon', '{}',"
    " %s::text[], 'public', null, null, %s, null, null, false, null, null, null, null, null, null)"
)
INSERT = "with new as (insert into public.done default values returning n) select null::int8, 1::int8, n::text from new"
TABLE = "pgmq_gateway.idempotency_keys"


@pytest.fixture
def db(db: Sql) -> Sql:
    db("create table public.done (n int generated always as identity); grant all on public.done to anon")
    return db


@pytest.fixture
def login(directory: DataDirectory, database: str, connect: Connect) -> psycopg.Connection[Any]:
    """A connection of the gateway's login role."""
    return connect(socket_uri(directory, "authenticator", database))


@pytest.fixture
def gateway(db: Sql, login: psycopg.Connection[Any]) -> Sql:  # noqa: ARG001 it has the table
    return runner(login)


def call(gateway: Sql, number: int, statement: str = INSERT, keep_seconds: float = 60) -> tuple[Any, ...]:
    """A call with a key: body, replayed."""
    (row,) = gateway(KEYED_CALL, bytes([number]), number, keep_seconds, REQUEST, statement)
    return row


def test_each_key_has_one_answer(db: Sql, gateway: Sql) -> None:
    assert [call(gateway, number) for number in (1, 2, 1, 2)] == [("1", False), ("2", False), ("1", True), ("2", True)]
    assert db("select count(*) from public.done") == [(2,)]


def test_arguments_that_are_no_jsonb_have_a_fingerprint(gateway: Sql) -> None:
    prints = [
        gateway("select pgmq_gateway.request_fingerprint('s', %s, '{}')", arguments)[0][0]
        for arguments in ('{"a":1e999999}', '{"a":1e999998}', '{"a":"\\u0000"}', '{"a":1,"b":2}', '{"b": 2, "a": 1}')
    ]
    assert len(set(prints)) == 4
    assert prints[3] == prints[4]


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role", "authenticator"])
def test_no_role_has_privileges_on_the_keys(db: Sql, role: str) -> None:
    privileges = "select,insert,update,delete,truncate,references,trigger"
    assert db(f"select has_table_privilege('{role}', '{TABLE}', '{privileges}')") == [(False,)]


def test_an_expired_key_can_be_used_again(db: Sql, gateway: Sql) -> None:
    assert call(gateway, 1) == ("1", False)
    db(f"update {TABLE} set expires_at = now()")
    other = "select null::int8, 1::int8, 'other'"
    assert [call(gateway, 1, other) for _ in range(2)] == [("other", False), ("other", True)]
    assert db(f"select count(*) from {TABLE} where expires_at between now() and now() + interval '1 minute'") == [(1,)]


def test_a_repeated_call_runs_the_pre_request_only(db: Sql, gateway: Sql) -> None:
    db("create table public.banned (role text); grant select on public.banned to anon")
    db(
        "create function public.check() returns void language plpgsql as $f$ begin"
        " if current_user in (select role from public.banned) then"
        " raise 'banned from %', current_setting('request.path'); end if; end $f$"
    )
    prepared = KEYED_CALL.replace("'public', null, null", "'public', null, 'select public.check()'")
    arguments = (b"1", 1, 60, REQUEST, INSERT)
    assert [gateway(prepared, *arguments) for _ in range(2)] == [[("1", False)], [("1", True)]]
    db("insert into public.banned values ('anon')")
    with pytest.raises(errors.RaiseException, match="banned from /rpc/f"):
        gateway(prepared, *arguments)
    assert db("select count(*) from public.done") == [(1,)]


def test_the_lock_timeout_of_the_caller_is_kept(gateway: Sql) -> None:
    gateway("set lock_timeout = '7s'")
    statement = "select null::int8, 1::int8, current_setting('lock_timeout')"
    assert call(gateway, 1, statement) == ("7s", False)


def test_a_key_in_use_is_waited_for(gateway: Sql, directory: DataDirectory, database: str, connect: Connect) -> None:
    other = connect(socket_uri(directory, "authenticator", database))
    with other.transaction():
        call(runner(other), 1)
        with pytest.raises(psycopg.Error, match="is still running") as caught:
            call(gateway, 1)
        assert caught.value.sqlstate == "PGRST"
        assert call(gateway, 2)[1] is False
    assert call(gateway, 1) == ("1", True)


def test_a_call_with_an_old_snapshot_is_undone(
    db: Sql, login: psycopg.Connection[Any], directory: DataDirectory, database: str, connect: Connect
) -> None:
    other = connect(socket_uri(directory, "authenticator", database))
    login.execute("begin isolation level repeatable read")
    login.execute("select")
    call(runner(other), 1)
    with pytest.raises(errors.SerializationFailure):
        call(runner(login), 1)
    login.execute("rollback")
    assert db("select count(*) from public.done") == [(1,)]


def test_a_repeated_call_at_repeatable_read(gateway: Sql) -> None:
    gateway("set default_transaction_isolation = 'repeatable read'")
    assert [call(gateway, 1) for _ in range(2)] == [("1", False), ("1", True)]


def test_a_trigger_of_another_role_refuses_calls(db: Sql, gateway: Sql) -> None:
    db("create function public.spy() returns trigger language plpgsql as 'begin raise ''ran as %'', user; end'")
    db("alter function public.spy() owner to service_role")
    db(f"create trigger spy before insert on {TABLE} execute function public.spy()")
    with pytest.raises(errors.InsufficientPrivilege, match="runs a function of role service_role"):
        call(gateway, 1)
    assert db("select count(*) from public.done") == [(0,)]
    db(f"drop trigger spy on {TABLE}")
    assert call(gateway, 1)[1] is False


def test_another_owner_of_the_table_refuses_calls(db: Sql, gateway: Sql) -> None:
    db(f"alter table {TABLE} owner to service_role")
    with pytest.raises(errors.InsufficientPrivilege, match="is owned by role service_role"):
        call(gateway, 1)
    assert db("select count(*) from public.done") == [(0,)]


def test_112_expired_keys_are_removed_in_parts(
    db: Sql, gateway: Sql, directory: DataDirectory, database: str, connect: Connect
) -> None:
    for number in range(6):
        call(gateway, number)
    db(f"update {TABLE} set expires_at = now() - {TABLE}.row_count * interval '1 s' where id < '\\x05'")
    remove = "select pgmq_gateway.remove_expired_keys(3)"
    owner = connect(socket_uri(directory, database=database))
    with owner.transaction():
        owner.execute(f"select from {TABLE} where id = '\\x00' for update")
        assert [gateway(remove) for _ in range(3)] == [[(3,)], [(1,)], [(0,)]]
    assert gateway(remove) == [(1,)]
    assert db(f"select id from {TABLE}") == [(b"\x05",)]


def test_a_key_is_found_among_many_with_the_plan_of_an_empty_table(db: Sql, gateway: Sql) -> None:
    # Postgres keeps a plan from the sixth execution on.
    for number in range(8):
        call(gateway, number)
    gateway("select pgmq_gateway.remove_expired_keys(3) from generate_series(1, 8)")
    db(
        f"insert into {TABLE} (id, fingerprint, expires_at)"
        " select sha256(n::text::bytea), '', now() + n % 2 * interval '1 day' from generate_series(1, 2000) as n"
    )
    gateway("begin")
    call(gateway, 9)
    gateway("set local role none")
    gateway("select pgmq_gateway.remove_expired_keys(3)")
    read = f"select seq_tup_read + idx_tup_fetch from pg_stat_xact_all_tables where relid = '{TABLE}'::regclass"
    ((rows,),) = gateway(read)
    gateway("commit")
    assert rows < 20


@pytest.fixture
def queue(db: Sql) -> None:
    """A queue that anon can send to; the message -1 violates a constraint."""
    db("select pgmq_admin.create_queue('q'); select pgmq_admin.grant_queue('q', 'anon', '{send,read}')")
    db("alter table pgmq.q_q disable row level security, add check (message <> '-1')")


KEYED_CALLS = (
    "select body, failure[1] from pgmq_gateway.keyed_calls(%s::bytea[], %s, 60, null, 'anon', %s, null, %s, 'public',"
    " %s, %s, 'q', %s::pg_catalog.oid[], %s, %s, %s::pg_catalog.json, %s)"
)


def calls(gateway: Sql, numbers: list[int], messages: list[object], *, careful: bool = False) -> list[tuple[Any, ...]]:
    """Sends with the keys of these numbers in one transaction: body and SQLSTATE of each."""
    obstacles, *compared = gateway(JUDGEMENT, "q", "send")[0]
    assert obstacles == []
    keys = [bytes([number]) for number in numbers]
    requests, statements = REQUEST * len(keys), [SEND] * len(keys)
    return gateway(KEYED_CALLS, keys, numbers, CLAIMS, requests, statements, sends(*messages), *compared, careful)


@pytest.mark.usefixtures("queue")
@pytest.mark.parametrize("careful", [False, True])
def test_calls_with_new_keys_have_an_answer_each(db: Sql, gateway: Sql, careful: bool) -> None:
    assert calls(gateway, [1, 2, 3], ["a", "b", "c"], careful=careful) == [("[1]", None), ("[2]", None), ("[3]", None)]
    assert db("select message from pgmq.q_q order by msg_id") == [("a",), ("b",), ("c",)]
    repeated = (
        "select body, replayed from pgmq_gateway.keyed_call(%s::bytea, %s, '50ms', 60, null, 'anon', '{}',"
        " %s::text[], 'public', null, null, %s, %s, '{}', false, null, null, null, null, null, null)"
    )
    for number, message, body in ((1, "a", "[1]"), (3, "c", "[3]")):
        found = gateway(repeated, bytes([number]), number, REQUEST, SEND, sends(message)[0])
        assert found == [(body, True)]


@pytest.mark.usefixtures("queue")
def test_a_call_that_fails_has_no_answer(db: Sql, gateway: Sql) -> None:
    found = calls(gateway, [1, 2, 3], ["a", -1, "c"], careful=True)
    assert [failure for _, failure in found] == [None, "23514", None]
    assert db(f"select id from {TABLE} order by 1") == [(b"\x01",), (b"\x03",)]


@pytest.mark.usefixtures("queue")
def test_calls_with_a_used_key_are_undone(db: Sql, gateway: Sql) -> None:
    calls(gateway, [1], ["a"])
    with pytest.raises(psycopg.Error) as caught:
        calls(gateway, [2, 1], ["b", "a"])
    assert caught.value.sqlstate == "GW132"
    assert db("select message from pgmq.q_q") == [("a",)]
    assert db(f"select id from {TABLE}") == [(b"\x01",)]


@pytest.mark.usefixtures("queue")
def test_calls_with_a_key_in_use_do_not_wait(
    db: Sql, gateway: Sql, directory: DataDirectory, database: str, connect: Connect
) -> None:
    other = connect(socket_uri(directory, "authenticator", database))
    with other.transaction():
        call(runner(other), 1)
        with pytest.raises(psycopg.Error) as caught:
            calls(gateway, [2, 1], ["b", "a"])
    assert caught.value.sqlstate == "GW132"
    assert db("select count(*) from pgmq.q_q") == [(0,)]


@pytest.mark.usefixtures("queue")
def test_calls_with_equal_keys_are_undone(db: Sql, gateway: Sql) -> None:
    with pytest.raises(psycopg.Error) as caught:
        calls(gateway, [1, 1], ["a", "a"])
    assert caught.value.sqlstate == "GW132"
    assert db("select count(*) from pgmq.q_q") == [(0,)]


@pytest.mark.usefixtures("queue")
def test_a_judged_call_leaves_nothing(db: Sql, gateway: Sql) -> None:
    judgement = gateway(JUDGEMENT, "q", "send")[0]
    statement = (
        "select body, clean, replayed from pgmq_gateway.keyed_call('k', 1, '50ms', 60, null, 'anon', %s, %s::text[],"
        f" 'public', null, null, '{SEND}', %s, '{{}}', false, null, null, 'q', %s::pg_catalog.oid[], %s, %s)"
    )
    arguments = (CLAIMS, REQUEST, sends("a")[0], *judgement[1:4])
    assert gateway(statement, *arguments) == [("[1]", True, False)]
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="lastval is not yet defined"):
        gateway("select lastval()")
    # A repeated call executes nothing.
    assert gateway(statement, *arguments) == [("[1]", True, True)]
    db("alter table pgmq.q_q add check (message <> '-2')")
    assert gateway(statement.replace("'k', 1", "'l', 2"), *arguments) == [("[2]", False, False)]
