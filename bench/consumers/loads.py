"""Figures of the gateway under load: batches that are settled at once, and sends with an Idempotency-Key."""

import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from bench import plan
from bench.cell import BATCH, Cell, Operation
from bench.contenders import HttpServer, tokens
from bench.figure import Figure
from bench.generator import count
from bench.measurement import BenchError
from bench.usage import cpu_of_tree

SETTLING_CONNECTIONS, KEYS_CONNECTIONS = 32, 8
# An upper bound; a queue that runs empty fails the figure.
STOCK_PER_SECOND = 60_000
REPEATED_KEYS = 500
FAILURES = ("refused", "empty", "status", "connect", "read", "write", "timeout")


@dataclass(frozen=True, slots=True)
class Pace:
    """Number and duration of the rounds."""

    rounds: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Load:
    """The gateway, the process of Postgres, and how long to measure."""

    gateway: HttpServer
    postgres: int
    pace: Pace

    @property
    def callers(self) -> tuple[str, ...]:
        assert self.gateway.secret is not None
        return tokens(self.gateway.secret, 1)

    async def run(self, steps: plan.Plan, connections: int) -> dict[str, Any]:
        """The load generator's report, with Postgres' CPU time in `cpu`, in microseconds."""
        before = cpu_of_tree(self.postgres)
        result = await count(self.gateway.url, steps, connections, self.pace.seconds)
        if failed := {name: result[name] for name in FAILURES if result[name]}:
            raise BenchError(f"the load failed: {failed} {result['complaint']}")
        return {**result, "cpu": (cpu_of_tree(self.postgres) - before) * 1e6}


async def settling(load: Load) -> AsyncIterator[Figure]:
    """Messages a second: read 100 and settle them, beside read 100 and delete them one by one."""
    cell = Cell(Operation.READ_BATCH, SETTLING_CONNECTIONS)
    deletes = plan.rpc(cell, "bench_deleted", load.callers)
    name = '"queue_name":"bench_settled"'
    settles = replace(
        deletes,
        first=replace(deletes.first, body=f'{{{name},"sleep_seconds":{plan.LEASE_SECONDS},"n":{BATCH}}}'),
        delete=plan.Step("POST", "/rpc/settle", f'{{{name},"acks":[%s]}}'),
        settles=True,
        headers={**deletes.headers, "Content-Profile": "pgmq_api"},
    )
    rates: dict[str, list[float]] = {"bench_deleted": [], "bench_settled": []}
    for _ in range(load.pace.rounds):
        for (queue, found), steps in zip(rates.items(), (deletes, settles), strict=True):
            await load.gateway.queues.create(queue)
            await load.gateway.queues.fill(queue, cell.message, STOCK_PER_SECOND * load.pace.seconds)
            await load.gateway.queues.run(f"vacuum (analyze) pgmq.q_{queue}")
            result = await load.run(steps, SETTLING_CONNECTIONS)
            found.append(result["deleted"] / result["microseconds"] * 1e6)
    base, rate = (median(found) for found in rates.values())
    what = f"read {BATCH} + settle {BATCH}, {SETTLING_CONNECTIONS} connections"
    yield Figure(what, f"read {BATCH} + {BATCH} deletes", base, rate, "/s", 4, at_least=True)


async def keys(load: Load) -> AsyncIterator[Figure]:
    """Sends with an Idempotency-Key, new and repeated, beside sends without."""
    cell = Cell(connections=KEYS_CONNECTIONS)
    await load.gateway.queues.create("bench_keys")
    send = plan.rpc(cell, "bench_keys", load.callers)
    again = replace(send, key=uuid.uuid4().hex, keys=REPEATED_KEYS)
    await load.run(again, 1)
    without: list[dict[str, Any]] = []
    new: list[dict[str, Any]] = []
    alone: list[dict[str, Any]] = []
    repeated: list[dict[str, Any]] = []
    for _ in range(load.pace.rounds):
        without.append(await load.run(send, KEYS_CONNECTIONS))
        new.append(await load.run(replace(send, key=uuid.uuid4().hex), KEYS_CONNECTIONS))
        alone.append(await load.run(replace(send, key=uuid.uuid4().hex), 1))
        repeated.append(await load.run(again, 1))
    what = f"sends with a new Idempotency-Key, {KEYS_CONNECTIONS} connections"
    yield Figure(what, "without a key", _rate(without), _rate(new), "/s", 0.8, at_least=True)
    yield Figure("Postgres' CPU for a repeated key", "for a new key", _cpu(alone), _cpu(repeated), "µs", 0.5)


def _rate(results: Sequence[dict[str, Any]]) -> float:
    rates: list[float] = [result["requests"] / result["microseconds"] * 1e6 for result in results]
    return median(rates)


def _cpu(results: Sequence[dict[str, Any]]) -> float:
    costs: list[float] = [result["cpu"] / result["requests"] for result in results]
    return median(costs)
