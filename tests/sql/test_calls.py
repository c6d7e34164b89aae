"""pgmq_gateway.calls: several plain calls of one caller with the outcomes that they would have alone."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg import errors

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, runner
from tests.sql.calls import JUDGEMENT, TYPES, bodies, calls, sends
from tests.sql.conftest import Connect
from tests.waiting import until


@pytest.fixture
def gateway(directory: DataDirectory, database: str, connect: Connect) -> Sql:
    """Run SQL as the gateway's login role."""
    return runner(connect(socket_uri(directory, "authenticator", database)))


@pytest.fixture(autouse=True)
def queue(db: Sql) -> None:
    """A queue that anon can send to; messages below 0 violate a constraint."""
    db("select pgmq_admin.create_queue('q'); select pgmq_admin.grant_queue('q', 'anon', '{send,read}')")
    db("alter table pgmq.q_q disable row level security, add check (message <> '-1')")


def sent(db: Sql) -> list[object]:
    return [message for (message,) in db("select message from pgmq.q_q order by msg_id")]


@pytest.mark.parametrize("careful", [True, False])
def test_each_has_its_own_arguments_and_result(db: Sql, gateway: Sql, careful: bool) -> None:
    assert calls(gateway, sends("a", "b"), careful=careful) == [(1, "[1]", None), (1, "[2]", None)]
    assert sent(db) == ["a", "b"]


def test_each_has_its_own_request(db: Sql, gateway: Sql) -> None:
    db("alter table pgmq.q_q enable row level security")
    seen = "current_setting('request.headers')::json ->> 'n' || current_setting('request.path')"
    db(f"create policy p on pgmq.q_q to anon using (true) with check (message ->> 0 = {seen})")
    assert bodies(calls(gateway, sends(["0/rpc/0"], ["1/rpc/1"], ["0/rpc/0"]))) == ["[1]", "[2]", "42501"]


def test_a_failure_is_its_own_and_says_all_that_is_known(db: Sql, gateway: Sql) -> None:
    first, failed, last = calls(gateway, sends(1, -1, 2))
    assert (first, last) == ((1, "[1]", None), (1, "[3]", None))
    assert failed[:2] == (None, None)
    code, message, detail, _, context = failed[2]
    assert (code, "q_q_message_check" in message) == ("23514", True)
    assert detail.startswith("Failing row contains")
    assert "pgmq_public.send" in context
    assert sent(db) == [1, 2]


def test_without_savepoints_a_failure_is_that_of_all(db: Sql, gateway: Sql) -> None:
    with pytest.raises(errors.CheckViolation):
        calls(gateway, sends(1, -1, 2), careful=False)
    assert sent(db) == []


def test_a_role_that_may_not_be_taken_ends_all(gateway: Sql) -> None:
    with pytest.raises(errors.InsufficientPrivilege, match="permission denied to set role"):
        calls(gateway, sends(1, 2), role="postgres", careful=False)
    with pytest.raises(errors.InvalidParameterValue, match="does not exist"):
        calls(gateway, sends(1), role="nobody-at-all", careful=False)


@pytest.mark.parametrize("careful", [True, False])
def test_types_of_the_session_do_not_matter(gateway: Sql, careful: bool) -> None:
    (judgement,) = gateway(JUDGEMENT, "q", "send")
    gateway(TYPES)
    assert bodies(calls(gateway, sends(1, 2), judgement=judgement, careful=careful)) == ["[1]", "[2]"]


def test_settings_apply_to_all(gateway: Sql) -> None:
    settings = ["pgmq_gateway.max_batch", "1"]
    batches = [json.dumps({"queue_name": "q", "messages": [1] * n}) for n in (1, 2, 1)]
    rows = calls(gateway, batches, statement="send_batch(messages,queue_name)", settings=settings)
    assert bodies(rows) == ["[1]", "22023", "[2]"]


def test_nothing_is_left_when_they_end(gateway: Sql) -> None:
    shown = "select current_user, current_setting('search_path'), current_setting('request.jwt.claims', true)"
    calls(gateway, sends(1, -1))
    ((user, path, claims),) = gateway(shown)
    assert (user, path, claims or "") == ("authenticator", '"$user", public', "")


def test_the_session_forgets_the_sequences_that_they_used(gateway: Sql) -> None:
    calls(gateway, sends(1, 2))
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="lastval is not yet defined"):
        gateway("select lastval()")


