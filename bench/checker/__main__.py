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
from bench.measurement import BenchError, told

WIDTH = 120
# Seconds under load of a round; after each everything is read and judged.
ROUND = 40


def main(
    minutes: Annotated[float, typer.Option(min=0.01, help="How long, in rounds of 40 seconds under load.")] = 5,
    seed: Annotated[int, typer.Option(help="Chooses the faults, and what clients do.")] = 1,
    clients: Annotated[int, typer.Option(min=1, help="How many at once.")] = 32,
    gateways: Annotated[str, typer.Option(help="Gateways, each by its number of workers.")] = "1,1,2",
) -> None:
    """Send, read and delete through several gateways while they, their database and the network between them break.

    Then the history is judged. Exit status 1 when any promise was broken.
    """
    try:
        tally, complaints = asyncio.run(_rounds(minutes * 60, seed, clients, tuple(map(int, gateways.split(",")))))
    except* BenchError as errors:
        print(f"checker: {told(errors)}", file=sys.stderr)
        sys.exit(1)
    for line in complaints:
        print(f"a gateway: {line}")
    sys.exit(1 if tally.violations or complaints else 0)


async def _rounds(seconds: float, seed: int, clients: int, workers: tuple[int, ...]) -> tuple[Tally, list[str]]:
    screen = Console()
    screen = screen if screen.is_terminal else Console(width=WIDTH)
    tally, end, number = Tally(), time.monotonic() + seconds, 0
    async with site(workers) as built:
        while not number or (time.monotonic() < end and not tally.violations):
            # Each round has faults of its own.
            left = max(1.0, end - time.monotonic())
            await round_of(built, seed * 1000 + number, min(ROUND, left), clients, tally)
            number += 1
            screen.print(f"round {number}: {sum(tally.calls.values()):,} calls, {len(tally.violations)} violations")
        await built.stop()
        complaints = built.complaints()
    show(screen, tally)
    return tally, complaints


if __name__ == "__main__":
    typer.run(main)
