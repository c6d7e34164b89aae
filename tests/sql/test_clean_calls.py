"""pgmq_gateway.call with a judgement: whether a plain call leaves its session clean for another caller."""

import json
from typing import Any

import pytest
from psycopg import errors

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, runner
from tests.sql.calls import CLAIMS, JUDGEMENT, SEND
from tests.sql.conftest import Connect

CALL = f"""
select body, clean from pgmq_gateway.call(
    'anon', %s, array['POST', '/rpc/send', '{{}}', '{{}}'], 'pgmq_public, public', null, false, null,
    '{SEND}', %s, '{{}}', false, null, null, %s, %s::pg_catalog.oid[], %s, %s)
"""
NOTE = """
create table noted (role name);
grant insert on noted to anon;
create function note() returns trigger language plpgsql as $$ begin
    insert into public.noted values (current_user); return new; end $$;
"""
# Operators in front of those of pg_catalog, by which everything is equal.
EQUAL = """
create schema foreign_code;
create function foreign_code.equal(text, text) returns boolean language sql as 'select true';
create operator foreign_code.= (function = foreign_code.equal, leftarg = text, rightarg = text);
grant usage on schema foreign_code to public;
create function foreign_code.turn() returns trigger language plpgsql as $$ begin
    perform pg_catalog.set_config('search_path', 'foreign_code, pg_catalog', false); return new; end $$;
"""
Judged = tuple[Any, ...]


@pytest.fixture
def gateway(directory: DataDirectory, database: str, connect: Connect) -> Sql:
    """Run SQL as the gateway's login role."""
    return runner(connect(socket_uri(directory, "authenticator", database)))


@pytest.fixture
def judged(db: Sql, gateway: Sql) -> Judged:
    """The values that the judgement of sends to a queue compares: queue, relations, functions, fingerprint."""
    db("select pgmq_admin.create_queue('q'); select pgmq_admin.grant_queue('q', 'anon', '{send}')")
    db("alter table pgmq.q_q disable row level security")
    ((obstacles, relations, functions, fingerprint, _),) = gateway(JUDGEMENT, "q", "send")
    assert obstacles == []
    return "q", relations, functions, fingerprint


def send(gateway: Sql, judged: Judged, message: int, queue: str = "q") -> object:
    """Send a message. Returns whether the session is clean."""
    ((body, clean),) = gateway(CALL, CLAIMS, json.dumps({"queue_name": queue, "message": message}), *judged)
    assert json.loads(body) != []
    return clean


def sent(db: Sql) -> list[object]:
    return [message for (message,) in db("select message from pgmq.q_q order by msg_id")]


def test_a_judged_call_leaves_nothing(db: Sql, gateway: Sql, judged: Judged) -> None:
    assert send(gateway, judged, 1) is True
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="lastval is not yet defined"):
        gateway("select lastval()")
    assert gateway("select current_user") == [("authenticator",)]
    assert sent(db) == [1]


@pytest.mark.usefixtures("judged")
def test_a_call_without_a_judgement_is_not_compared(db: Sql, gateway: Sql) -> None:
    assert send(gateway, (None, None, None, None), 1) is None
    assert sent(db) == [1]
    # The session still knows the sequence.
    with pytest.raises(errors.InsufficientPrivilege, match="q_q_msg_id_seq"):
        gateway("select lastval()")


def test_a_change_since_the_judgement_may_leave_something(db: Sql, gateway: Sql, judged: Judged) -> None:
    """The call is executed all the same, and deferred triggers run in the caller's role."""
    db(NOTE)
    db("create constraint trigger t after insert on pgmq.q_q deferrable initially deferred for each row"
       " execute function note()")  # fmt: skip
    assert send(gateway, judged, 1) is False
    assert (sent(db), db("select role from noted")) == ([1], [("anon",)])


def test_code_that_a_changed_queue_runs_does_not_decide(db: Sql, gateway: Sql, judged: Judged) -> None:
    db(EQUAL)
    db("create trigger t before insert on pgmq.q_q for each row execute function foreign_code.turn()")
    assert send(gateway, judged, 1) is False
    # Once more in this session, where the search_path is the one that was set.
    assert send(gateway, judged, 2) is False


def test_another_queue_or_isolation_level_was_not_judged(db: Sql, gateway: Sql, judged: Judged) -> None:
    db("select pgmq_admin.create_queue('r'); select pgmq_admin.grant_queue('r', 'anon', '{send}')")
    db("alter table pgmq.q_r disable row level security")
    assert send(gateway, judged, 1, queue="r") is False
    gateway("set default_transaction_isolation = 'repeatable read'")
    assert send(gateway, judged, 2) is False
