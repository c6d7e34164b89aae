"""A log of runs: a line of JSON for each, and the programs' logs of those with violations."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.checker.model import Promise, Violation
from bench.failover.faults import Name
from bench.failover.observations import Observation
from bench.failover.rounds import Case, Run
from bench.measurement import BenchError

NOT_LOGS = shutil.ignore_patterns("data", "etcd", "socket", "pgpass", "*.yml")


def append(log: Path, run: Run, folder: Path) -> None:
    """Append a run to a log. If it has violations, keep the programs' logs of `folder` beside it."""
    with log.open("a") as file:
        file.write(json.dumps(asdict(run)) + "\n")
    if run.violations:
        number = len(log.read_text().splitlines())
        shutil.copytree(folder, log.with_name(f"{log.name}.run{number}"), ignore=NOT_LOGS)


def read(log: Path) -> list[Run]:
    """The runs of a log, without the calls of violations. Raises BenchError."""
    try:
        return [_run(json.loads(line)) for line in log.read_text().splitlines()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchError(f"{log} is not a log of runs: {error!r}") from None


def _run(record: dict[str, Any]) -> Run:
    return Run(
        Case(Name(record["case"]["fault"]), record["case"]["limits"]),
        record["promoted"],
        record["load"],
        {name: Observation(**observation) for name, observation in record["observations"].items()},
        [Violation(Promise(one["promise"]), one["text"]) for one in record["violations"]],
        record["findings"],
    )
