"""The number of workers: given, or chosen by `serve --workers auto`."""

import os
from typing import NamedTuple

from pgmq_gateway.control_group import processor_limits
from pgmq_gateway.settings.model import Settings

MAX_WORKERS = 64
# With one connection, a worker would send nothing to Postgres while it handles a transaction's results.
MIN_CONNECTIONS = 2


class WorkerCount(NamedTuple):
    """A number of workers. `reason` says how it was chosen; empty if it was given."""

    number: int
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.number} (auto: {self.reason})"


def automatic(settings: Settings, processors: float, *, embedded: bool) -> WorkerCount:
    """One worker for each processor. An embedded Postgres needs about as much CPU time as the workers.

    processors  those that the gateway may use
    embedded    whether Postgres runs here too
    """
    number = min(int(processors / 2 if embedded else processors), MAX_WORKERS)
    if number > (most := settings.db_pool // MIN_CONNECTIONS) and number > 1:
        return WorkerCount(
            max(1, most), f"{MIN_CONNECTIONS} or more connections each, PGRST_DB_POOL={settings.db_pool}"
        )
    reason = f"{processors:.3g} processor{'s' * (processors != 1)}{', half of them for Postgres' * embedded}"
    return WorkerCount(max(1, number), reason)


def usable_processors() -> float:
    """Processors that this process may use: its affinity, or the quota of its control group if that is lower."""
    machine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([float(machine), *processor_limits()])
