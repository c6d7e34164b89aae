"""The order in which functions lock the slots of groups, while other transactions hold some."""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.databases import Sql, runner
from tests.sql.leases import prepare, read
from tests.waiting import until

Rows = list[tuple[Any, ...]]

# The slots that a session has, or waits for.
SLOTS = (
    "select c.relname::text, l.objid::integer from pg_locks as l join pg_class as c on c.oid = l.classid"
    " where l.pid = %s and l.granted = %s and l.locktype = 'advisory' and c.relname like 'q\\_%%' order by 1, 2"
)


@pytest.fixture(scope="module")
def groups(owner: Sql) -> list[str]:
    """Three groups, in the order of their slots."""
    rows = owner("select array_agg(g::text order by hashtext(g::text) & 255) from generate_series(1, 3) as g")
    return list(rows[0][0])


def new_queue(owner: Sql, prefix: str = "g", **settings: object) -> str:
    queue = f"{prefix}{uuid.uuid4().hex[:12]}"
    prepare(owner, queue, group_limit=2, **settings)
    return queue


def put(owner: Sql, table: str, *groups: str) -> None:
    """Add messages with the ids 1, 2, …"""
    for msg_id, group in enumerate(groups, start=1):
        owner(
            f"insert into pgmq.{table} (msg_id, vt, message, headers) overriding system value"
            " values (%s, now(), '1', %s)",
            msg_id, json.dumps({"x-pgmq-group": group}),
        )  # fmt: skip


def slot(owner: Sql, group: str) -> int:
    return int(owner("select hashtext(%s) & 255", group)[0][0])


@contextmanager
def holding(uri: str, queue: str, group: str) -> Iterator[None]:
    """Hold the slot of a group."""
    with psycopg.connect(uri) as connection:
        connection.execute("select pgmq_settings.lock_groups(%s, array[%s])", (f"q_{queue}", group))
        yield


class Call:
    """A statement that runs in a thread, and has to wait for locks."""

    def __init__(self, owner: Sql, connection: psycopg.Connection[Any], pool: ThreadPoolExecutor) -> None:
        self._owner = owner
        self._connection = connection
        self._pool = pool

    def start(self, statement: str, *parameters: object) -> Future[Rows]:
        return self._pool.submit(runner(self._connection), statement, *parameters)

    def wait_for(self, queue: str, group: str) -> Rows:
        """Wait until the statement waits for the slot of a group. Returns the slots that it has."""
        pid = self._connection.info.backend_pid
        awaited = (f"q_{queue}", slot(self._owner, group))
        until(lambda: self._owner(SLOTS, pid, False) == [awaited])
        return self._owner(SLOTS, pid, True)

    def wait_for_table(self) -> None:
        """Wait until the statement waits for the lock of a table."""
        until(
            lambda: self._owner(
                "select 1 from pg_locks where pid = %s and locktype = 'relation' and not granted",
                self._connection.info.backend_pid,
            )
        )


@pytest.fixture
def call(owner: Sql, installed: str) -> Iterator[Call]:
    with ThreadPoolExecutor(1) as pool, psycopg.connect(installed, autocommit=True) as connection:
        yield Call(owner, connection, pool)


def test_a_replay_locks_the_groups_of_messages_that_were_removed_meanwhile(
    owner: Sql, installed: str, groups: list[str], call: Call
) -> None:
    queue = new_queue(owner)
    put(owner, f"a_{queue}", groups[2], groups[0])
    with psycopg.connect(installed) as removing:
        removing.execute("lock table pgmq_settings.queues")
        replay = call.start("select sent from pgmq_api.replay(%s)", queue)
        # It has read the archive, and looks for the groups to lock.
        call.wait_for_table()
        removing.execute(f"delete from pgmq.a_{queue} where msg_id = 2".encode())
        with holding(installed, queue, groups[0]):
            removing.commit()
            assert call.wait_for(queue, groups[0]) == []
    assert replay.result() == [(2,)]
    assert owner(f"select headers ->> 'x-pgmq-group' from pgmq.q_{queue} order by msg_id") == [
        (groups[2],), (groups[0],)]  # fmt: skip


@pytest.mark.parametrize("expected", [None, 1])
def test_a_change_leaves_messages_whose_groups_it_has_not_locked(
    owner: Sql, installed: str, groups: list[str], call: Call, expected: int | None
) -> None:
    queue = new_queue(owner)
    owner("select pgmq_api.send(%s, '1', group_id => %s)", queue, groups[2])
    with holding(installed, queue, groups[2]):
        deletion = call.start("select pgmq_admin.apply(%s, 'delete', '{}', %s)", queue, expected)
        call.wait_for(queue, groups[2])
        owner("select pgmq_api.send(%s, '2', group_id => %s)", queue, groups[0])
    assert deletion.result() == [(1,)]
    assert owner(f"select headers ->> 'x-pgmq-group' from pgmq.q_{queue}") == [(groups[0],)]
    assert owner("select pgmq_admin.apply(%s, 'delete', '{}', 1)", queue) == [(1,)]


def test_settle_locks_the_groups_of_dead_letters_with_those_of_their_queue(
    owner: Sql, installed: str, groups: list[str], call: Call
) -> None:
    letters = new_queue(owner, "a")
    queue = new_queue(owner, "b", dead_letter_queue=letters)
    for group in groups[1:]:
        owner("select pgmq_api.send(%s, '1', group_id => %s)", queue, group)
    ack, reject = read(owner, queue, 2)
    with holding(installed, letters, groups[2]):
        settlement = call.start(
            "select outcome from pgmq_api.settle(%s, array[%s], rejects => %s)", queue, ack, json.dumps([reject])
        )
        # Those of the queue come later in the order of names.
        assert [name for name, _ in call.wait_for(letters, groups[2])] == [f"q_{letters}"]
    assert settlement.result() == [("acked",), ("rejected",)]
    assert owner("select headers ->> 'x-pgmq-group' from pgmq_api.peek(%s)", letters) == [(groups[2],)]


def test_the_background_locks_the_groups_of_one_burial_in_a_transaction(
    owner: Sql, installed: str, groups: list[str]
) -> None:
    queue = new_queue(owner, message_keep_seconds=60)
    # A burial is of 200 messages.
    put(owner, f"q_{queue}", *[groups[1]] * 200, groups[0])
    owner(f"update pgmq.q_{queue} set enqueued_at = now() - interval '1 hour'")
    with psycopg.connect(installed) as consumer, psycopg.connect(installed) as background:
        consumer.execute(f"select from pgmq.q_{queue} where msg_id <= 200 for update".encode())
        run = runner(background)
        bury = f"select dead, buried from pgmq_settings.bury_unread('q_{queue}', 0, 'infinity')"
        assert run(bury) == [(201, 0)]
        assert run(SLOTS, background.info.backend_pid, True) == [(f"q_{queue}", slot(owner, groups[1]))]
