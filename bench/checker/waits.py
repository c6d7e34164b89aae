"""Clients of a check that waiting calls are served, without faults.

Each identity has two clients that wait for messages. Its messages are sent through the gateway, some with a delay, and
by SQL, which does not notify the gateway. One is read by a client that does not settle it, so that its lease expires.
"""

import asyncio
import itertools
import json
import random
import time
from collections.abc import Iterable

import aiohttp

from bench.checker.history import Call, History, Outcome
from bench.checker.people import Person
from bench.checker.workload import Client, Known, Plan
from pgmq_gateway.database.driver import Connection

# For each identity.
WAITERS = 2
WAIT_SECONDS = 30
LEASE_SECONDS = DELAY_SECONDS = 1
POLL_SECONDS = 0.05
SOURCES = ("a send", "a delayed send", "SQL", "an expired lease")


class Waiter(Client):
    """A client that sends to one identity, and waits as it."""

    async def work_on(self, person: Person, queue: str, seconds: int) -> None:
        """Read messages as soon as there are any, and delete them, until a wait ends without any."""
        while (call := await self.read(person, queue, 1, LEASE_SECONDS, seconds)).sights:
            for sight in call.sights:
                await self.end(person, queue, sight.id)

    async def send_from(self, source: str, owner: Connection, person: Person, queue: str) -> None:
        """Send a message that waiting calls must notice."""
        if source == "SQL":
            return await self._send_by_sql(owner, person, queue)
        await self.send(person, queue, 1, delay=DELAY_SECONDS if source == "a delayed send" else 0)
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
    """Send to clients that wait, until all messages are deleted, or a wait has ended without any."""
    began, chance = len(history.calls), random.Random(len(history.calls))  # noqa: S311 repeatable
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        pairs = [(Waiter(plan, history, Known(), http, chance), person) for person in plan.people]
        waits = [asyncio.create_task(client.work_on(person, queue, seconds)) for client, person in pairs * WAITERS]
        letters = list(itertools.product(pairs, SOURCES))
        for (client, person), source in chance.sample(letters, len(letters)):
            await client.send_from(source, owner, person, queue)
        sent = {number for call in history.calls[began:] for number in call.ids}
        for _ in range(int(2 * seconds / POLL_SECONDS)):
            if sent <= _deleted(history.calls[began:]) or any(wait.done() for wait in waits):
                break
            await asyncio.sleep(POLL_SECONDS)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


def _deleted(calls: Iterable[Call]) -> set[int]:
    return {call.target for call in calls if call.found}
