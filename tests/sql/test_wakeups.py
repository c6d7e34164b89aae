"""Wake-ups: the messages that a call makes visible, as pgmq_gateway.call and its siblings return them."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from pgmq_gateway.calls.wakeups import wakeups_in
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, new_database, runner
from tests.sql import leases
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
        for queue in ("dead", "plain", "grouped", "other"):
            sql("select pgmq_admin.create_queue(%s, rls => false)", queue)
        sql("""select pgmq_admin.set_queue_settings('plain', '{"max_receives": 1, "dead_letter_queue": "dead"}')""")
        sql("""select pgmq_admin.set_queue_settings('grouped', '{"group_limit": 1}')""")
        leases.send(sql, "plain", 1)
        leases.send(sql, "other", 1, 2)
        sql("select pgmq.archive('other', 2)")
        leases.send(sql, "grouped", 1, 2, 3, headers={"x-pgmq-group": "a"})
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


# Statements, and what they report. There is a message in `plain`, for its last receive; one in `other`, and one in its
# archive; three of a group in `grouped`, two of them parked. RECEIPT is that of the message in `plain` or `other`.
HOUR = 3600
REPORTS: dict[str, tuple[Any, ...]] = {
    "send": ("select pgmq_api.send('plain', '1')", ("plain", 1, 0)),
    "send later": ("select pgmq_api.send('Plain', '1', 3600)", ("plain", 1, HOUR)),
    "send at a time": ("select pgmq_api.send('plain', '1', send_at => now() + interval '1 hour')", ("plain", 1, HOUR)),
    "send at a time that has passed": ("select pgmq_api.send('plain', '1', send_at => '2000-01-01Z')", ("plain", 1, 0)),
    "send once": (
        "select pgmq_api.send('plain', '1', deduplication_id => 'a') from generate_series(1, 2)", ("plain", 1, 0)
    ),
    "send_batch": ("select pgmq_api.send_batch('plain', '{1,2}')", ("plain", 2, 0)),
    "send_batch of none": ("select pgmq_api.send_batch('plain', '{}')",),
    "send_entries": (
        """select pgmq_api.send_entries('plain', '[{"message": 1}, {"message": 2, "sleep_seconds": 3600},
            {"message": 3}]')""",
        ("plain", 2, 0), ("plain", 1, HOUR),
    ),
    "send_entries once": (
        """select pgmq_api.send_entries('plain', '[{"message": 1, "deduplication_id": "a"},
            {"message": 2, "deduplication_id": "a"}]')""",
        ("plain", 1, 0),
    ),
    "send to a group": ("select pgmq_api.send('grouped', '1', group_id => 'b')", ("grouped", 1, 0)),
    "send to a full group": ("select pgmq_api.send('grouped', '1', group_id => 'a')", ("grouped", 0, 0)),
    "send without a group": ("select pgmq_api.send('grouped', '1')", ("grouped", 1, 0)),
    "send_entries to groups": (
        """select pgmq_api.send_entries('grouped', '[{"message": 1, "group_id": "a"}, {"message": 1}]')""",
        ("grouped", 0, 0), ("grouped", 1, 0),
    ),
    "Supabase's send to a full group": (
        """insert into pgmq.q_grouped (vt, message, headers) values (now(), '1', '{"x-pgmq-group": "a"}')""",
        ("grouped", 0, 0),
    ),
    "retry": ("select pgmq_api.retry('other', RECEIPT)", ("other", 1, 0)),
    "retry later": ("select pgmq_api.retry('other', RECEIPT, 3600)", ("other", 1, HOUR)),
    "retry of the last receive": ("select pgmq_api.retry('plain', RECEIPT)", ("dead", 1, 0)),
    "retry of a stale receipt": ("select pgmq_api.retry('other', '1.7.1795988748607430')",),
    "reject": ("select pgmq_api.reject('plain', RECEIPT)", ("dead", 1, 0)),
    "reject into the archive": ("select pgmq_api.reject('other', RECEIPT)",),
    "extend": ("select pgmq_api.extend('other', RECEIPT, 60)",),
    "extend to 0": ("select pgmq_api.extend('other', RECEIPT, 0)", ("other", 1, 0)),
    "ack": ("select pgmq_api.ack('other', RECEIPT)",),
    "settle": (
        """select pgmq_api.settle('other', retries => jsonb_build_array(jsonb_build_object('receipt', RECEIPT,
            'delay_seconds', 3600)))""",
        ("other", 1, HOUR),
    ),
    "settle strictly in vain": (
        "select pgmq_api.settle('other', retries => '[\"1.7.1795988748607430\"]')",
    ),
    "read of a dead message": ("update pgmq.q_plain set read_ct = 1; select pgmq_api.read('plain')", ("dead", 1, 0)),
    "redrive": ("select pgmq_api.redrive('other', 'dead')", ("dead", 1, 0)),
    "redrive in vain": ("select pgmq_api.redrive('dead')",),
    "redrive slowly": (
        "select pgmq.send('other', '2'); select pgmq_api.redrive('other', 'dead', per_second => 0.001)",
        ("dead", 1, 0), ("dead", 1, 1000),
    ),
    "replay": ("select pgmq_api.replay('other')", ("other", 1, 0)),
    "pgmq_admin.send": ("select pgmq_admin.send('other', '1')", ("other", 1, 0)),
    "pgmq_admin.send later": ("select pgmq_admin.send('other', '1', null, 3600)", ("other", 1, HOUR)),
    "pgmq_admin.send_batch": ("select pgmq_admin.send_batch('other', '[1, 2]')", ("other", 2, 0)),
    "pgmq_admin.move": ("select pgmq_admin.move('other', '{1}', 'dead')", ("dead", 1, 0)),
    "pgmq_admin.requeue": ("select pgmq_admin.requeue('other', '{2}')", ("other", 1, 0)),
    "pgmq_admin.make_visible": ("select pgmq_admin.make_visible('other', '{1}')", ("other", 1, 0)),
    "pgmq_admin.postpone": ("select pgmq_admin.postpone('other', '{1}', 3600)", ("other", 1, HOUR)),
    "pgmq_admin.postpone for good": ("select pgmq_admin.postpone('other', '{1}', until => 'infinity')",),
    "pgmq_admin.delete": ("select pgmq_admin.delete('other', '{1}')",),
    "pgmq_admin.apply": ("select pgmq_admin.apply('other', 'make_visible', '{}', null)", ("other", 1, 0)),
    "pgmq_admin.redrive": ("select pgmq_admin.redrive('other', 'dead')", ("dead", 1, 0)),
    "pgmq_admin.replay": ("select pgmq_admin.replay('other')", ("other", 1, 0)),
}  # fmt: skip


