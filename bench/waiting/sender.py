"""A client that sends at a steady rate, whatever the responses take."""

import asyncio
import json
import time
from collections.abc import Iterable

from bench.checker.history import Outcome
from bench.client import Client
from bench.measurement import BenchError
from bench.waiting.crowd import Place


async def send(url: str, authorization: str, targets: Iterable[Place], rate: float) -> list[float]:
    """Send a message to the user of each place. The seconds until each response, in the order of the responses."""
    free: list[Client] = []
    seconds: list[float] = []
    headers = f"Authorization: {authorization}\r\n"

    async def one(target: Place) -> None:
        client = free.pop() if free else Client(url)
        sent = time.monotonic()
        body = json.dumps({"queue_name": target.queue, "message": {"sent": sent, "to": target.user}})
        reply = await client.call("send", body, headers)
        seconds.append(time.monotonic() - sent)
        free.append(client)
        if reply.outcome is not Outcome.OK:
            raise BenchError(f"a send failed: {reply.note} {reply.text[:200]}")

    begin = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number, target in enumerate(targets):
            await asyncio.sleep(begin + number / rate - time.monotonic())
            group.create_task(one(target))
    for client in free:
        client.close()
    return seconds
