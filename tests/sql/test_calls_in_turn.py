"""pgmq_gateway.calls_in_turn: plain calls of several callers, each in a transaction of its own."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from psycopg import errors

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, runner
from tests.sql.calls import JUDGEMENT, SEND
from tests.sql.conftest import Connect
from tests.waiting import until

CALL = (
    "call pgmq_gateway.calls_in_turn('anon', %s, null, %s, 'public', %s, %s, 'q', %s::pg_catalog.oid[], %s, %s,"
    " null, null, null, null, null)"
)
# Of the queue's table, with their defaults.
COLUMNS = {
    "who text": "current_setting('request.jwt.claims')",
    "path text": "current_setting('request.path')",
    "place pg_lsn": "pg_current_wal_insert_lsn()",
}
DELETE = "delete(message_id,queue_name)"
Compared = tuple[Any, ...]


@pytest.fixture
def gateway(directory: DataDirectory, database: str, connect: Connect) -> Sql:
    """Run SQL as the gateway's login role."""
    return runner(connect(socket_uri(directory, "authenticator", database)))


@pytest.fixture(autouse=True)
def queue(db: Sql) -> None:
    """A queue that stores who sent a message, and by which path; messages below 0 violate a constraint."""
    db("select pgmq_admin.create_queue('q'); select pgmq_admin.grant_queue('q', 'anon', '{send,delete}')")
    db("alter table pgmq.q_q disable row level security, add check (message > '-1')")
    for column, value in COLUMNS.items():
        db(f"alter table pgmq.q_q add {column}; alter table pgmq.q_q alter {column.split()[0]} set default {value}")


@pytest.fixture
def compared(queue: None, gateway: Sql) -> Compared:  # noqa: ARG001 it has to exist
    """The compared values: relations, functions, fingerprint."""
    ((_, relations, functions, fingerprint, _),) = gateway(JUDGEMENT, "q", "send")
    return relations, functions, fingerprint


def send(message: int, queue: str = "q") -> tuple[str, str]:
    return SEND, json.dumps({"queue_name": queue, "message": message})


def delete(message_id: int) -> tuple[str, str]:
    return DELETE, json.dumps({"queue_name": "q", "message_id": message_id})


def in_turn(gateway: Sql, compared: Compared, *calls: tuple[str, str]) -> list[object]:
    """The result of each call, or the SQLSTATE of its failure. Caller 1 makes the first call."""
    count = range(1, len(calls) + 1)
    claims = [json.dumps({"sub": n}) for n in count]
    requests = [text for n in count for text in ("POST", f"/{n}", "{}", "{}")]
    ((row_counts, bodies, failures, _, _),) = gateway(
        CALL, claims, requests, *map(list, zip(*calls, strict=True)), *compared
    )
    assert [count is None for count in row_counts] == [failure is not None for failure in failures]
    return [
        json.loads(body) if failure is None else json.loads(failure)[0]
        for body, failure in zip(bodies, failures, strict=True)
    ]


def sent(db: Sql) -> list[object]:
    return [message for (message,) in db("select message from pgmq.q_q order by msg_id")]


def test_each_call_has_its_own_transaction_claims_and_request(db: Sql, gateway: Sql, compared: Compared) -> None:
    assert in_turn(gateway, compared, send(7), send(8), send(9)) == [[1], [2], [3]]
    assert db("select message, who, path from pgmq.q_q order by msg_id") == [
        (message, json.dumps({"sub": n}), f"/{n}") for n, message in enumerate((7, 8, 9), 1)
    ]
    assert db("select count(distinct xmin::text), count(distinct enqueued_at) from pgmq.q_q") == [(3, 3)]


def test_a_failure_is_that_of_its_call(db: Sql, gateway: Sql, compared: Compared) -> None:
    calls = send(1), send(-1), send(2, queue="r"), send(3), (SEND, "{")
    assert in_turn(gateway, compared, *calls) == [[1], "23514", "GW131", [3], "22P02"]
    assert sent(db) == [1, 3]


def test_a_failed_assertion_is_that_of_its_call(db: Sql, gateway: Sql) -> None:
    db("create function public.positive(m jsonb) returns boolean language plpgsql as"
       " $$ begin assert m > '0'; return true; end $$")  # fmt: skip
    db("alter table pgmq.q_q add check (public.positive(message))")
    ((_, *compared, _),) = gateway(JUDGEMENT, "q", "send")
    assert in_turn(gateway, tuple(compared), send(1), send(0), send(2)) == [[1], "P0004", [3]]
    assert sent(db) == [1, 2]


def test_large_results_keep_those_after_them_from_being_returned(db: Sql, gateway: Sql) -> None:
    db("select pgmq_admin.grant_queue('q', 'anon', '{pop}')")
    db(
        "insert into pgmq.q_q (vt, message, who, path)"
        " select now(), json_build_array(repeat('x', 9000000)), '', '' from generate_series(1, 3)"
    )
    ((_, *compared, _),) = gateway(JUDGEMENT, "q", "pop")
    pop = "pop(queue_name)", '{"queue_name": "q"}'
    results = in_turn(gateway, tuple(compared), pop, pop, pop)
    assert [type(one) for one in results] == [list, list, str]
    assert results[2] == "55P03"
    assert db("select msg_id from pgmq.q_q") == [(3,)]


