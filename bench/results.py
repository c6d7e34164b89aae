"""Aggregates runs to rows: medians over the rounds, ratios within each round."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from bench.cell import Cell
from bench.contenders import Name
from bench.measurement import Run
from bench.rounds import Runs


@dataclass(frozen=True, slots=True)
class Row:
    """A contender in a cell, with medians over the rounds.

    rate          operations in a second
    p50 …         milliseconds of a call; `whole` when of a whole operation
    cpu           CPU seconds for 1,000 calls: of the server, of Postgres' backends, of its other processes, of the
                  load generator
    memory        resident bytes of the server
    ratios        by other contender: the median of this one's rate over the other's in the same round
    faults        what went wrong; then the numbers mean nothing
    """

    cell: Cell
    contender: Name
    rate: float
    messages_rate: float
    p50: float
    p95: float
    p99: float
    whole: bool
    cpu: dict[str, float | None]
    memory: int | None
    ratios: dict[str, float]
    faults: tuple[str, ...]
    runs: tuple[Run, ...]

    def as_json(self) -> dict[str, Any]:
        """The row for results.json."""
        cell = self.cell
        return {
            "contender": self.contender.value,
            "operation": cell.operation.value,
            "connections": cell.connections,
            "payload_bytes": cell.payload,
            "callers": cell.callers,
            "depth": str(cell.depth),
            "operations_per_second": round(self.rate, 2),
            "messages_per_second": round(self.messages_rate, 2),
            "requests_per_second": round(self.rate * cell.operation.calls, 2),
            "latency_ms": {"p50": self.p50, "p95": self.p95, "p99": self.p99,
                           "of": "operation" if self.whole else "request"},
            "cpu_seconds_per_1000_requests": self.cpu,
            "resident_bytes": self.memory,
            "ratios": self.ratios,
            "faults": list(self.faults),
            "rounds": [{**asdict(run.load), **asdict(run.cost)} for run in self.runs],
        }  # fmt: skip


def rows(cell: Cell, runs: Runs) -> list[Row]:
    """The rows of a cell, in the order of the contenders."""
    return [_row(cell, name, of_one, runs) for name, of_one in runs.items()]


def rate(cell: Cell, run: Run) -> float:
    """Operations per second."""
    return run.load.messages / cell.operation.messages / run.load.seconds


def _row(cell: Cell, name: Name, runs: Sequence[Run], all_runs: Runs) -> Row:
    typical = median(rate(cell, run) for run in runs)
    return Row(
        cell=cell,
        contender=name,
        rate=typical,
        messages_rate=typical * cell.operation.messages,
        p50=median(run.load.p50 for run in runs),
        p95=median(run.load.p95 for run in runs),
        p99=median(run.load.p99 for run in runs),
        whole=any(run.load.whole for run in runs),
        cpu=_cpu(runs),
        memory=_median(runs, lambda run: run.cost.memory, int),
        ratios={
            other.value: ratio
            for other, theirs in all_runs.items()
            if other is not name and (ratio := _ratio(cell, runs, theirs)) is not None
        },
        faults=tuple(dict.fromkeys(fault for run in runs for fault in run.load.faults)),
        runs=tuple(runs),
    )


def _ratio(cell: Cell, ours: Sequence[Run], theirs: Sequence[Run]) -> float | None:
    pairs = [(rate(cell, our), rate(cell, their)) for our, their in zip(ours, theirs, strict=True)]
    return round(median(our / their for our, their in pairs), 3) if all(their for _, their in pairs) else None


def _cpu(runs: Sequence[Run]) -> dict[str, float | None]:
    parts: dict[str, Callable[[Run], float | None]] = {
        "server": lambda run: run.cost.server,
        "postgres_backends": lambda run: run.cost.backends,
        "postgres_background": lambda run: run.cost.background,
        "load_generator": lambda run: run.cost.generator,
    }
    return {name: _per_thousand(runs, part) for name, part in parts.items()}


def _per_thousand(runs: Sequence[Run], part: Callable[[Run], float | None]) -> float | None:
    spent = [(part(run), run.load.requests) for run in runs]
    known = [seconds / requests * 1000 for seconds, requests in spent if seconds is not None and requests]
    return round(median(known), 5) if known else None


def _median(runs: Iterable[Run], part: Callable[[Run], int | None], kind: type[int]) -> int | None:
    known = [value for run in runs if (value := part(run)) is not None]
    return kind(median(known)) if known else None
