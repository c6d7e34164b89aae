"""Clients of a check that waiting calls are served, without faults.

Each identity has two clients that wait for messages. Its messages are sent through the gateway, some with a delay, and
by SQL, which does not notify the gateway. One is read by a client that does not settle it, so that its lease expires.
"""

import asyncio
import json
import random
import time

import aiohttp

from bench.checker.history import Call, History, Outcome
from bench.checker.people import Person
from bench.checker.workload import Client, Known, Plan
from pgmq_gateway.database.driver import Connection

# For each identity.
WAITERS = 2
WAIT_SECONDS = 30
LEASE_SECONDS = 1
SOURCES = ("a send", "a delayed send", "SQL", "an expired lease")


class Waiter(Client):
    """A client that sends to one identity, and waits as it."""

    async def wait(self, person: Person, queue: str, seconds: int) -> Call:
        """Read a message as soon as there is one, and delete it."""
        call = await self.read(person, queue, 1, LEASE_SECONDS, seconds)
        for sight in call.sights:
            await self.end(person, queue, sight.id)
        return call

    async def send_from(self, source: str, owner: Connection, person: Person, queue: str) -> None:
        """Send a message that waiting calls must notice."""
        if source == "SQL":
            return await self._send_by_sql(owner, person, queue)
        await self.send(person, queue, 1, delay=source == "a delayed send")
        if source == "an expired lease":
            await self.read(person, queue, 1, LEASE_SECONDS)
        return None

    async def _send_by_sql(self, owner: Connection, person: Person, queue: str) -> None:
        message = self._message(person.owner)
        call = Call("send", queue, person.owner, time.time(), self._marks([message]))
        self._history.calls.append(call)
        number = await owner.fetchval("select pgmq.send($1, $2::text::jsonb)", queue, json.dumps(message))
        call.ids, call.outcome, call.returned = (number,), Outcome.OK, time.time()


async def serve(plan: Plan, history: History, owner: Connection, queue: str, seconds: int = WAIT_SECONDS) -> None:
    """Send to clients that wait, until each identity has got its messages, or a wait has ended without any."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        chance = random.Random(len(history.calls))  # noqa: S311 repeatable
        clients = [Waiter(plan, history, Known(), http, chance) for _ in plan.people]
        waits = [
            asyncio.create_task(_wait_for_all(client, person, queue, seconds))
            for client, person in zip(clients, plan.people, strict=True)
        ]
        letters = [(pair, source) for pair in zip(clients, plan.people, strict=True) for source in SOURCES]
        for (client, person), source in chance.sample(letters, len(letters)):
            await client.send_from(source, owner, person, queue)
        await asyncio.gather(*waits)


async def _wait_for_all(client: Waiter, person: Person, queue: str, seconds: int) -> None:
    """Wait with two calls at a time until all messages are deleted; then disconnect."""
    left = len(SOURCES)

    async def wait() -> None:
        nonlocal left
        while left > 0:
            sights = (await client.wait(person, queue, seconds)).sights
            if not sights:
                left = 0
            left -= len(sights)

    tasks = [asyncio.create_task(wait()) for _ in range(WAITERS)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
