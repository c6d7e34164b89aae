"""Trying as a caller leaves no row, no notification and no setting behind, even for the rest of its transaction."""

import pytest
from psycopg import errors

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, runner
from tests.sql.calls import CLAIMS
from tests.sql.conftest import Connect

SETTINGS = ("role", "request.jwt.claims", "lock_timeout", "search_path", "app.trace")
STATE = " || ' ' || ".join(f"coalesce(current_setting('{name}', true), '')" for name in SETTINGS)
STATE = f"select {STATE}"
TRY = "select string_agg(coalesce(code, 'ok'), ' ') from pgmq_admin.try_as('q', {}, '{}')"
# A policy with a side effect on the session.
TRACING = "set_config('app.trace', current_user, false) is not null"


@pytest.fixture
def gateway(directory: DataDirectory, database: str, connect: Connect, db: Sql) -> Sql:
    """The gateway's login role, with all operations on a notifying queue granted to anon."""
    db("select pgmq_admin.create_queue('q'), pgmq_admin.grant_queue('q', 'anon', '{send, read, pop, archive, delete}')")
    db(f"create policy p on pgmq.q_q to anon using ({TRACING})")
    db("select pgmq_admin.grant_queue('q', 'anon', '{send}') from pgmq.enable_notify_insert('q', 0)")
    db("select pgmq.send('q', '1')")
    return runner(connect(socket_uri(directory, "authenticator", database)))


def in_transaction(gateway: Sql, *statements: str) -> list[str]:
    """The text that each statement returns as service_role, or the code of its error."""
    gateway("begin")
    gateway(
        "select set_config('role', 'service_role', true), set_config('request.jwt.claims', %s, true), "
        "set_config('search_path', 'pgmq_admin', true)", CLAIMS,
    )  # fmt: skip
    found = []
    for statement in statements:
        gateway("savepoint one")
        try:
            found.append(gateway(statement)[0][0])
        except errors.DatabaseError as error:
            gateway("rollback to one")
            found.append(error.sqlstate)
    gateway("commit")
    return found


def test_a_transaction_goes_on_as_before(gateway: Sql, db: Sql) -> None:
    stored = db("select * from pgmq.q_q")
    anon, forged = TRY.format("'anon'", '{"sub": "x"}'), TRY.format("'authenticated'", "{}")
    before = f"service_role {CLAIMS} 0 pgmq_admin "
    allowed, refused = " ".join(["ok"] * 5), " ".join(["42501"] * 5)
    assert in_transaction(gateway, STATE, anon, STATE, forged, STATE) == [before, allowed, before, refused, before]
    assert db("select * from pgmq.q_q") == stored
    assert db("select count(*) from pgmq.a_q") == [(0,)]


def test_policies_are_tried_before_they_exist(gateway: Sql, db: Sql) -> None:
    policies = "select polname, polrelid, oid from pg_policy order by 3"
    before = db(policies), db("select relacl from pg_class where relname = 'q_q'")
    trial = (
        "select string_agg(operation || ' ' || allowed, ', ') from pgmq_admin.try_policy('q', {}, 'own_messages', "
        '\'authenticated\', claims => \'{{"sub": "{}"}}\', message => \'{{"user_id": "ada"}}\', '
        "operations => '{{send,read}}')"
    )
    ada, eve = trial.format("'{}'", "ada"), trial.format("'{p}'", "eve")
    log = "select count(*) from pgmq_gateway.actions"
    logged = db(log)
    results = in_transaction(gateway, STATE, ada, eve, STATE)
    assert results[1] == "send true, read true, pop false, archive false, delete false"
    assert results[2] == "send false, read false, pop false, archive false, delete false"
    assert results[0] == results[3]
    assert (db(policies), db("select relacl from pg_class where relname = 'q_q'")) == before
    assert db(log) == logged
    assert in_transaction(gateway, trial.format("'{missing}'", "ada")) == ["42704"]


def test_what_fails_before_it_begins_leaves_nothing_either(gateway: Sql) -> None:
    callers = {"nobody": "{}", "postgres": "{}", "authenticator": "{}", "anon": "[]"}
    wrong = [TRY.format(f"'{role}'", claims) for role, claims in callers.items()]
    before, *codes, after = in_transaction(gateway, STATE, *wrong, STATE)
    assert codes == ["42704", "42501", "42501", "22023"]
    assert before == after


def test_nobody_is_notified(gateway: Sql, db: Sql, connect: Connect, directory: DataDirectory, database: str) -> None:
    listener = connect(socket_uri(directory, database=database))
    listener.execute('listen "pgmq.q_q.INSERT"')
    in_transaction(gateway, TRY.format("'anon'", "{}"))
    db("notify \"pgmq.q_q.INSERT\", 'the end'")
    assert [notification.payload for notification in listener.notifies(timeout=30, stop_after=1)] == ["the end"]


def test_each_operation_on_a_locked_queue_is_refused(
    gateway: Sql, directory: DataDirectory, database: str, connect: Connect
) -> None:
    other = connect(socket_uri(directory, database=database))
    other.execute("begin; lock table pgmq.q_q in access exclusive mode")
    expected = " ".join(["55P03"] * 5)
    assert in_transaction(gateway, TRY.format("'anon'", "{}"), STATE) == [
        expected,
        f"service_role {CLAIMS} 0 pgmq_admin ",
    ]


def test_a_locked_queue_is_an_error_soon(
    gateway: Sql, connect: Connect, directory: DataDirectory, database: str
) -> None:
    other = connect(socket_uri(directory, database=database))
    other.execute("begin; lock table pgmq.a_q in access exclusive mode")
    gateway("begin; set role service_role")
    tried = gateway("select operation, code from pgmq_admin.try_as('q', 'anon')")
    assert dict(tried) == {"send": None, "read": None, "pop": None, "archive": "55P03", "delete": None}
    gateway("rollback")


def test_messages_as_needs_the_rights_of_read(gateway: Sql, db: Sql) -> None:
    gateway("begin; set role service_role")
    assert gateway("select message from pgmq_admin.messages_as('q', 'anon')") == [(1,)]
    assert gateway("select current_setting('role'), coalesce(current_setting('request.jwt.claims', true), '')") == [
        ("service_role", "")
    ]
    with pytest.raises(errors.InsufficientPrivilege, match="permission denied for table q_q"):
        gateway("select * from pgmq_admin.messages_as('q', 'authenticated')")
    gateway("rollback")
    for wrong in (0, 1001, None):
        with pytest.raises(errors.InvalidParameterValue, match="must be between 1 and 1000"):
            db("select * from pgmq_admin.messages_as('q', 'anon', max_rows => %s)", wrong)
