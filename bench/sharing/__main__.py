"""Measures how much callers notice of each other: `python -m bench.sharing`."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import machine
from bench.checker.history import Outcome
from bench.client import Client
from bench.contenders import HttpServer, Name, Postgres
from bench.measurement import BenchError
from bench.sharing import neighbours, tenants
from bench.stage import Cast, stage
from pgmq_gateway.cli.terminal import run

# Connections of the noisy caller, and of everything else.
OPEN_FILES = 8192
RELOAD_POLLS, RELOAD_POLL_SECONDS = 600, 0.05
SETTINGS = {"PGRST_DB_POOL": str(neighbours.SLOW_CALLS), "PGMQ_GATEWAY_MAX_CONNECTIONS": "4096"}


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value of a contender, and the value to reach."""

    contender: Name
    what: str
    value: float
    goal: float
    unit: str = ""
    at_least: bool = False
    note: str = ""

    @property
    def reached(self) -> bool:
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    def __str__(self) -> str:
        sign, verdict = ("≥" if self.at_least else "≤"), "" if self.reached else "  missed"
        note = f"  ({self.note})" if self.note else ""
        return f"{self.contender:9} {self.what:58} {self.value:8.3g}{self.unit}  {sign} {self.goal:g}{note}{verdict}"


@dataclass(frozen=True, slots=True)
class Pace:
    """The size of the measurements: requests of each tenant's cell, seconds and rounds of each rate."""

    requests: int
    seconds: int
    rounds: int


def main(
    baseline: Annotated[Path | None, typer.Option(help="Another checkout of the gateway, with its .venv.")] = None,
    requests: Annotated[int, typer.Option(min=128, help="For each way to name a tenant.")] = 100_000,
    seconds: Annotated[int, typer.Option(min=1, help="Of each rate.")] = 5,
    rounds: Annotated[int, typer.Option(min=1, help="Of each rate; the median counts.")] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="2,000 requests, a second, a round.")] = False,
) -> None:
    """Measure what callers notice of each other, and print a line for each figure. Exit status 1 if one is missed."""
    pace = Pace(2000, 1, 1) if quick else Pace(requests, seconds, rounds)
    names = [Name.GATEWAY, *([Name.BASELINE] if baseline else ())]
    machine.allow_open_files(OPEN_FILES)
    try:
        missed = run(_measure(names, baseline, pace))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(1)
    sys.exit(1 if missed else 0)


async def _measure(names: Sequence[Name], baseline: Path | None, pace: Pace) -> bool:
    """Print all figures. True if the gateway of this checkout misses one."""
    screen, missed = Console(highlight=False, soft_wrap=True), False
    async with stage(Cast([*names, Name.POSTGRES], baseline=baseline, settings=SETTINGS)) as ready:
        screen.print(machine.summary(ready.facts))
        *gateways, postgres = ready.contenders
        assert isinstance(postgres, Postgres)
        for gateway in gateways:
            assert isinstance(gateway, HttpServer)
            async for figure in _figures(gateway, postgres, pace):
                screen.print(str(figure))
                missed |= gateway.name is Name.GATEWAY and not figure.reached
    settings = {**SETTINGS, "PGRST_DB_PRE_REQUEST": tenants.PRE_REQUEST}
    async with stage(Cast(names, baseline=baseline, settings=settings)) as ready:
        for gateway in ready.contenders:
            assert isinstance(gateway, HttpServer)
            await define(gateway, *tenants.SQL)
            for name, key in tenants.BY_REQUEST.items():
                figure = await _foreign(gateway, "mere_notes", key, f"{name}, by a pre-request", pace)
                screen.print(str(figure))
                missed |= gateway.name is Name.GATEWAY and not figure.reached
    return missed


async def _figures(gateway: HttpServer, postgres: Postgres, pace: Pace) -> AsyncIterator[Figure]:
    await define(gateway, *tenants.SQL, *neighbours.SQL)
    # Before other callers are active, for whom connections are kept.
    yield Figure(gateway.name, "ten calls of one second, pool of ten", await neighbours.slow(gateway), 1.3, " s")
    for name, key in tenants.BY_CALL.items():
        yield await _foreign(gateway, "notes", key, f"{name}, by a function", pace)
    rate = await neighbours.counting(gateway, pace.seconds, pace.rounds)
    yield Figure(gateway.name, "updates of single rows, 32 clients beside 4", rate, 1, " x", at_least=True)
    await neighbours.create_queues(gateway)
    rate = await neighbours.notifying(gateway, postgres, pace.seconds, pace.rounds)
    yield Figure(gateway.name, "sends with notifications, beside pgbench", rate, 0.8, " x", at_least=True)
    for name, noise in neighbours.noises(gateway).items():
        beside, idle, service = await neighbours.quiet(gateway, noise)
        note = f"p50 {beside:.1f} ms, idle {idle:.1f}, service {service:.1f}"
        yield Figure(
            gateway.name,
            f"quiet caller beside 2,000 connections: {name}",
            beside / (idle + service),
            3,
            " x",
            note=note,
        )
    seconds = await neighbours.abandoned(gateway)
    yield Figure(gateway.name, "504 for others after 340 abandoned calls", seconds, 2, " s")


async def _foreign(gateway: HttpServer, function: str, key: tenants.Key, what: str, pace: Pace) -> Figure:
    share = await tenants.foreign(gateway, function, key, pace.requests)
    return Figure(gateway.name, f"other callers' rows seen: {what}", 100 * share, 0, " %")


async def define(gateway: HttpServer, *statements: str) -> None:
    """Run SQL, and wait until the gateway has loaded the functions."""
    await gateway.queues.run(*statements)
    client = Client(gateway.url)
    for _ in range(RELOAD_POLLS):
        if (await client.call("blue_mere_notes", "{}")).outcome is Outcome.OK:
            return client.close()
        await asyncio.sleep(RELOAD_POLL_SECONDS)
    raise BenchError(f"{gateway.name} did not load the functions")


if __name__ == "__main__":
    typer.run(main)
