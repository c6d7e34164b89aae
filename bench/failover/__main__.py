"""The command line of the failover runs: `python -m bench.failover`."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.failover import network, records
from bench.failover.faults import FAULTS, Name
from bench.failover.programs import Programs, programs
from bench.failover.report import show_run, show_tables
from bench.failover.rounds import Case, Run, run_of
from bench.failover.site import Site, site
from bench.measurement import BenchError, first_message

WIDTH_COLUMNS = 240
# Of a run that takes about a minute.
RUN_TIMEOUT_SECONDS = 400


def main(
    runs: Annotated[int, typer.Option(min=1, help="Runs of each fault, with limits and without.")] = 1,
    faults: Annotated[str, typer.Option(help="Faults, separated by commas.")] = ",".join(Name),
    seed: Annotated[int, typer.Option(help="Chooses the moments of the faults, and what clients do.")] = 1,
    limits: Annotated[bool | None, typer.Option(help="Time limits for calls; without this option, both.")] = None,
    log: Annotated[Path | None, typer.Option(help="Append each run to this file.")] = None,
    report: Annotated[Path | None, typer.Option(help="Run nothing, and print the tables of such a file.")] = None,
) -> None:
    """Let the primary of a Patroni cluster fail under load, and check the calls through two gateways.

    Exit status 1 when any promise was broken, 2 when the runs were not possible.
    """
    try:
        if report is not None:
            done = records.read(report)
        else:
            cases, found = _cases(faults, limits), programs()
            network.enter()
            done = asyncio.run(_runs(found, cases * runs, seed, log))
    except* BenchError as errors:
        print(f"failover: {first_message(errors)}", file=sys.stderr)
        sys.exit(2)
    show_tables(_screen(), done)
    sys.exit(1 if any(run.violations for run in done) else 0)


def _cases(faults: str, limits: bool | None) -> list[Case]:
    """The cases of the options. Raises BenchError."""
    if unknown := [name for name in faults.split(",") if name not in [*Name]]:
        raise BenchError(f"unknown fault {unknown[0]!r}: give --faults some of {','.join(Name)}")
    names = [Name(name) for name in faults.split(",")]
    return [Case(name, limited) for name in names for limited in ((False, True) if limits is None else (limits,))]


async def _runs(found: Programs, cases: Sequence[Case], seed: int, log: Path | None) -> list[Run]:
    screen = _screen()
    if not network.namespaces():
        screen.print("no network namespaces, which need root on Linux, iproute2 and iptables: nodes are never cut off")
        cases = [case for case in cases if not FAULTS[case.fault].packets]
    done: list[Run] = []
    async with site(found) as built:
        for number, case in enumerate(cases, 1):
            done.append(await _run(built, case, f"{seed} {number} {case}"))
            show_run(screen, number, done[-1])
            if log is not None:
                records.append(log, done[-1], built.folder)
    return done


async def _run(built: Site, case: Case, seed: str) -> Run:
    try:
        async with asyncio.timeout(RUN_TIMEOUT_SECONDS):
            return await run_of(built, case, seed)
    except TimeoutError:
        raise BenchError(f"a run took longer than {RUN_TIMEOUT_SECONDS} seconds: {case}") from None


def _screen() -> Console:
    screen = Console()
    return screen if screen.is_terminal else Console(width=WIDTH_COLUMNS)


if __name__ == "__main__":
    typer.run(main)
