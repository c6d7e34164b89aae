"""Prints the results."""

from collections import Counter
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from bench.checker.history import Outcome
from bench.checker.model import Violation
from bench.checker.rounds import FLOOD_MESSAGES, TRACED_MESSAGES, Tally

# Violations printed in full, and calls of each.
MAX_VIOLATIONS, MAX_CALLS = 20, 30


def show(console: Console, tally: Tally) -> None:
    """Print calls, failures, faults and violations."""
    calls = Table("calls", *Outcome, box=None, pad_edge=False, header_style="dim")
    for function in sorted({function for function, _ in tally.calls}):
        calls.add_row(function, *(f"{tally.calls[function, outcome]:,}" for outcome in Outcome))
    total = sum(tally.calls.values())
    calls.add_row("all", *(f"{sum(n for (_, o), n in tally.calls.items() if o is outcome):,}" for outcome in Outcome))
    for column in calls.columns[1:]:
        column.justify = "right"
    console.print(calls)
    console.print(f"\n{total:,} calls in {tally.seconds:,.0f} s of load; messages: {_listed(tally.messages)}")
    console.print(f"not ok: {_listed(tally.notes)}")
    console.print(
        f"{tally.visits:,} calls of a user's function reported what they found; in {tally.rounds} rounds without"
        f" faults, {FLOOD_MESSAGES + TRACED_MESSAGES:,} sends each were accounted for, and callers were compared:"
        " slow and fast, noisy and quiet"
    )
    console.print(f"pgmq_api: {_listed(tally.leases)}")
    console.print(f"\n{sum(tally.faults.values()):,} faults:")
    for name, number in sorted(tally.faults.items()):
        console.print(f"{number:7,} {name}", highlight=False)
    console.print(f"\n{len(tally.violations)} violations")
    if tally.violations:
        console.print(_listed(Counter(violation.promise for violation in tally.violations)))
    for violation in tally.violations[:MAX_VIOLATIONS]:
        tell(console, violation)


def tell(console: Console, violation: Violation) -> None:
    """Print a violation with the calls that prove it."""
    console.print(f"\nVIOLATION: {violation.promise}: {violation.text}", style="bold red", markup=False)
    for call in violation.calls[:MAX_CALLS]:
        console.print(f"  {call}", markup=False, highlight=False, soft_wrap=True)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in sorted(counts.items(), key=lambda item: -item[1]))
