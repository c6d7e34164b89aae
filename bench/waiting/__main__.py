"""Measures waiting requests and streams: `python -m bench.waiting`."""

import sys
from collections.abc import AsyncIterator, Sequence
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from bench import machine
from bench.contenders import HttpServer, Name
from bench.figure import Figure, show
from bench.measurement import BenchError, first_message
from bench.stage import Cast, stage
from bench.waiting import rows
from bench.waiting.rows import Scale
from pgmq_gateway.cli.terminal import run

WIDTH_COLUMNS = 140
# Connections beside those of the waiting clients.
MORE_FILES = 2000
DEFAULTS = Scale()
SETTINGS = {"PGRST_DB_SCHEMAS": "pgmq_public,pgmq_api", "PGRST_DB_POOL": str(rows.POOL)}


class Row(StrEnum):
    """The rows on the command line."""

    WAITING = "waiting"
    USERS = "users"
    SENDS = "sends"
    OTHERS = "others"
    MEMORY = "memory"
    STREAMS = "streams"


def main(
    selected: Annotated[
        str,
        typer.Option(
            "--rows",
            help="Of waiting (memory, connections, delay), users (a policy each), sends (beside waiting clients),"
            " others (another gateway, SQL), memory (after many waits), streams.",
        ),
    ] = ",".join(Row),
    waiters: Annotated[int, typer.Option(min=2, help="Clients that wait.")] = DEFAULTS.waiters,
    queues: Annotated[int, typer.Option(min=1, help="On which they wait.")] = DEFAULTS.queues,
    users: Annotated[int, typer.Option(min=1, help="With a policy each, on one queue.")] = DEFAULTS.users,
    streams: Annotated[int, typer.Option(min=1, help="Open at once.")] = DEFAULTS.streams,
    waits: Annotated[int, typer.Option(min=4, help="After which memory is compared.")] = DEFAULTS.waits,
    seconds: Annotated[float, typer.Option(min=1, help="Of each measurement.")] = DEFAULTS.seconds,
    rate: Annotated[float, typer.Option(min=1, help="Sends a second to waiting clients.")] = DEFAULTS.rate,
    rounds: Annotated[int, typer.Option(min=1, help="Of the throughput of sends.")] = DEFAULTS.rounds,
) -> None:
    """Measure waiting requests and streams, and print a row for each figure. Exit status 1 if a goal is missed."""
    scale = Scale(waiters, queues, users, streams, waits, seconds, rate, rounds)
    machine.allow_open_files(max(waiters, streams, users) + MORE_FILES)
    try:
        reached = run(_measure(_selected(selected), scale))
    except* BenchError as errors:
        print(f"bench: {first_message(errors)}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0 if reached else 1)


def _selected(names: str) -> list[Row]:
    try:
        return [Row(name) for name in names.split(",")]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


async def _measure(selected: Sequence[Row], scale: Scale) -> bool:
    """Print the figures. True if all goals are reached."""
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(width=WIDTH_COLUMNS, highlight=False)
    figures: list[Figure] = []
    facts = {}
    with console.status("Measuring") as status:
        for row in selected:
            status.update(f"Measuring {row}")
            # Each begins with a fresh process, because memory is compared.
            names = [Name.GATEWAY, *([Name.GATEWAY_2] if row is Row.OTHERS else ())]
            async with stage(Cast(names, settings=SETTINGS)) as ready:
                facts = ready.facts
                gateways = [one for one in ready.contenders if isinstance(one, HttpServer)]
                figures += [figure async for figure in _figures(row, gateways, scale)]
    show(console, figures)
    console.print(f"\n{machine.summary(facts)}", style="dim", soft_wrap=True)
    return all(figure.reached for figure in figures)


def _figures(row: Row, gateways: Sequence[HttpServer], scale: Scale) -> AsyncIterator[Figure]:
    gateway, *others = gateways
    match row:
        case Row.WAITING:
            return rows.waiting(gateway, scale)
        case Row.USERS:
            return rows.users(gateway, scale)
        case Row.SENDS:
            return rows.sends(gateway, scale)
        case Row.OTHERS:
            return rows.others(gateway, others[0], scale)
        case Row.MEMORY:
            return rows.memory(gateway, scale)
        case Row.STREAMS:
            return rows.streams(gateway, scale)


if __name__ == "__main__":
    typer.run(main)