def reported(sql: Sql, statements: str) -> list[tuple[str, int, float]]:
    """The wake-ups of statements, which are undone."""
    sql("begin")
    try:
        for statement in statements.split("; "):
            queue = "plain" if "'plain'" in statement else "other"
            sql(statement.replace("RECEIPT", f"(select receipt from pgmq_api.read('{queue}', 60))"))
        ((text,),) = sql("select current_setting('pgmq_gateway.wakeups', true)")
    finally:
        sql("rollback")
    return list(wakeups_in(text or ""))


@pytest.mark.parametrize("name", REPORTS)
def test_functions_report_what_they_make_visible(owner: Sql, name: str) -> None:
    statements, *expected = REPORTS[name]
    wakeups = reported(owner, statements)
    assert [wakeup[:2] for wakeup in wakeups] == [wakeup[:2] for wakeup in expected]
    for (*_, seconds), (*_, latest) in zip(wakeups, expected, strict=True):
        assert 0 < seconds <= latest or seconds == latest == 0


@pytest.mark.parametrize(
    "statement",
    [
        "select pgmq_api.ack('grouped', RECEIPT)",
        "select pgmq_api.settle('grouped', array[RECEIPT])",
        "select pgmq_api.reject('grouped', RECEIPT)",
        "select pgmq_api.delete('grouped', 1)",
        "select pgmq_api.archive('grouped', 1)",
        "select pgmq_api.delete_batch('grouped', '{1}')",
        "select pgmq_api.pop('grouped')",
        "select pgmq_public.delete('grouped', 1)",
        "select pgmq_admin.delete('grouped', '{1}')",
        "delete from pgmq.q_grouped where msg_id = 1",
    ],
)
def test_in_a_group_the_end_of_a_message_reports_the_next(owner: Sql, statement: str) -> None:
    statement = statement.replace("RECEIPT", "(select receipt from pgmq_api.read('grouped', 60))")
    assert reported(owner, statement) == [("grouped", 1, 0)]


def test_the_name_of_a_queue_adds_no_line(owner: Sql) -> None:
    owner('create table pgmq."q_a\n\tb" (like pgmq.q_other including all)')
    assert reported(owner, "select pgmq_api.send(e'a\n\tb', '1')") == [("ab", 1, 0)]
