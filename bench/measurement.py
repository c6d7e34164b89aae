"""Results of one run: counts of the load generator, and CPU and memory of the processes."""

from dataclasses import dataclass


class BenchError(Exception):
    """The bench cannot continue. The message is one line with the reason and what to do."""


def first_message(errors: BaseExceptionGroup[BenchError]) -> str:
    """The message of the first error of an exception group."""
    first = errors.exceptions[0]
    return first_message(first) if isinstance(first, BaseExceptionGroup) else str(first)


@dataclass(frozen=True, slots=True)
class Load:
    """Counts of the load generator. Latencies in milliseconds, of a call or, with `whole`, of an operation.

    requests   calls with a response
    messages   messages whose send or deletion was acknowledged
    faults     errors of the run, as text; any of them makes the run fail
    """

    seconds: float
    requests: int
    messages: int
    p50: float
    p95: float
    p99: float
    whole: bool = False
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of a run, and resident memory in bytes after it; None if not visible.

    server      the HTTP server's processes
    backends    Postgres' client backends
    background  all other processes of Postgres
    generator   the load generator
    """

    server: float | None
    backends: float | None
    background: float | None
    generator: float
    memory: int | None


@dataclass(frozen=True, slots=True)
class Run:
    """One contender in one round of a cell."""

    load: Load
    cost: Cost