def test_nothing_is_left_when_they_end(gateway: Sql, compared: Compared) -> None:
    in_turn(gateway, compared, send(1), send(-1), send(2))
    shown = (
        "select current_user, current_setting('search_path'), current_setting('request.jwt.claims', true),"
        " current_setting('synchronous_commit')"
    )
    ((user, path, claims, commit),) = gateway(shown)
    assert (user, path, claims or "", commit) == ("authenticator", '"$user", public', "", "on")
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="lastval is not yet defined"):
        gateway("select lastval()")


@pytest.mark.parametrize("last", [send(2), send(-1), delete(99)], ids=["stored", "failed", "nothing written"])
def test_they_are_on_disk_when_they_end(db: Sql, gateway: Sql, compared: Compared, last: tuple[str, str]) -> None:
    in_turn(gateway, compared, send(1), last)
    assert db("select bool_and(place < pg_current_wal_flush_lsn()) from pgmq.q_q") == [(True,)]


def test_they_are_on_disk_when_the_last_finds_its_message_deleted(db: Sql, gateway: Sql, compared: Compared) -> None:
    """It has a transaction id then, but has written nothing that a commit waits for."""
    waits = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"

    def met() -> bool:
        db("set synchronous_commit = off")
        in_turn(gateway, compared, send(1))
        ((last,),) = db("select max(msg_id) from pgmq.q_q")
        db("begin")
        db("delete from pgmq.q_q where msg_id = %s", last)
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(in_turn, gateway, compared, send(2), delete(last))
            until(lambda: db(waits) or running.done())
            db("commit")
            # After 50 ms it waits no longer.
            return running.result()[1] is False

    until(met)
    assert db("select bool_and(place < pg_current_wal_flush_lsn()) from pgmq.q_q") == [(True,)]


def test_a_call_that_meets_a_lock_keeps_those_after_it_from_running(db: Sql, gateway: Sql, compared: Compared) -> None:
    in_turn(gateway, compared, send(1), send(2))
    db("begin")
    db("select from pgmq.q_q where msg_id = 1 for update")
    assert in_turn(gateway, compared, delete(1), delete(2)) == ["55P03", "55P03"]
    db("rollback")
    assert sent(db) == [1, 2]


def test_a_call_that_is_cancelled_keeps_those_after_it_from_running(db: Sql, gateway: Sql) -> None:
    db("create function public.slow(m jsonb) returns boolean language plpgsql as"
       " $$ begin perform pg_sleep(600) where m = '0'; return true; end $$")  # fmt: skip
    db("alter table pgmq.q_q add check (public.slow(message))")
    ((_, *compared, _),) = gateway(JUDGEMENT, "q", "send")
    sleeping = "from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(in_turn, gateway, tuple(compared), send(1), send(0), send(2))
        until(lambda: db(f"select 1 {sleeping}"))
        # The first one is committed already.
        assert sent(db) == [1]
        db(f"select pg_cancel_backend(pid) {sleeping}")
        assert running.result() == [[1], "57014", "57014"]
    assert sent(db) == [1]


def test_a_change_since_the_judgement_undoes_all(db: Sql, gateway: Sql, compared: Compared) -> None:
    db("create policy p on pgmq.q_q using (true)")
    with pytest.raises(errors.DatabaseError) as raised:
        in_turn(gateway, compared, send(1), send(2))
    assert (raised.value.sqlstate, sent(db)) == ("GW130", [])


def test_a_change_during_a_call_undoes_it_and_keeps_the_others_from_running(db: Sql, gateway: Sql) -> None:
    db("create function public.slow(m jsonb) returns boolean language plpgsql as"
       " $$ begin perform pg_sleep(600) where m = '0'; return true; exception when query_canceled then return true;"
       " end $$")  # fmt: skip
    db("alter table pgmq.q_q add check (public.slow(message))")
    ((_, *compared, _),) = gateway(JUDGEMENT, "q", "send")
    sleeping = "from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(in_turn, gateway, tuple(compared), send(1), send(0), send(2))
        until(lambda: db(f"select 1 {sleeping}"))
        db("create function public.slow(m text) returns boolean language sql as 'select true'")
        db(f"select pg_cancel_backend(pid) {sleeping}")
        assert running.result() == [[1], "GW130", "GW130"]
    assert sent(db) == [1]


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
def test_the_api_roles_may_not_call_it(db: Sql, role: str) -> None:
    ((signature,),) = db("select oid::regprocedure::text from pg_proc where proname = 'calls_in_turn'")
    assert db("select has_function_privilege(%s, %s, 'execute')", role, signature) == [(False,)]
