"""The table in the terminal, and results.json."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.contenders import Name
from bench.goals import Goal
from bench.results import Row

Facts = dict[str, Any]

# Ratios are quoted against these, where they were measured.
REFERENCES = (Name.POSTGRES, Name.PGMQ_API, Name.POSTGREST, Name.BASELINE)
SHORT = {Name.POSTGRES: "pg", Name.PGMQ_API: "api", Name.POSTGREST: "rest", Name.BASELINE: "base"}

NUMBERS = (("p50 ms", 8), ("p95", 7), ("p99", 7), ("server", 6), ("backend", 7), ("other", 5), ("load", 5), ("MB", 4))
LEGEND = """
Medians over the rounds. x…: times the rate of postgres (pg), pgmq-api (api) and so on in the same round.
server, backend, other, load: CPU µs a request of the HTTP server, of Postgres' client backends, of its other
processes, of the load generator. MB: resident memory of the server. *: of a whole operation, not of a request."""


def show(console: Console, rows: Sequence[Row], names: Sequence[Name]) -> None:
    """Print the rows of one cell; `names` are all contenders, so that all cells have the same columns."""
    references = [name for name in REFERENCES if name in names]
    console.print(f"\n[bold]{rows[0].cell}[/bold]", highlight=False)
    console.print(_table(rows, references))
    for row in rows:
        for fault in row.faults:
            console.print(f"FAILED {row.contender}: {fault}", style="bold red", markup=False, highlight=False)


def _table(rows: Iterable[Row], references: Sequence[Name]) -> Table:
    result = Table(box=None, pad_edge=False, header_style="dim")
    result.add_column("", width=9)
    for heading, width in (("ops/s", 7), *((f"x{SHORT[name]}", 6) for name in references), *NUMBERS):
        result.add_column(heading, justify="right", no_wrap=True, width=width)
    for row in rows:
        result.add_row(row.contender, *_values(row, references), style="bold red" if row.faults else "")
    return result


def _values(row: Row, references: Iterable[Name]) -> Iterable[str]:
    if row.faults:
        yield "FAILED"
        return
    yield f"{row.rate:,.0f}" if row.rate >= 100 else f"{row.rate:,.1f}"
    for name in references:
        yield f"{row.ratios[name.value]:.2f}" if name.value in row.ratios else ""
    yield f"{row.p50:.2f}{'*' if row.whole else ''}"
    yield f"{row.p95:.2f}"
    yield f"{row.p99:.2f}"
    for part in row.cpu.values():
        yield "" if part is None else f"{part * 1000:,.0f}"
    yield "" if row.memory is None else f"{row.memory / 1e6:,.0f}"


def explain(console: Console, machine: str) -> None:
    """Print the legend and the machine."""
    console.print(LEGEND, style="dim", highlight=False)
    console.print(f"{machine}\n", style="dim", highlight=False)


def show_goals(console: Console, goals: Sequence[Goal]) -> None:
    """Print the goals with this run's figures."""
    if not goals:
        return
    result = Table(box=None, pad_edge=False, header_style="dim")
    result.add_column("Goals", width=48)
    for heading in ("reach", "aim", "here"):
        result.add_column(heading, justify="right", width=9)
    for goal in goals:
        numbers = (f"{number:,.4g} {goal.unit}" for number in (goal.reach, goal.aim, goal.found))
        result.add_row(goal.what, *numbers, style="" if goal.reached else "yellow")
    console.print(result)


def write(path: Path, machine: Facts, settings: Facts, rows: Sequence[Row], goals: Sequence[Goal]) -> None:
    """results.json."""
    content = {
        "machine": machine,
        "settings": settings,
        "rows": [row.as_json() for row in rows],
        "goals": [{**asdict(goal), "reached": goal.reached} for goal in goals],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")
