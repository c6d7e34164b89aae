"""Loads the contenders in turn (A B C A B C …), so that what else the machine does hits all of them alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bench.cell import Cell
from bench.contenders import Contender, Name, queue_of
from bench.database import Count
from bench.measurement import Cost, Load, Run
from bench.usage import Snapshot, memory_of_tree

Runs = dict[Name, list[Run]]
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how long. `warm_up` comes before the measured `seconds`, every time."""

    seconds: int = 2
    warm_up: int = 1
    rounds: int = 3


@dataclass(frozen=True, slots=True)
class Arena:
    """What all cells share. `postgres` is the process of the server, where it can be seen."""

    contenders: Sequence[Contender]
    postgres: int | None
    pace: Pace

    async def measure(self, cell: Cell, tell: Tell) -> Runs:
        """All rounds of a cell."""
        able = [contender for contender in self.contenders if contender.covers(cell)]
        runs: Runs = {contender.name: [] for contender in able}
        for number in range(1, self.pace.rounds + 1):
            for contender in able:
                tell(f"{cell}: round {number} of {self.pace.rounds}, {contender.name}")
                runs[contender.name].append(await self._run(contender, cell))
        return runs

    async def _run(self, contender: Contender, cell: Cell) -> Run:
        queue = queue_of(contender.name)
        await contender.queues.prepare(queue, cell, self.pace.warm_up + self.pace.seconds)
        if self.pace.warm_up:
            await contender.load(cell, self.pace.warm_up)
        before = await contender.queues.count(queue)
        start = Snapshot.take(contender.pid, self.postgres)
        load = await contender.load(cell, self.pace.seconds)
        stop = Snapshot.take(contender.pid, self.postgres)
        memory = None if contender.pid is None else memory_of_tree(contender.pid)
        checked = _checked(load, cell, before, await contender.queues.count(queue))
        return Run(checked, _cost(start, stop, memory))


def _checked(load: Load, cell: Cell, before: Count, after: Count) -> Load:
    """The load with what the queue says against it: messages that are not there, a queue that ran empty."""
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


def _cost(start: Snapshot, stop: Snapshot, memory: int | None) -> Cost:
    postgres, background = _spent(start.postgres, stop.postgres), _spent(start.background, stop.background)
    return Cost(
        server=_spent(start.server, stop.server),
        backends=None if postgres is None or background is None else postgres - background,
        background=background,
        generator=stop.generator - start.generator,
        memory=memory,
    )


def _spent(start: float | None, stop: float | None) -> float | None:
    return None if start is None or stop is None else stop - start
