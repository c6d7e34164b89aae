"""Runs the contenders interleaved (A B C A B C …), so that other load on the machine affects all alike."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.cell import Cell, Operation
from bench.contenders import Contender, Name, queue_of
from bench.database import Count, stock
from bench.measurement import Cost, Load, Run
from bench.usage import Snapshot, memory_of_tree

# Consecutive idle samples after which a server counts as idle.
IDLE_SAMPLES = 3
SAMPLE_SECONDS = 0.05
SETTLE_SECONDS = 30.0

Runs = dict[Name, list[Run]]
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """Number and duration of rounds. `warm_up` seconds precede the measured `seconds` in each."""

    seconds: int = 2
    warm_up: int = 1
    rounds: int = 3

    def measured(self, cell: Cell) -> int:
        """Seconds of a cell; longer where many connections delete a hundred messages each."""
        return self.seconds * (max(1, cell.connections // 32) if cell.operation is Operation.READ_BATCH else 1)


@dataclass(frozen=True, slots=True)
class Arena:
    """The setup of all cells.

    postgres  the process of the server, if visible
    limited   contenders that are measured in one cell only
    """

    contenders: Sequence[Contender]
    postgres: int | None
    pace: Pace
    limited: Mapping[Name, Cell]

    async def measure(self, cell: Cell, tell: Tell) -> Runs:
        """Run all rounds of a cell."""
        able = [
            contender
            for contender in self.contenders
            if contender.covers(cell) and self.limited.get(contender.name, cell) == cell
        ]
        runs: Runs = {contender.name: [] for contender in able}
        for number in range(1, self.pace.rounds + 1):
            for contender in able:
                tell(f"{cell}: round {number} of {self.pace.rounds}, {contender.name}")
                runs[contender.name].append(await self._run(contender, cell))
        return runs

    async def _run(self, contender: Contender, cell: Cell) -> Run:
        queue, queues = queue_of(contender.name), contender.queues
        seconds = self.pace.measured(cell)
        first_id = await queues.prepare(queue, cell, self.pace.warm_up + seconds)
        if self.pace.warm_up:
            await contender.load(cell, self.pace.warm_up, first_id)
            await self._settle(contender)
            # Some ids before these may be left over: wrk abandons requests, and clients of pgbench differ in speed.
            first_id = first_id and first_id + stock(cell, self.pace.warm_up)
        before = await queues.count(queue)
        start = Snapshot.take(contender.pid, self.postgres)
        load = await contender.load(cell, seconds, first_id)
        stop = Snapshot.take(contender.pid, self.postgres)
        memory = None if contender.pid is None else memory_of_tree(contender.pid)
        await self._settle(contender)
        if contender.stores:
            load = _checked(load, cell, before, await queues.count(queue))
        return Run(load, cost(start, stop, memory))

    async def _settle(self, contender: Contender) -> None:
        """Wait until abandoned requests are finished, which must not count for the next contender."""
        calm, deadline = 0, time.monotonic() + SETTLE_SECONDS
        spent = Snapshot.take(contender.pid, None).server or 0.0
        while calm < IDLE_SAMPLES and time.monotonic() < deadline:
            await asyncio.sleep(SAMPLE_SECONDS)
            now = Snapshot.take(contender.pid, None).server or 0.0
            idle = now - spent < SAMPLE_SECONDS / 4 and not await contender.queues.busy()
            calm, spent = calm + 1 if idle else 0, now


def _checked(load: Load, cell: Cell, before: Count, after: Count) -> Load:
    """The load with errors found in the queue: missing messages, or a queue that ran empty."""
    if not cell.operation.consumes:
        change = after.messages - before.messages
    elif cell.operation.removes:
        change = before.messages - after.messages
    else:
        change = before.visible - after.visible
    faults = list(load.faults)
    if change < load.messages:
        done = "taken" if cell.operation.consumes else "sent"
        faults.append(f"{load.messages} messages were acknowledged as {done}, but the queue says {change}")
    if cell.operation.consumes and not after.visible:
        faults.append("the queue ran empty")
    return replace(load, faults=tuple(faults))


def cost(start: Snapshot, stop: Snapshot, memory: int | None) -> Cost:
    """CPU seconds between two snapshots. Those of background processes that have exited count for the backends."""
    postgres, background = _spent(start.postgres, stop.postgres), None
    if start.background is not None and stop.background is not None:
        background = sum(seconds - start.background.get(pid, 0.0) for pid, seconds in stop.background.items())
    return Cost(
        server=_spent(start.server, stop.server),
        backends=None if postgres is None or background is None else postgres - background,
        background=background,
        generator=stop.generator - start.generator,
        memory=memory,
    )


def _spent(start: float | None, stop: float | None) -> float | None:
    return None if start is None or stop is None else stop - start