def test_they_do_not_wait_for_a_lock_of_another_transaction(db: Sql, gateway: Sql) -> None:
    db("select pgmq_admin.grant_queue('q', 'anon', '{read,delete}')")
    calls(gateway, sends(1, 2))
    db("begin")
    db("select from pgmq.q_q where msg_id = 2 for update")
    settings = ["lock_timeout", "1min"]
    deletes = [json.dumps({"queue_name": "q", "message_id": n}) for n in (1, 2)]
    with pytest.raises(errors.LockNotAvailable):
        calls(gateway, deletes, statement="delete(message_id,queue_name)", settings=settings, careful=False)
    db("rollback")
    assert sent(db) == [1, 2]


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
def test_the_api_roles_may_not_call_it(db: Sql, role: str) -> None:
    signatures = db(
        "select oid::regprocedure::text from pg_proc where proname in ('calls', 'judgement', 'fingerprint')"
    )
    assert [
        s for (s,) in signatures if db("select has_function_privilege(%s, %s, 'execute')", role, s) != [(False,)]
    ] == []
    assert len(signatures) == 3


OTHERS = [
    "{}",
    '{"queue_name": null}',
    '{"queue_name": "r"}',
    '{"queue_name": "Q"}',
    '{"queue_name": "q "}',
    '{"queue_name": "q", "queue_name": "r"}',
    '{"queue_name": "q", "queue_nam\\u0065": "r"}',
    '{"QUEUE_NAME": "q"}',
    '{"nested": {"queue_name": "q"}}',
    '{"queue_name": ["q"]}',
]
SAME = ['{"queue_nam\\u0065": "\\u0071"}', '{"queue_name": "r", "queue_name": "q"}', ' { "queue_name" : "q" } ']


@pytest.mark.parametrize("other", OTHERS)
def test_another_queue_in_the_arguments_undoes_all(db: Sql, gateway: Sql, other: str) -> None:
    with pytest.raises(errors.DatabaseError) as raised:
        calls(gateway, [*sends(1), other])
    assert raised.value.sqlstate == "GW130"
    assert sent(db) == []


def test_the_queue_is_read_as_the_call_reads_it(gateway: Sql) -> None:
    for arguments in (*OTHERS, *SAME):
        read = "select %s::json ->> 'queue_name', (select queue_name from json_to_record(%s) as r (queue_name text))"
        ((compared, called),) = gateway(read, arguments, arguments)
        assert compared == called
        assert (compared == "q") == (arguments in SAME)


def changed(error: pytest.ExceptionInfo[errors.DatabaseError], db: Sql) -> bool:
    """True if a change of the database undid all calls."""
    return error.value.sqlstate == "GW130" and sent(db) == []


def test_a_change_since_the_judgement_undoes_all(db: Sql, gateway: Sql) -> None:
    (judgement,) = gateway(JUDGEMENT, "q", "send")
    db("create policy p on pgmq.q_q using (true)")
    with pytest.raises(errors.DatabaseError) as raised:
        calls(gateway, sends(1), judgement=judgement)
    assert changed(raised, db)


def test_another_isolation_level_undoes_all(db: Sql, gateway: Sql) -> None:
    gateway("set default_transaction_isolation = 'repeatable read'")
    with pytest.raises(errors.DatabaseError) as raised:
        calls(gateway, sends(1))
    assert changed(raised, db)


# In another session: neither waits for a lock on the queue, as a new trigger or policy does.
CHANGES = {
    "a function": "create or replace function public.mine(message jsonb) returns boolean language sql as 'select true'",
    "an overload": "create function public.mine(message text) returns boolean language sql as 'select true'",
    "a function that changes what operators do": """
        create schema planted; grant usage on schema planted to public;
        create function planted.equal(text, text) returns boolean language sql as 'select true';
        create operator planted.= (function = planted.equal, leftarg = text, rightarg = text);
        create or replace function public.mine(message jsonb) returns boolean language sql as
            $$ select set_config('search_path', 'planted, pg_catalog', false) is not null $$
    """,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_between_two_calls_undoes_all(
    db: Sql, gateway: Sql, connect: Connect, directory: DataDirectory, database: str, change: str
) -> None:
    """The first call waits for an advisory lock, which is held until the change is committed."""
    db("create function public.mine(message jsonb) returns boolean volatile language sql as "
       "'select message <> $$0$$ or pg_advisory_xact_lock_shared(1) is not null'")  # fmt: skip
    db("alter table pgmq.q_q enable row level security")
    db("create policy p on pgmq.q_q to anon using (true) with check (public.mine(message))")
    ((_, *compared),) = gateway(JUDGEMENT, "q", "send")
    holder = runner(connect(socket_uri(directory, database=database)))
    holder("select pg_advisory_lock(1)")
    waiting = "select 1 from pg_locks as l join pg_database as d on d.oid = l.database "
    waiting += "where d.datname = current_database() and l.locktype = 'advisory' and not l.granted"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(calls, gateway, sends(0, 1), judgement=([], *compared))
        try:
            until(lambda: db(waiting))
            db(CHANGES[change])
        finally:
            holder("select pg_advisory_unlock(1)")
        with pytest.raises(errors.DatabaseError) as raised:
            running.result()
    assert changed(raised, db)
