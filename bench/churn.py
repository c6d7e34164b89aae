"""Sends, reads and deletes through the gateway for many minutes, and compares the last minute with the first.

A queue is all dead tuples: each message is written, leased and deleted within seconds. Where autovacuum comes too late,
reading gets slower from minute to minute.
"""

import json
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bench import machine, plan
from bench.cell import Cell, Operation
from bench.contenders import HttpServer, Name, queue_of, tokens
from bench.database import Health
from bench.generator import count
from bench.measurement import BenchError
from bench.stage import Cast, stage
from bench.usage import memory_of_tree
from pgmq_gateway.cli.terminal import run

OUTPUT = Path(__file__).with_name("churn.json")
HEADING = "minute  messages/s  p50 ms  p99 ms   requests  server MB  dead rows  table MB  index MB  autovacuums"


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute: messages sent, read and deleted, latencies of requests, and the state at its end.

    requests  so far
    memory    resident bytes of the gateway
    """

    number: int
    rate: float
    p50: float
    p99: float
    requests: int
    memory: int
    queue: Health

    def __str__(self) -> str:
        return (
            f"{self.number:6}  {self.rate:10,.0f}  {self.p50:6.1f}  {self.p99:6.1f}  {self.requests:9,}"
            f"  {self.memory / 1e6:9,.0f}  {self.queue.dead:9,}  {self.queue.table / 1e6:8,.1f}"
            f"  {self.queue.index / 1e6:8,.1f}  {self.queue.autovacuums:11}"
        )


def churn(
    minutes: Annotated[int, typer.Option(min=1, help="How long.")] = 10,
    seconds: Annotated[int, typer.Option(min=1, help="Length of a minute.")] = 60,
    connections: Annotated[int, typer.Option(min=1, help="How many at once.")] = 32,
    backlog: Annotated[int, typer.Option(min=1, help="Messages that wait all the time.")] = 1000,
    output: Annotated[Path, typer.Option(help="Where the results go.")] = OUTPUT,
) -> None:
    """Send, read and delete for minutes, and print a line for each."""
    try:
        result = run(_churn(minutes, seconds, Cell(Operation.READ, connections), backlog))
        output.write_text(json.dumps(result, indent=1) + "\n")
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(1)


async def _churn(minutes: int, seconds: int, cell: Cell, backlog: int) -> dict[str, Any]:
    screen = Console(highlight=False)
    async with stage(Cast([Name.GATEWAY])) as ready:
        (gateway,) = ready.contenders
        assert isinstance(gateway, HttpServer)
        await gateway.queues.fill(queue_of(gateway.name), cell.message, backlog)
        screen.print(HEADING, soft_wrap=True)
        seen: list[Minute] = []
        async for minute in _minutes(gateway, cell, minutes, seconds):
            screen.print(str(minute), soft_wrap=True)
            seen.append(minute)
    first, last = seen[0], seen[-1]
    screen.print(f"\nThe last is {last.rate / first.rate:.2f} of the first. {machine.summary(ready.facts)}")
    return {"machine": ready.facts, "connections": cell.connections, "minutes": [asdict(one) for one in seen]}


async def _minutes(gateway: HttpServer, cell: Cell, minutes: int, seconds: int) -> AsyncIterator[Minute]:
    queue = queue_of(gateway.name)
    assert gateway.secret is not None
    requests = 0
    for number in range(1, minutes + 1):
        result = await count(gateway.url, _plan(cell, queue, gateway.secret), cell.connections, seconds)
        if result["refused"] or result["status"] or result["timeout"]:
            raise BenchError(f"minute {number} failed: {result}")
        requests += result["requests"]
        memory = memory_of_tree(gateway.pid or 0)
        yield _minute(number, result, requests, memory, await gateway.queues.health(queue))


def _plan(cell: Cell, queue: str, secret: bytes) -> plan.Plan:
    shown = tokens(secret, 1)
    send = plan.rpc(replace(cell, operation=Operation.SEND), queue, shown).first
    return replace(plan.rpc(cell, queue, shown), before=send)


def _minute(number: int, result: dict[str, Any], requests: int, memory: int, queue: Health) -> Minute:
    rate = result["deleted"] / result["microseconds"] * 1e6
    return Minute(number, rate, result["p50"] / 1e3, result["p99"] / 1e3, requests, memory, queue)


if __name__ == "__main__":
    typer.run(churn)
