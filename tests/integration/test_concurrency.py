"""Concurrent consumers: a leased message is delivered to one of them."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any

import httpx
import pytest

from tests.databases import Sql
from tests.gateways import Bearer, Headers
from tests.server import Server
from tests.waiting import until

CONSUMERS = 6


@pytest.fixture
def consumer(embedded: Server, bearer: Bearer) -> Callable[[], Any]:
    """consumer() is a client as service_role, with connections of its own."""
    headers: Headers = {"Content-Profile": "pgmq_public", **bearer("service_role")}

    @contextmanager
    def client() -> Iterator[httpx.Client]:
        with httpx.Client(base_url=embedded.url, headers=headers, timeout=30) as made:
            yield made

    return client


def at_once(task: Callable[[int], Any], number: int = CONSUMERS) -> list[Any]:
    """Run `task` in threads that start at the same time, and return their results."""
    start = Barrier(number)

    def run(which: int) -> Any:  # noqa: ANN401
        start.wait()
        return task(which)

    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(run, range(number)))


@pytest.mark.parametrize("n", [1, 7, 100])
def test_no_message_is_leased_to_two_consumers(consumer: Callable[[], Any], queue: str, sql: Sql, n: int) -> None:
    sql("select pgmq.send_batch(%s, array(select to_jsonb(i) from generate_series(1, 300) as i))", queue)

    def consume(_: int) -> list[int]:
        leased: list[int] = []
        with consumer() as client:
            while rows := client.post("/rpc/read", json={"queue_name": queue, "sleep_seconds": 600, "n": n}).json():
                leased += [row["msg_id"] for row in rows]
        return leased

    leased = [id_ for ids in at_once(consume) for id_ in ids]
    assert sorted(leased) == list(range(1, 301))
    assert sql(f"select count(*), min(read_ct), max(read_ct) from pgmq.q_{queue}") == [(300, 1, 1)]


def test_no_message_is_popped_twice(consumer: Callable[[], Any], queue: str, sql: Sql) -> None:
    sql("select pgmq.send_batch(%s, array(select to_jsonb(i) from generate_series(1, 150) as i))", queue)

    def consume(_: int) -> list[int]:
        popped: list[int] = []
        with consumer() as client:
            while rows := client.post("/rpc/pop", json={"queue_name": queue}).json():
                popped += [row["msg_id"] for row in rows]
        return popped

    popped = [id_ for ids in at_once(consume) for id_ in ids]
    assert sorted(popped) == list(range(1, 151))
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(0,)]


@pytest.mark.parametrize(("function", "archived"), [("delete", 0), ("archive", 20)])
def test_f34_a_message_is_finished_once(
    consumer: Callable[[], Any], queue: str, sql: Sql, function: str, archived: int
) -> None:
    sql("select pgmq.send_batch(%s, array(select to_jsonb(i) from generate_series(1, 20) as i))", queue)

    def finish(_: int) -> list[int]:
        with consumer() as client:
            return [
                id_
                for id_ in range(1, 21)
                if client.post(f"/rpc/{function}", json={"queue_name": queue, "message_id": id_}).json()
            ]

    finished = Counter(id_ for ids in at_once(finish) for id_ in ids)
    assert finished == Counter(range(1, 21))
    assert sql(f"select (select count(*) from pgmq.q_{queue}), count(*) from pgmq.a_{queue}") == [(0, archived)]


def test_all_that_producers_send_is_consumed_once(consumer: Callable[[], Any], queue: str, sql: Sql) -> None:
    finished: list[int] = []

    def produce(which: int) -> list[list[int]]:
        try:
            with consumer() as client:
                for n in range(40):
                    assert client.post("/rpc/send", json={"queue_name": queue, "message": [which, n]}).is_success
        finally:
            finished.append(which)
        return []

    def consume() -> list[list[int]]:
        seen: list[list[int]] = []
        with consumer() as client:
            while len(finished) < 3 or sql(f"select 1 from pgmq.q_{queue} where vt <= clock_timestamp()"):
                for row in client.post("/rpc/read", json={"queue_name": queue, "sleep_seconds": 600, "n": 3}).json():
                    seen.append(row["message"])
                    done = client.post("/rpc/archive", json={"queue_name": queue, "message_id": row["msg_id"]})
                    assert done.json() is True
        return seen

    results = at_once(lambda which: produce(which) if which % 2 else consume())
    assert sorted(message for messages in results for message in messages) == [
        [which, n] for which in (1, 3, 5) for n in range(40)
    ]
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(0,)]
    assert sql(f"select count(*), max(read_ct) from pgmq.a_{queue}") == [(120, 1)]


def test_f33_a_lease_that_ran_out_is_handed_out_again(service: httpx.Client, queue: str, sql: Sql) -> None:
    service.post("/rpc/send", json={"queue_name": queue, "message": "again"})
    (first,) = service.post("/rpc/read", json={"queue_name": queue, "sleep_seconds": 1, "n": 1}).json()
    again: list[dict[str, Any]] = []

    def handed_out() -> bool:
        again.extend(service.post("/rpc/read", json={"queue_name": queue, "sleep_seconds": 600, "n": 1}).json())
        return bool(again)

    until(handed_out)
    assert [(row["msg_id"], row["read_ct"], row["message"]) for row in again] == [(1, 2, "again")]
    assert first["read_ct"] == 1
    # The second lease began after the first one expired.
    assert again[0]["last_read_at"] >= first["vt"]
    assert sql(f"select read_ct, vt > now() from pgmq.q_{queue}") == [(2, True)]


def test_a_lease_is_kept_from_many_consumers(consumer: Callable[[], Any], queue: str, sql: Sql) -> None:
    sql("select pgmq.send(%s, '1')", queue)

    def consume(_: int) -> int:
        with consumer() as client:
            body = {"queue_name": queue, "sleep_seconds": 600, "n": 1}
            return sum(len(client.post("/rpc/read", json=body).json()) for _ in range(20))

    assert sum(at_once(consume)) == 1
    assert sql(f"select read_ct from pgmq.q_{queue}") == [(1,)]
