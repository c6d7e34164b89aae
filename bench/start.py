"""Measures the start of a gateway on an existing data directory, and its memory before the first request:
`python -m bench.start`.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import psutil
import typer
from rich.console import Console

from bench import report, servers
from bench.goals import Goal, idle_memory
from bench.measurement import BenchError
from bench.stage import folder_of_its_own
from pgmq_gateway.cli.terminal import run

# Imports and connections that follow the start are then done.
IDLE_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Start:
    """One start: seconds until `/ready` answers with 2xx, and resident bytes of the gateway's process afterwards."""

    seconds: float
    memory: int


def start(
    starts: Annotated[int, typer.Option(min=1, help="How many starts are measured; the median counts.")] = 10,
) -> None:
    """Start a gateway with an embedded Postgres, one worker and no dashboard, again and again."""
    try:
        measured = run(_starts(starts))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(1)
    seconds = [one.seconds for one in measured]
    screen = Console(highlight=False)
    screen.print(f"starts: {starts}, ready after {min(seconds):.2f} to {max(seconds):.2f} s")
    report.show_goals(screen, _goals(measured))


def _goals(measured: Sequence[Start]) -> list[Goal]:
    ready = median(one.seconds for one in measured)
    return [
        Goal("start until ready", 1, 1, "s", False, ready),
        idle_memory(int(median(one.memory for one in measured))),
    ]


async def _starts(number: int) -> list[Start]:
    with folder_of_its_own() as folder:
        async with _served(folder):
            # Creates the data directory.
            pass
        return [await _start(folder) for _ in range(number)]


def _served(folder: Path) -> AbstractAsyncContextManager[int]:
    return servers.embedded(folder / "data", folder / "gateway.log")


async def _start(folder: Path) -> Start:
    begin = time.perf_counter()
    async with _served(folder) as pid:
        seconds = time.perf_counter() - begin
        await asyncio.sleep(IDLE_SECONDS)
        return Start(seconds, psutil.Process(pid).memory_info().rss)


if __name__ == "__main__":
    typer.run(start)
