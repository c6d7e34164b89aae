"""The checker's command line: `python -m bench.checker`."""

import asyncio
import sys
import time
from typing import Annotated

import typer
from rich.console import Console

from bench.checker.report import show
from bench.checker.rounds import Tally, round_of
from bench.checker.site import site
from bench.measurement import BenchError, first_message

WIDTH_COLUMNS = 120
# Under load; after each round the queues are read and checked.
ROUND_SECONDS = 40


def main(
    minutes: Annotated[float, typer.Option(min=0.01, help="How long, in rounds of 40 seconds under load.")] = 5,
    seed: Annotated[int, typer.Option(help="Chooses the faults, and what clients do.")] = 1,
    clients: Annotated[int, typer.Option(min=1, help="How many at once.")] = 32,
    gateways: Annotated[str, typer.Option(help="Gateways, each by its number of workers.")] = "1,1,2",
) -> None:
    """Send, read and delete through several gateways under injected faults of processes and the network.

    Then the history is judged. Exit status 1 when any promise was broken.
    """
    try:
        tally, findings = asyncio.run(_rounds(minutes * 60, seed, clients, tuple(map(int, gateways.split(",")))))
    except* BenchError as errors:
        print(f"checker: {first_message(errors)}", file=sys.stderr)
        sys.exit(1)
    for line in findings:
        print(f"gateway: {line}")
    sys.exit(1 if tally.violations or findings else 0)


async def _rounds(seconds: float, seed: int, clients: int, workers: tuple[int, ...]) -> tuple[Tally, list[str]]:
    screen = Console()
    screen = screen if screen.is_terminal else Console(width=WIDTH_COLUMNS)
    tally, end, number = Tally(), time.monotonic() + seconds, 0
    async with site(workers) as built:
        while not number or (time.monotonic() < end and not tally.violations):
            # Each round has other faults.
            left = max(1.0, end - time.monotonic())
            await round_of(built, seed * 1000 + number, min(ROUND_SECONDS, left), clients, tally)
            number += 1
            screen.print(f"round {number}: {sum(tally.calls.values()):,} calls, {len(tally.violations)} violations")
        await built.stop()
        findings = built.findings()
    show(screen, tally)
    return tally, findings


if __name__ == "__main__":
    typer.run(main)
