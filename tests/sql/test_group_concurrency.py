"""Groups under concurrent producers and consumers, killed backends, and batches in any order."""

import json
import random
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from tests.databases import Sql
from tests.sql.leases import prepare

Connection = psycopg.Connection[Any]
VICTIM = "group_victim"
PRODUCERS = CONSUMERS = 6
SENDS = 6
KILLS = 10


@dataclass
class Traffic:
    """Producers and consumers of one queue, whose backends are killed now and then.

    limit      the group_limit
    confirmed  the ids of messages whose sends were not interrupted
    produced   the producers that have sent all messages
    """

    uri: str
    queue: str
    limit: int
    confirmed: list[int] = field(default_factory=list)
    produced: list[int] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Send and consume all messages. Raises the first error of a thread."""
        with ThreadPoolExecutor(PRODUCERS + CONSUMERS + 2) as pool:
            watching = [pool.submit(self.kill), pool.submit(self.observe)]
            try:
                working = [pool.submit(self.produce, number) for number in range(PRODUCERS)]
                working += [pool.submit(self.consume) for _ in range(CONSUMERS)]
                for future in working:
                    future.result()
            finally:
                self.done.set()
            for future in watching:
                future.result()

    def produce(self, number: int) -> None:
        """Send batches to two groups of this producer and to one of all producers."""
        for send in range(SENDS):
            groups = random.sample([f"{number}.a", f"{number}.b", "shared"], 3)
            with suppress(psycopg.OperationalError), self.connected(VICTIM) as connection:
                rows = connection.execute(
                    "select pgmq.send_batch(%s, %s::jsonb[], %s::jsonb[])",
                    (self.queue, [json.dumps(send)] * 3, [json.dumps({"x-pgmq-group": group}) for group in groups]),
                ).fetchall()
                connection.commit()
                self.confirmed += [msg_id for (msg_id,) in rows]
        self.produced.append(number)

    def consume(self) -> None:
        """Read and archive until there are no more messages; roll back now and then."""
        finished = False
        while not finished and not self.done.is_set():
            with suppress(psycopg.OperationalError), self.connected(VICTIM) as connection:
                while not finished:
                    produced = len(self.produced) == PRODUCERS
                    if self.consume_some(connection, n=random.sample(range(1, 5), 1)[0]):
                        random.sample([connection.commit] * 4 + [connection.rollback], 1)[0]()
                        continue
                    connection.execute(
                        "select pgmq_settings.sweep_groups(%s, %s, '', clock_timestamp() + interval '1 minute')",
                        (f"q_{self.queue}", self.limit),
                    )
                    ((left,),) = connection.execute(f"select count(*) from pgmq.q_{self.queue}".encode()).fetchall()
                    connection.commit()
                    finished = produced and left == 0

    def consume_some(self, connection: Connection, n: int) -> int:
        """Read and archive. The next message of a group is read after this transaction, so its place is higher."""
        rows = connection.execute("select msg_id from pgmq.read(%s, 600, %s)", (self.queue, n))
        ids = [msg_id for (msg_id,) in rows.fetchall()]
        connection.execute("insert into consumed (queue, msg_id) select %s, unnest(%s::bigint[])", (self.queue, ids))
        connection.execute("select pgmq.archive(%s, %s::bigint[])", (self.queue, ids))
        return len(ids)

    def kill(self) -> None:
        """Kill some backends."""
        with self.connected("killer") as connection:
            connection.autocommit = True
            for _ in range(KILLS):
                if self.done.wait(0.02):
                    return
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where application_name = %s and datname = current_database() order by random() limit 1",
                    (VICTIM,),
                )

    def observe(self) -> None:
        """Fail if a group ever has more messages that are not parked than the limit."""
        with self.connected("observer") as connection:
            connection.autocommit = True
            while not self.done.wait(0.01):
                rows = connection.execute(
                    f"select headers ->> 'x-pgmq-group', count(*) from pgmq.q_{self.queue} where vt < 'infinity'"
                    " group by 1 having count(*) > %s".encode(),
                    (self.limit,),
                ).fetchall()
                assert rows == []

    @contextmanager
    def connected(self, name: str) -> Iterator[Connection]:
        # pgmq's own send_batch can deadlock.
        connection = psycopg.connect(self.uri, application_name=name, options="-c deadlock_timeout=20ms")
        try:
            yield connection
        finally:
            connection.close()


@pytest.mark.parametrize("limit", [1, 3])
def test_f36_121_fifo_order_and_122_never_more_in_flight_than_the_limit(owner: Sql, installed: str, limit: int) -> None:
    queue = f"g{uuid.uuid4().hex[:12]}"
    prepare(owner, queue, group_limit=limit)
    owner("create table if not exists consumed (place bigint generated always as identity, queue text, msg_id bigint)")
    traffic = Traffic(installed, queue, limit)
    traffic.run()
    archived = owner(f"""
        select a.headers ->> 'x-pgmq-group', array_agg(a.msg_id order by c.place)
        from pgmq.a_{queue} as a join consumed as c on c.queue = '{queue}' and c.msg_id = a.msg_id group by 1""")
    assert owner(f"select count(*) from pgmq.q_{queue}") == [(0,)]
    assert sorted(msg_id for _, ids in archived for msg_id in ids) == [
        msg_id for (msg_id,) in owner(f"select msg_id from pgmq.a_{queue} order by 1")
    ]
    assert set(traffic.confirmed) <= {msg_id for _, ids in archived for msg_id in ids}
    if limit == 1:
        # Producers that send to one group at the same time have no order.
        for group, ids in archived:
            assert group == "shared" or ids == sorted(ids)


def together(uri: str, works: Sequence[Callable[[Connection], None]]) -> None:
    """Run each in a thread with a connection of its own. Raises the first error."""

    def run(work: Callable[[Connection], None]) -> None:
        with psycopg.connect(uri, autocommit=True) as connection:
            work(connection)

    with ThreadPoolExecutor(len(works)) as pool:
        for future in [pool.submit(run, work) for work in works]:
            future.result()


def test_127_batches_of_many_groups_do_not_deadlock(owner: Sql, installed: str) -> None:
    queue = f"g{uuid.uuid4().hex[:12]}"
    prepare(owner, queue, group_limit=2, max_receives=2)
    groups = [f"group {number}" for number in range(30)]

    def send(connection: Connection) -> None:
        for _ in range(15):
            entries = [{"message": 1, "group_id": group} for group in random.sample(groups, 15)]
            connection.execute("select pgmq_api.send_entries(%s, %s)", (queue, json.dumps(entries)))

    def settle(connection: Connection) -> None:
        for _ in range(15):
            rows = connection.execute("select receipt from pgmq_api.read(%s, 600, 20)", (queue,)).fetchall()
            receipts = random.sample([receipt for (receipt,) in rows], len(rows))
            lists = [receipts[number::4] for number in range(4)]
            connection.execute(
                "select pgmq_api.settle(%s, %s::text[], %s::text[], %s, %s)",
                (queue, *lists[:2], *map(json.dumps, lists[2:])),
            )

    def remove(connection: Connection) -> None:
        for function in ("delete_batch", "archive_batch") * 8:
            rows = connection.execute("select msg_id from pgmq_api.read(%s, 600, 20)", (queue,)).fetchall()
            ids = random.sample([msg_id for (msg_id,) in rows], len(rows))
            connection.execute(f"select pgmq_api.{function}(%s, %s::bigint[])".encode(), (queue, ids))

    def purge(connection: Connection) -> None:
        for _ in range(15):
            connection.execute("select pgmq_api.purge(%s, 20)", (queue,))

    together(installed, [send, send, settle, settle, remove, remove, purge])


def test_deletes_of_parked_messages_do_not_deadlock(owner: Sql, installed: str) -> None:
    queue = f"g{uuid.uuid4().hex[:12]}"
    prepare(owner, queue, group_limit=1)
    owner(
        f"insert into pgmq.q_{queue} (vt, message, headers)"
        " select now(), '1', jsonb_build_object('x-pgmq-group', mod(i, 20)) from generate_series(1, 1200) as i"
    )

    def deleting(number: int) -> Callable[[Connection], None]:
        def delete(connection: Connection) -> None:
            ids = random.sample(range(number, 1200 + number, 4), 300)
            for start in range(0, 300, 15):
                connection.execute("select pgmq.delete(%s, %s::bigint[])", (queue, ids[start : start + 15]))

        return delete

    together(installed, [deleting(number) for number in range(1, 5)])
    assert owner(f"select count(*) from pgmq.q_{queue}") == [(0,)]


def test_moves_and_replays_of_many_groups_do_not_deadlock(owner: Sql, installed: str) -> None:
    queues = [f"g{uuid.uuid4().hex[:12]}" for _ in range(2)]
    for queue in queues:
        prepare(owner, queue, group_limit=1)
        for table in (f"q_{queue}", f"a_{queue}"):
            owner(
                f"insert into pgmq.{table} (msg_id, vt, message, headers) overriding system value"
                " select i, now(), '1', jsonb_build_object('x-pgmq-group', hashint4(i) % 30)"
                " from generate_series(1, 240) as i"
            )
        owner(f"alter table pgmq.q_{queue} alter msg_id restart 1000")

    def repeated(statement: str, table: str) -> Callable[[Connection], None]:
        def run(connection: Connection) -> None:
            for _ in range(12):
                rows = connection.execute(f"select msg_id from pgmq.{table} order by random() limit 20".encode())
                ids = [msg_id for (msg_id,) in rows.fetchall()]
                connection.execute(statement.encode(), {"ids": ids, "filter": json.dumps({"msg_ids": ids})})

        return run

    together(
        installed,
        [
            repeated(statement.format(*pair), f"{table}_{pair[0]}")
            for pair in (queues, queues[::-1])
            for table, statement in (
                ("q", "select pgmq_admin.move('{0}', %(ids)s, '{1}')"),
                ("q", "select pgmq_api.redrive('{0}', '{1}', filter => %(filter)s)"),
                ("q", "select pgmq_api.delete_batch('{0}', %(ids)s::bigint[])"),
                ("a", "select pgmq_admin.requeue('{0}', %(ids)s)"),
                ("a", "select pgmq_api.replay('{0}', filter => %(filter)s)"),
            )
        ],
    )
    for queue in queues:
        assert (
            owner(
                f"select headers ->> 'x-pgmq-group' from pgmq.q_{queue}"
                " group by 1 having count(*) filter (where vt < 'infinity') <> 1"
            )
            == []
        )
