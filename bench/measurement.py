"""What one run of the load generator says, and what the machine spent on it."""

from dataclasses import dataclass


class BenchError(Exception):
    """The bench cannot go on; the message is one line that says why and what to do."""


def told(errors: BaseExceptionGroup[BenchError]) -> str:
    """What the first of several errors, from tasks that ran beside each other, says."""
    first = errors.exceptions[0]
    return told(first) if isinstance(first, BaseExceptionGroup) else str(first)


@dataclass(frozen=True, slots=True)
class Load:
    """What the load generator counted. Latencies are in milliseconds, of a call; `whole` when of a whole operation.

    requests   calls that were answered
    messages   messages that were acknowledged to be in, or gone for good
    faults     what must not happen, in words; a run with any counts for nothing
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
    """CPU seconds spent in a run, and resident memory after it, in bytes; None where it cannot be seen.

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
