"""Measures what consumers' functions cost: `python -m bench.consumers`."""

import sys
from collections.abc import AsyncIterator, Sequence
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from bench import machine
from bench.consumers import costs, loads
from bench.contenders import HttpServer, Name
from bench.figure import Figure, show
from bench.measurement import BenchError
from bench.stage import Cast, stage
from pgmq_gateway.cli.terminal import run

WIDTH_COLUMNS = 120
SETTINGS = {"PGRST_DB_SCHEMAS": "pgmq_public,pgmq_api"}


class Part(StrEnum):
    """The figures on the command line."""

    LEASES = "leases"
    READS = "reads"
    GROUPS = "groups"
    SETTLE = "settle"
    KEYS = "keys"


def main(
    parts: Annotated[
        str,
        typer.Option(
            help="Of leases (ack and settle, in Postgres), reads (with settings, in Postgres), groups (in Postgres),"
            " settle (over HTTP), keys (Idempotency-Key, over HTTP)."
        ),
    ] = ",".join(Part),
    rounds: Annotated[int, typer.Option(min=1, help="In which the two sides alternate; medians count.")] = 7,
    seconds: Annotated[int, typer.Option(min=1, help="Of each load over HTTP.")] = 2,
    depth: Annotated[int, typer.Option(min=1000, help="Messages in the queues with groups.")] = 100_000,
) -> None:
    """Measure leases, settings, groups and keys beside calls without them. Exit status 1 if a goal is missed."""
    selected = _selected(parts)
    try:
        reached = run(_measure(selected, loads.Pace(rounds, seconds), depth))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0 if reached else 1)


def _selected(parts: str) -> list[Part]:
    try:
        return [Part(name) for name in parts.split(",")]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


async def _measure(parts: Sequence[Part], pace: loads.Pace, depth: int) -> bool:
    """Print the figures. True if all goals are reached."""
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(width=WIDTH_COLUMNS, highlight=False)
    figures: list[Figure] = []
    async with stage(Cast([Name.GATEWAY], settings=SETTINGS)) as ready:
        (gateway,) = ready.contenders
        assert isinstance(gateway, HttpServer)
        assert ready.postgres is not None
        load = loads.Load(gateway, ready.postgres, pace)
        with console.status("Measuring") as status:
            for part in parts:
                status.update(f"Measuring {part}")
                figures += [figure async for figure in _figures(part, load, depth)]
    show(console, figures)
    console.print(f"\nMedians of {pace.rounds} rounds. {machine.summary(ready.facts)}", style="dim", soft_wrap=True)
    return all(figure.reached for figure in figures)


def _figures(part: Part, load: loads.Load, depth: int) -> AsyncIterator[Figure]:
    queues, rounds = load.gateway.queues, load.pace.rounds
    match part:
        case Part.LEASES:
            return costs.settling(queues, rounds)
        case Part.READS:
            return costs.reading(queues, rounds)
        case Part.GROUPS:
            return costs.grouping(queues, rounds, depth)
        case Part.SETTLE:
            return loads.settling(load)
        case Part.KEYS:
            return loads.keys(load)


if __name__ == "__main__":
    typer.run(main)
