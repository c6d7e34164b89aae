"""Postgres' CPU time for statements in a caller's role, under a policy, in transactions that are rolled back."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from asyncpg.prepared_stmt import PreparedStatement

from bench.database import Queues
from bench.measurement import BenchError
from bench.pgbench import ROLE
from pgmq_gateway.database.driver import Connection

LEASE_SECONDS = 3600
MESSAGE = '{"data": "x"}'
# Plans are kept from the sixth execution on.
WARM_UP_CALLS = 6


@dataclass(frozen=True, slots=True)
class Work:
    """Repeated calls of one statement. `queue` is its first parameter.

    leased     how many messages are read before; `arguments` makes the calls of their receipts
    messages   of one call
    """

    queue: str
    statement: str
    arguments: Callable[[Sequence[str]], Sequence[Sequence[Any]]]
    leased: int = 0
    messages: int = 1


class Backend:
    """The owner's connection, and the CPU time of its process."""

    def __init__(self, queues: Queues, process: int) -> None:
        self._queues = queues
        self._connection: Connection = queues.owner
        self._times = Path(f"/proc/{process}/schedstat")
        self._statements: dict[str, PreparedStatement[Any]] = {}
        if not self._times.exists():
            raise BenchError("the CPU time of Postgres' process is not readable: this needs Linux, and Postgres here")

    @classmethod
    async def of(cls, queues: Queues) -> "Backend":
        return cls(queues, await queues.owner.fetchval("select pg_backend_pid()"))

    async def create(self, queue: str, depth: int, settings: Mapping[str, object], groups: int = 0) -> None:
        """A queue with a policy, and with messages, in groups in turn."""
        await self._queues.create(queue)
        await self._connection.execute(
            f"insert into pgmq.q_{queue} (enqueued_at, vt, message, headers)"
            " select now(), clock_timestamp(), $1::jsonb,"
            " case when $2 > 0 then jsonb_build_object('x-pgmq-group', 'group ' || n % $2) end"
            " from generate_series(1, $3) as n",
            MESSAGE, groups, depth,
        )  # fmt: skip
        if settings:
            await self._connection.execute(
                "select pgmq_admin.set_queue_settings($1, $2::jsonb)", queue, json.dumps(settings)
            )
        await self._connection.execute(f"vacuum (analyze) pgmq.q_{queue}")

    async def compare(self, base: Sequence[Work], other: Sequence[Work], rounds: int) -> tuple[float, float]:
        """Microseconds a message of both sides, each the median of the rounds, in which they alternate."""
        sides = (base, other)
        costs: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            for side, found in zip(sides, costs, strict=True):
                found.append(sum([await self._cost(work) for work in side]))
        return median(costs[0]), median(costs[1])

    async def _cost(self, work: Work) -> float:
        """Microseconds a message."""
        await self._connection.execute(f"vacuum pgmq.q_{work.queue}")
        statement = await self._prepared(work.statement)
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            await self._connection.execute(
                f'set local role {ROLE}; set local request.jwt.claims = \'{{"role": "{ROLE}", "sub": "user-1"}}\''
            )
            calls = work.arguments(await self._receipts(work))
            for arguments in calls[:WARM_UP_CALLS]:
                await statement.fetch(work.queue, *arguments)
            start = self._microseconds()
            for arguments in calls[WARM_UP_CALLS:]:
                await statement.fetch(work.queue, *arguments)
            return (self._microseconds() - start) / (len(calls) - WARM_UP_CALLS) / work.messages
        finally:
            await transaction.rollback()

    async def _prepared(self, statement: str) -> "PreparedStatement[Any]":
        if statement not in self._statements:
            self._statements[statement] = await self._connection.prepare(statement)
        return self._statements[statement]

    async def _receipts(self, work: Work) -> list[str]:
        rows = await self._connection.fetch(
            "select receipt from pgmq_api.read($1, $2, $3)", work.queue, LEASE_SECONDS, work.leased
        )
        if len(rows) < work.leased:
            raise BenchError(f"queue {work.queue} has only {len(rows)} messages to read")
        return [row["receipt"] for row in rows]

    def _microseconds(self) -> float:
        return int(self._times.read_text().split()[0]) / 1000
