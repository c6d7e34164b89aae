"""Performance goals, each a ratio within one run, and their results."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.cell import Cell, Depth, Operation
from bench.contenders import Name
from bench.results import Row

MEMORY_REQUESTS = 1_000_000

Find = Callable[[Name, Cell], Row | None]

SEND, READ = Cell(), Cell(Operation.READ)
ALONE = Cell(connections=1)
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


def judge(rows: Sequence[Row]) -> list[Goal]:
    """The goals whose cells were measured without a failure."""
    good = {(row.contender, row.cell): row for row in rows if not row.faults}
    return list(_goals(lambda name, cell: good.get((name, cell)), rows))


def _goals(find: Find, rows: Sequence[Row]) -> Iterator[Goal]:
    yield from _rates(find)
    yield from _latencies(find)
    if one := find(Name.GATEWAY, SEND):
        if other := find(Name.GATEWAY, Cell(callers=100)):
            yield Goal("send, 100 callers, to one caller", 0.5, 0.8, "x", True, other.rate / one.rate)
        if (cpu := one.cpu["server"]) is not None:
            yield Goal("gateway CPU for a send", 150, 100, "µs", False, cpu * 1000)
    mine = [row for row in rows if row.contender is Name.GATEWAY and row.memory]
    served = sum(run.load.requests for row in mine for run in row.runs)
    if mine and mine[-1].memory and served >= MEMORY_REQUESTS:
        yield Goal(f"memory after {served:,} requests", 120, 80, "MB", False, mine[-1].memory / 1e6)


def _rates(find: Find) -> Iterator[Goal]:
    wanted = (
        ("send, 32 connections, to Postgres", SEND, Name.POSTGRES, 0.55, 0.9),
        ("send, 128 connections, to Postgres", Cell(connections=128), Name.POSTGRES, 0.75, 1.1),
        ("send, 32 connections, to PostgREST", SEND, Name.POSTGREST, 3.0, 5.0),
        ("send, 32 connections, to pgmq.api", SEND, Name.PGMQ_API, 4.5, 8.0),
        ("read 1 + delete, 32 connections, to pgmq.api", READ, Name.PGMQ_API, 4.0, 6.0),
    )
    for what, cell, other, reach, aim in wanted:
        row = find(Name.GATEWAY, cell)
        if row and find(other, cell) and other.value in row.ratios:
            yield Goal(what, reach, aim, "x", True, row.ratios[other.value])


def _latencies(find: Find) -> Iterator[Goal]:
    ours, peer = find(Name.GATEWAY, SEND), find(Name.PGMQ_API, SEND)
    if ours and peer:
        yield Goal("send p99, 32 connections, to pgmq.api", 0.25, 0.1, "x", False, ours.p99 / peer.p99)
    ours, limit = find(Name.GATEWAY, ALONE), find(Name.POSTGRES, ALONE)
    if ours and limit:
        yield Goal("send p50, 1 connection, above Postgres", 0.6, 0.3, "ms", False, ours.p50 - limit.p50)
    deep, empty = find(Name.GATEWAY, LEASE_IN_FLIGHT), find(Name.GATEWAY, LEASE)
    if deep and empty:
        yield Goal("read p50, 400k in flight, to none", 2.0, 1.2, "x", False, deep.p50 / empty.p50)
