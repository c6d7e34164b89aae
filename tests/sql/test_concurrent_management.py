"""Management by several sessions at once: changes of privileges, and queues that vanish."""

from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import psycopg
import pytest
from psycopg import errors

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, runner
from tests.sql.conftest import OPERATIONS

ROUNDS = 10


@pytest.fixture
def uri(directory: DataDirectory, database: str) -> str:
    return socket_uri(directory, database=database)


def work(uri: str, *statements: str) -> None:
    """Run statements as service_role, each again where it waited for a lock for too long."""
    with psycopg.connect(uri, autocommit=True, options="-c role=service_role") as connection:
        sql = runner(connection)
        for statement in statements:
            while True:
                try:
                    sql(statement)
                except errors.LockNotAvailable:
                    continue
                break


def test_f41_eight_callers_change_privileges_at_once(db: Sql, uri: str) -> None:
    queues = [f"q{n}" for n in range(8)]
    for queue in queues:
        db("select pgmq_admin.create_queue(%s)", queue)
    with ThreadPoolExecutor(8) as pool:
        changes = [
            pool.submit(
                work, uri,
                *ROUNDS * (
                    f"select pgmq_admin.grant_queue('{queue}', 'anon', '{{send,read,pop,archive,delete}}')",
                    f"select pgmq_admin.revoke_queue('{queue}', 'anon', '{{send,read,pop,archive,delete}}')",
                ),
                f"select pgmq_admin.create_policy('{queue}', 'own_messages')",
                f"select pgmq_admin.create_queue('new_{queue}'), pgmq_admin.enable_notify('{queue}')",
                f"select pgmq_admin.drop_queue('new_{queue}')",
                "select pgmq_admin.expose()",
            )
            for queue in queues
        ]  # fmt: skip
    for change in changes:
        change.result()
    for queue in queues:
        assert db("select role, operations from pgmq_admin.list_grants(%s) where role <> 'service_role'", queue) == [
            ("anon", []),
            ("authenticated", list(OPERATIONS)),
        ]
        assert db("select count(*) from pgmq_admin.list_policies(%s)", queue) == [(6,)]
    assert db("select queue_name from pgmq.meta order by 1") == [(queue,) for queue in queues]


def test_f42_queues_that_vanish_are_left_out(db: Sql, uri: str) -> None:
    db("select pgmq_admin.create_queue('stays'), pgmq_public.send('stays', '1')")
    turn = ("select pgmq_admin.create_queue('goes')", "select pgmq_admin.drop_queue('goes')")
    looks = cycle(
        (
            "select pgmq_admin.list_queues()",
            "select pgmq_gateway.take_sample(0.001, 7)",
            "select pgmq_admin.lint()",
            "select pgmq_admin.database_status()",
            "select pgmq_gateway.queue_metrics(10)",
        )
    )
    with ThreadPoolExecutor(2) as pool:
        dropping = [pool.submit(work, uri, *60 * [s.replace("goes", name) for s in turn]) for name in ("one", "two")]
        while not all(each.done() for each in dropping):
            db(next(looks))
    for each in dropping:
        each.result()
    assert db("select queue_name, messages, sent from pgmq_admin.list_queues()") == [("stays", 1, 1)]


def test_f13_management_gives_up_waiting_for_locks(db: Sql) -> None:
    assert (
        db("""
        select oid::regprocedure::text from pg_proc
        where pronamespace = 'pgmq_admin'::regnamespace and prosecdef and provolatile = 'v'
          and not proconfig @> '{lock_timeout=3s}'
    """)
        == []
    )
