"""Prints a line for each run, and tables of all."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from bench.checker.model import Promise
from bench.checker.report import MAX_VIOLATIONS, tell
from bench.failover.observations import Observation, listed
from bench.failover.rounds import Run

PROMISES = {
    "lost": {Promise.LOST, Promise.HALVED},
    "duplicated": {Promise.DOUBLED},
    "seen again": {Promise.UNDEAD},
    "leases shared": {Promise.SHARED},
}
OTHER = set(Promise).difference(*PROMISES.values())


def show_run(console: Console, number: int, run: Run) -> None:
    """Print a run: a line for the case, and one for each gateway."""
    promoted = "no promotion" if run.promoted is None else f"promoted after {run.promoted:.1f} s"
    console.print(
        f"run {number}: {run.case}: {promoted}, {_acknowledged([run]):,} acknowledged, load average {run.load:.1f},"
        f" {len(run.violations)} violations",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    for name, observation in run.observations.items():
        console.print(f"  {name}: {observation}", highlight=False, soft_wrap=True, markup=False)
    for finding in run.findings:
        console.print(f"  log: {finding.strip()}", highlight=False, soft_wrap=True, markup=False)
    for violation in run.violations[:MAX_VIOLATIONS]:
        tell(console, violation)


def show_tables(console: Console, runs: Sequence[Run]) -> None:
    """Print violations by fault, and medians and worst values by fault and gateway."""
    by_fault = {fault: [run for run in runs if run.case.fault == fault] for fault in (run.case.fault for run in runs)}
    promises = _table("fault", "runs", "with time limits", "acknowledged", *PROMISES, "other violations")
    seconds = _table(
        "fault", "gateway", "promoted s", "2xx after it s", "/ready lag s", "in flight s", "not 2xx", "load"
    )
    for fault, some in by_fault.items():
        promises.add_row(fault, *_promises(some))
        for name in some[0].observations:
            seconds.add_row(fault, name, *_seconds(name, some))
    promises.add_row("all", *_promises(runs))
    console.print(promises)
    console.print(seconds)
    console.print(
        f"{len(runs)} runs, {_acknowledged(runs):,} messages acknowledged,"
        f" {sum(len(run.violations) for run in runs)} violations"
    )


def _table(*columns: str) -> Table:
    table = Table(box=MARKDOWN, show_edge=True)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _promises(runs: Sequence[Run]) -> list[str]:
    broken = Counter(violation.promise for run in runs for violation in run.violations)
    limited = sum(run.case.limits for run in runs)
    counts = [len(runs), limited, _acknowledged(runs)]
    counts += [sum(broken[promise] for promise in group) for group in (*PROMISES.values(), OTHER)]
    return [f"{count:,}" for count in counts]


def _seconds(gateway: str, runs: Sequence[Run]) -> list[str]:
    seen: list[Observation] = [run.observations[gateway] for run in runs]
    failures: Counter[str] = Counter()
    for one in seen:
        failures.update(one.failures)
    return [
        _spread(run.promoted for run in runs if run.promoted is not None),
        _spread(one.after for one in seen),
        _spread(one.ready_lag for one in seen),
        _spread(one.in_flight for one in seen),
        listed(failures),
        _spread(run.load for run in runs),
    ]


def _acknowledged(runs: Sequence[Run]) -> int:
    return sum(one.acknowledged for run in runs for one in run.observations.values())


def _spread(values: Iterable[float]) -> str:
    """The median and, of several values, the largest; a dash without any."""
    some = sorted(values)
    if len(some) < 2:
        return f"{some[0]:.1f}" if some else "-"
    return f"{median(some):.1f}, at most {some[-1]:.1f}"
