"""Wake-ups: the messages that a call makes visible, as pgmq_gateway.call and its siblings return them."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, new_database, runner
from tests.sql.calls import CALLS, CLAIMS, JUDGEMENT

REQUEST = ["POST", "/rpc/f", "{}", "{}"]
SEND = "pgmq_api.send(message,queue_name)"
CALL = (
    "select wakeups from pgmq_gateway.call(%s, '{}', %s::text[], 'public', null, false, null, %s, %s, '{}',"
    " false, null, null, null, null, null, null)"
)
KEYED = (
    "select wakeups from pgmq_gateway.keyed_call(%s::bytea, 1, '50ms', 60, null, 'anon', '{}', %s::text[], 'public',"
    " null, null, %s, %s, '{}', false, null, null, null, null, null, null)"
)
TURNS = (
    "call pgmq_gateway.calls_in_turn('anon', %s, null, %s, 'public', %s, %s, 'q', %s::pg_catalog.oid[], %s, %s,"
    " null, null, null, null, null)"
)


@pytest.fixture(scope="module")
def owner(directory: DataDirectory, template: str) -> Iterator[Sql]:
    """SQL as the owner of a database in which anon can use a queue; messages below 0 violate a constraint."""
    with (
        new_database(directory, template) as name,
        psycopg.connect(socket_uri(directory, database=name), autocommit=True) as connection,
    ):
        sql = runner(connection)
        sql("select pgmq_admin.create_queue('q', rls => false)")
        sql("select pgmq_admin.grant_queue('q', 'anon', '{send,read,delete}')")
        sql("alter table pgmq.q_q add check (message > '-1')")
        yield sql


@pytest.fixture(scope="module")
def gateway(directory: DataDirectory, owner: Sql) -> Iterator[Sql]:
    """SQL as the gateway's login role."""
    ((name,),) = owner("select current_database()")
    with psycopg.connect(socket_uri(directory, "authenticator", name), autocommit=True) as connection:
        yield runner(connection)


def sends(*messages: object) -> list[str]:
    return [json.dumps({"queue_name": "Q", "message": message}) for message in messages]


def call(gateway: Sql, statement: str, arguments: str | None = None) -> str:
    ((wakeups,),) = gateway(CALL, "anon", REQUEST, statement, arguments)
    return str(wakeups)


def judged(gateway: Sql) -> tuple[Any, ...]:
    """The compared values and the fusion of sends."""
    ((obstacles, *judgement),) = gateway(JUDGEMENT, "Q", "pgmq_api.send")
    assert obstacles == []
    return tuple(judgement)


def together(gateway: Sql, *messages: object, careful: bool) -> list[str | None]:
    """The wake-ups of sends in one transaction."""
    arguments = sends(*messages)
    query = CALLS.replace("failure", "wakeups")
    rows = gateway(
        query, "anon", CLAIMS, None, REQUEST * len(arguments), "public", [SEND] * len(arguments), arguments, "Q",
        *judged(gateway), careful,
    )  # fmt: skip
    return [wakeups for *_, wakeups in rows]


def test_a_call_reports_its_own_messages(gateway: Sql) -> None:
    assert call(gateway, SEND, sends(1)[0]) == "q\t1\t0\n"
    assert call(gateway, "select 1, 1, '', 1") == ""


def test_what_a_session_has_set_is_not_reported(gateway: Sql) -> None:
    gateway("set pgmq_gateway.wakeups = 'others'")
    try:
        assert call(gateway, SEND, sends(1)[0]) == "q\t1\t0\n"
    finally:
        gateway("reset pgmq_gateway.wakeups")


def test_a_function_of_a_user_that_sends_is_covered(owner: Sql, gateway: Sql) -> None:
    owner(
        "create or replace function public.twice(n int) returns void language plpgsql as $f$ begin"
        " perform pgmq_api.send('Q', to_jsonb(m)) from generate_series(1, n) as m; end $f$"
    )
    assert call(gateway, "select 1, 1, public.twice(2)::text, 1") == "q\t1\t0\n" * 2
    # Not more than the text can have.
    assert 8000 < len(call(gateway, "select 1, 1, public.twice(3000)::text, 1")) < 8100


def test_a_savepoint_takes_its_wakeups_back(owner: Sql, gateway: Sql) -> None:
    owner(
        "create or replace function public.failing() returns text language plpgsql as $f$ begin"
        " perform pgmq_api.send('Q', '1'); perform 1 / 0; return ''; exception when others then return ''; end $f$"
    )
    assert call(gateway, "select 1, 1, public.failing(), 1") == ""


@pytest.mark.parametrize("careful", [True, False])
def test_calls_of_a_transaction_report_their_own(gateway: Sql, careful: bool) -> None:
    assert together(gateway, 1, 2, careful=careful) == ["q\t1\t0\n"] * 2


def test_a_failed_call_of_a_transaction_reports_none(gateway: Sql) -> None:
    assert together(gateway, 1, -1, 2, careful=True) == ["q\t1\t0\n", "", "q\t1\t0\n"]


def test_calls_in_one_statement_are_reported_by_the_first(gateway: Sql) -> None:
    assert together(gateway, 1, 2, 3, careful=False) == ["q\t3\t0\n", None, None]


def test_calls_in_turn_report_their_own(gateway: Sql) -> None:
    *compared, _ = judged(gateway)
    ((*_, wakeups),) = gateway(
        TURNS.replace("'q'", "'Q'"), ["{}"] * 3, REQUEST * 3, [SEND] * 3, sends(1, -1, 2), *compared
    )
    assert wakeups == ["q\t1\t0\n", "", "q\t1\t0\n"]


def test_a_call_with_a_key_reports_once(gateway: Sql) -> None:
    assert [gateway(KEYED, b"1", REQUEST, SEND, sends(1)[0]) for _ in range(2)] == [[("q\t1\t0\n",)], [(None,)]]
