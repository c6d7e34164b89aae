"""Figures of single statements: settling, and reading with settings and from groups."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import pairwise

from bench.cell import BATCH
from bench.consumers.statements import WARM_UP_CALLS, Backend, Work
from bench.database import Queues
from bench.figure import Figure, Judged

CALLS = 100
# Of each of which all messages but one are parked.
GROUPS = 1000
# Of a batch of 100: acks, archives, retries, rejects; the others are extended.
MIXED = (40, 60, 80, 85)
SETTLE = "select * from pgmq_api.settle($1, $2, $3, $4, $5, $6)"


def _read(queue: str, n: int = 1, schema: str = "pgmq_api") -> Work:
    return Work(queue, f"select * from {schema}.read($1, 60, {n})", lambda _: [()] * (CALLS + WARM_UP_CALLS))


def _ack(queue: str) -> Work:
    return Work(
        queue, "select pgmq_api.ack($1, $2)", lambda receipts: [(receipt,) for receipt in receipts],
        leased=CALLS + WARM_UP_CALLS,
    )  # fmt: skip


def _delete(queue: str) -> Work:
    return replace(_ack(queue), statement="select pgmq_public.delete($1, $2)", arguments=lambda receipts: [
        (int(receipt.partition(".")[0]),) for receipt in receipts
    ])  # fmt: skip


def _settle(queue: str, parts: Sequence[int]) -> Work:
    """Calls that settle a hundred messages each."""
    calls = CALLS // 10 + WARM_UP_CALLS
    return Work(
        queue, SETTLE, lambda receipts: [
            _lists(receipts[start : start + BATCH], parts) for start in range(0, len(receipts), BATCH)
        ],
        leased=calls * BATCH, messages=BATCH,
    )  # fmt: skip


def _lists(receipts: Sequence[str], parts: Sequence[int]) -> tuple[list[str], list[str], str, str, str]:
    bounds = [0, *parts, len(receipts)]
    acks, archives, *others = [list(receipts[start:stop]) for start, stop in pairwise(bounds)]
    retries, rejects, extensions = (json.dumps(part) for part in others)
    return acks, archives, retries, rejects, extensions


async def settling(queues: Queues, rounds: int) -> AsyncIterator[Figure]:
    """Settling one message and a hundred."""
    backend = await Backend.of(queues)
    await backend.create("bench_leases", CALLS * BATCH, {})
    deletes = [_delete("bench_leases")]
    base, cost = await backend.compare(deletes, [_ack("bench_leases")], rounds)
    yield Figure("ack", "pgmq_public.delete", base, cost, "µs", 1.1)
    for what, parts, goal in (
        (f"settle {BATCH} acks, each", (BATCH,) * 4, 8),
        (f"settle {BATCH} mixed, each", MIXED, 15),
    ):
        base, cost = await backend.compare(deletes, [_settle("bench_leases", parts)], rounds)
        yield Figure(what, "pgmq_public.delete", base, cost, "µs", goal, judged=Judged.VALUE)
    await queues.drop("bench_leases")


async def reading(queues: Queues, rounds: int) -> AsyncIterator[Figure]:
    """Reading from a queue with settings."""
    backend = await Backend.of(queues)
    depth = 10 * (CALLS + WARM_UP_CALLS)
    for queue in ("bench_dead", "bench_plain"):
        await backend.create(queue, depth, {})
    await backend.create("bench_limited", depth, {"max_receives": 1000, "dead_letter_queue": "bench_dead"})
    for n, goal in ((1, 1.2), (10, 1.1)):
        base, cost = await backend.compare([_read("bench_plain", n)], [_read("bench_limited", n)], rounds)
        yield Figure(f"read {n} with max_receives", "without settings", base, cost, "µs", goal)
    for queue in ("bench_limited", "bench_plain", "bench_dead"):
        await queues.drop(queue)


async def grouping(queues: Queues, rounds: int, depth: int) -> AsyncIterator[Figure]:
    """Groups beside a queue with the same messages and without a limit."""
    backend = await Backend.of(queues)
    groups = min(GROUPS, depth // 2)
    await backend.create("bench_plain", depth, {}, groups)
    await backend.create("bench_grouped", depth, {"group_limit": 1}, groups)
    base, cost = await backend.compare([_read("bench_plain")], [_read("bench_grouped")], rounds)
    yield Figure(f"read 1 of {depth:,} in groups", "without groups", base, cost, "µs", 1.1)
    base, cost = await backend.compare(
        [_read("bench_plain"), _ack("bench_plain")], [_read("bench_grouped"), _ack("bench_grouped")], rounds
    )
    yield Figure("read 1 + ack in groups", "without groups", base, cost, "µs")
    base, cost = await backend.compare(
        [_read("bench_plain", schema="pgmq_public"), _delete("bench_plain")],
        [_read("bench_grouped", schema="pgmq_public"), _delete("bench_grouped")],
        rounds,
    )
    yield Figure("pgmq_public.read 1 + delete in groups", "without groups", base, cost, "µs")
    base, cost = await backend.compare([_send("bench_plain", groups)], [_send("bench_grouped", groups)], rounds)
    yield Figure("send to a group", "without groups", base, cost, "µs")
    for queue in ("bench_grouped", "bench_plain"):
        await queues.drop(queue)


def _send(queue: str, groups: int) -> Work:
    headers = [json.dumps({"x-pgmq-group": f"group {number % groups}"}) for number in range(CALLS + WARM_UP_CALLS)]
    return Work(
        queue, "select pgmq_api.send($1, '{}', headers => $2::jsonb)", lambda _: [(header,) for header in headers]
    )
