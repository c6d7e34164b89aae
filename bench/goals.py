"""Performance goals, each a ratio within one run, and their results."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.cell import Cell, Depth, Operation
from bench.contenders import Name
from bench.results import Row

MEMORY_REQUESTS = 1_000_000

Find = Callable[[Name, Cell], Row | None]

SEND, READ = Cell(), Cell(Operation.READ)
MANY = Cell(callers=100)
ALONE, CROWD = Cell(connections=1), Cell(connections=128)
LEASE = Cell(Operation.LEASE, connections=1)
LEASE_IN_FLIGHT = Cell(Operation.LEASE, connections=1, depth=Depth(in_flight=400_000))


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure to reach, and a further aim. `least`: a lower bound, otherwise an upper one."""

    what: str
    reach: float
    aim: float
    unit: str
    least: bool
    found: float

    @property
    def reached(self) -> bool:
        """True if `reach` is reached."""
        return self.found >= self.reach if self.least else self.found <= self.reach


def judge(rows: Sequence[Row], idle: Mapping[Name, int]) -> list[Goal]:
    """The goals whose cells were measured without a failure.

    idle  resident bytes of the servers before the first request
    """
    good = {(row.contender, row.cell): row for row in rows if not row.faults}
    return list(_goals(lambda name, cell: good.get((name, cell)), rows, idle))


def idle_memory(resident: int) -> Goal:
    """`resident` is in bytes, of a gateway with one worker and without a dashboard."""
    return Goal("idle gateway's memory", 60, 50, "MB", False, resident / 1e6)


def _goals(find: Find, rows: Sequence[Row], idle: Mapping[Name, int]) -> Iterator[Goal]:
    yield from _rates(find)
    yield from _latencies(find)
    yield from _cpu(find)
    if Name.GATEWAY in idle:
        yield idle_memory(idle[Name.GATEWAY])
    mine = [row for row in rows if row.contender is Name.GATEWAY and row.memory]
    served = sum(run.load.requests for row in mine for run in row.runs)
    if mine and mine[-1].memory and served >= MEMORY_REQUESTS:
        yield Goal(f"memory after {served:,} requests", 120, 80, "MB", False, mine[-1].memory / 1e6)


def _rates(find: Find) -> Iterator[Goal]:
    wanted = (
        (Name.GATEWAY, SEND, Name.POSTGRES, 0.9, 1.1),
        (Name.GATEWAY, CROWD, Name.POSTGRES, 1.1, 1.4),
        (Name.GATEWAY_2, CROWD, Name.POSTGRES, 1.3, 1.6),
        (Name.GATEWAY, READ, Name.POSTGRES, 1.1, 1.5),
        (Name.GATEWAY, Cell(Operation.POP), Name.POSTGRES, 1.0, 1.3),
        (Name.GATEWAY, Cell(Operation.DELETE), Name.POSTGRES, 1.0, 1.3),
        (Name.GATEWAY, Cell(Operation.ARCHIVE), Name.POSTGRES, 1.0, 1.3),
        (Name.GATEWAY, SEND, Name.POSTGREST, 3.0, 5.0),
        (Name.GATEWAY, SEND, Name.PGMQ_API, 4.5, 8.0),
        (Name.GATEWAY, READ, Name.PGMQ_API, 4.0, 6.0),
    )
    for name, cell, other, reach, aim in wanted:
        row = find(name, cell)
        if row and find(other, cell) and other.value in row.ratios:
            yield Goal(_what(name, cell, other), reach, aim, "x", True, row.ratios[other.value])
    many, before = find(Name.GATEWAY, MANY), find(Name.BASELINE, SEND)
    if many and before:
        yield Goal("send, 100 callers, to baseline's one", 0.7, 0.8, "x", True, many.rate / before.rate)


def _what(name: Name, cell: Cell, other: Name) -> str:
    workers = ", two workers" if name is Name.GATEWAY_2 else ""
    return f"{cell.operation.label}, {cell.connections} connections{workers}, to {other}"


def _latencies(find: Find) -> Iterator[Goal]:
    for cell, aim in ((SEND, 0.1), (CROWD, 0.15)):
        ours, peer = find(Name.GATEWAY, cell), find(Name.PGMQ_API, cell)
        if ours and peer:
            what = f"send p99, {cell.connections} connections, to {Name.PGMQ_API}"
            yield Goal(what, 0.25, aim, "x", False, ours.p99 / peer.p99)
    ours, limit = find(Name.GATEWAY, ALONE), find(Name.POSTGRES, ALONE)
    if ours and limit:
        yield Goal("send p50, 1 connection, above postgres", 0.2, 0.15, "ms", False, ours.p50 - limit.p50)
    deep, empty = find(Name.GATEWAY, LEASE_IN_FLIGHT), find(Name.GATEWAY, LEASE)
    if deep and empty:
        yield Goal("read p50, 400k in flight, to none", 2.0, 1.2, "x", False, deep.p50 / empty.p50)


def _cpu(find: Find) -> Iterator[Goal]:
    ours, floor = find(Name.GATEWAY, CROWD), find(Name.FLOOR, CROWD)
    if not ours:
        return
    if backends := ours.cpu["postgres_backends"]:
        yield Goal("Postgres' CPU for a send, 128 connections", 22, 17, "µs", False, backends * 1000)
    if floor and (mine := ours.cpu["server"]) and (least := floor.cpu["server"]):
        yield Goal("CPU for a send, 128 connections, to floor", 1.6, 1.3, "x", False, mine / least)
