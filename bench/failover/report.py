"""Prints a line for each run, and a table of all."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.checker.report import MAX_VIOLATIONS, tell
from bench.failover.observations import Observation
from bench.failover.rounds import Case, Run

COLUMNS = (
    "fault", "limits", "runs", "promoted s", "gateway", "2xx after it s", "/ready lag s", "in flight s", "not 2xx",
    "acknowledged", "violations",
)  # fmt: skip


def show_run(console: Console, number: int, run: Run) -> None:
    """Print a run: a line for the case, and one for each gateway."""
    promoted = "no promotion" if run.promoted is None else f"promoted after {run.promoted:.1f} s"
    total = sum(one.acknowledged for one in run.observations.values())
    console.print(
        f"run {number}: {run.case}: {promoted}, {total:,} acknowledged, {len(run.violations)} violations",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    for name, observation in run.observations.items():
        console.print(f"  {name}: {observation}", highlight=False, soft_wrap=True, markup=False)
    for finding in run.findings:
        console.print(f"  log: {finding.strip()}", highlight=False, soft_wrap=True, markup=False)
    for violation in run.violations[:MAX_VIOLATIONS]:
        tell(console, violation)


def show_table(console: Console, runs: Sequence[Run]) -> None:
    """Print medians and worst values by case and gateway."""
    table = Table(*COLUMNS, box=None, pad_edge=False, header_style="dim")
    for case in dict.fromkeys(run.case for run in runs):
        some = [run for run in runs if run.case == case]
        for name in some[0].observations:
            table.add_row(*_row(case, name, some))
    console.print(table)
    total = sum(one.acknowledged for run in runs for one in run.observations.values())
    console.print(
        f"{len(runs)} runs, {total:,} messages acknowledged, {sum(len(r.violations) for r in runs)} violations"
    )


def _row(case: Case, name: str, runs: Sequence[Run]) -> list[str]:
    seen: list[Observation] = [run.observations[name] for run in runs]
    promoted = [run.promoted for run in runs if run.promoted is not None]
    failures = sum((one.failures for one in seen), Counter[str]())
    return [
        case.fault,
        "yes" if case.limits else "no",
        str(len(runs)),
        _spread(promoted) if promoted else "-",
        name,
        _spread(one.after for one in seen),
        _spread(one.ready_lag for one in seen),
        _spread(one.in_flight for one in seen),
        ", ".join(f"{number:,} x {note}" for note, number in failures.most_common()) or "none",
        f"{sum(one.acknowledged for one in seen):,}",
        str(sum(len(run.violations) for run in runs)),
    ]


def _spread(values: Iterable[float]) -> str:
    """The median and, of several values, the largest."""
    some = sorted(values)
    return f"{median(some):.1f}" if len(some) == 1 else f"{median(some):.1f}, at most {some[-1]:.1f}"
