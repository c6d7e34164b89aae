"""Clients of queues with settings, through `pgmq_api`: receipts, dead letters, groups, repeated calls."""

import asyncio
import itertools
import json
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import aiohttp

from bench.checker import leased
from bench.checker.deliveries import MAX_POPPED
from bench.checker.history import Call, History, Json, Outcome, Settlement, Sight
from bench.checker.people import Person
from bench.checker.requests import ask, follow, get
from bench.checker.workload import Client, Known, Plan
from bench.events import Event

# Weights of the moves.
MOVES = {
    "send": 20, "entries": 8, "read": 24, "settle": 20, "late": 6, "race": 4, "pop": 6, "redrive": 6, "trespass": 3,
}  # fmt: skip
# Beside them: reads that wait, and streams.
WAITING_MOVES = {**MOVES, "get": 5, "any": 5, "stream": 5}
# Outcomes of messages, by weight.
OPERATIONS = {"ack": 10, "archive": 2, "retry": 6, "reject": 2, "extend": 3}

GROUPS = 3
REPEATS = (2, 3)
EXTENSION_SECONDS = (0, 1, 2)
MAX_SETTLED = 6
MAX_DELAY_SECONDS = 1
DRAIN_LEASE_SECONDS = 600
STREAM_SECONDS = (0.3, 3.0)
MAX_CREDIT = 3
SETTLED_PERCENT = 70

_pops = itertools.count(1)
_streams = itertools.count(1)


class Consumer(Client):
    """A client that makes random moves on queues with settings, each as a random identity."""

    async def _move(self, move: str, person: Person, queue: str) -> None:
        chance = self._chance
        if move == "send":
            await self._send(person, queue)
        elif move == "entries":
            await self._send_entries(person, queue)
        elif move == "read":
            await self.take(person, queue, chance.randint(1, 5), chance.randint(*self._plan.leases), self._wait())
        elif move == "get":
            await self._get(person, queue)
        elif move == "any":
            await self._read_any(person)
        elif move == "stream":
            await self._stream(person, queue)
        elif move == "settle":
            await self._settle(person, queue, self._receipts(person, queue, chance.randint(1, MAX_SETTLED)))
        elif move == "late":
            await self._settle_late(person, queue)
        elif move == "race":
            receipts = self._receipts(person, queue, 1)
            await asyncio.gather(*(self._settle(person, queue, receipts) for _ in range(2)))
        elif move == "pop":
            await self._pop(person, queue)
        elif move == "redrive":
            await self._call(Call("redrive", leased.LETTERS, person.owner, 0), person, {"max_messages": 10})
        else:
            stranger = chance.choice(self._plan.people)
            await self._settle(person, queue, list(self._known.receipts[stranger.owner, queue])[:1])

    async def take(self, person: Person, queue: str, number: int, lease: int, wait: int = 0) -> Call:
        """Read messages, wait for them, and keep their receipts."""
        call = Call("read", queue, person.owner, 0, lease=lease, wait=wait)
        await self._call(call, person, {"sleep_seconds": lease, "n": number})
        self._keep(call)
        return call

    async def _get(self, person: Person, queue: str) -> None:
        """Wait by the resource of a queue."""
        chance, plan = self._chance, self._plan
        lease, wait = chance.randint(*plan.leases), chance.randint(*plan.waits)
        call = Call("read", queue, person.owner, 0, lease=lease, wait=wait)
        query = {"n": chance.randint(1, 5), "sleep_seconds": lease, "wait_seconds": wait}
        url, token = f"{chance.choice(plan.urls)}/queues/{queue}/messages", person.token(chance)
        await self._exchange([call], get(self._http, url, query, token, plan.patience + wait, **person.headers))
        self._keep(call)

    async def _read_any(self, person: Person) -> None:
        """Wait for messages of all queues: one call for each."""
        chance, plan = self._chance, self._plan
        lease, wait = chance.randint(*plan.leases), chance.randint(*plan.waits)
        calls = [Call("read_any", queue, person.owner, 0, lease=lease, wait=wait) for queue in plan.queues]
        arguments = {"queue_names": list(plan.queues), "sleep_seconds": lease, "n": chance.randint(1, 5)}
        headers = {**person.headers, "Content-Profile": "pgmq_api", "Prefer": f"wait={wait}"}
        url, token = chance.choice(plan.urls), person.token(chance)
        await self._exchange(calls, ask(self._http, url, "read_any", arguments, token, plan.patience + wait, **headers))
        for call in calls:
            self._keep(call)

    async def _stream(self, person: Person, queue: str) -> None:
        """Follow a stream for some seconds, and settle most of its messages through any gateway."""
        chance, plan = self._chance, self._plan
        credit, lease = chance.randint(1, MAX_CREDIT), chance.randint(*plan.leases)
        opened = Call("stream", queue, person.owner, 0, lease=lease, stream=next(_streams), credit=credit)

        async def receive(event: Event) -> None:
            if event.name != "message":
                return
            sight = Sight.of(json.loads(event.data))
            call = replace(opened, function="event", sights=(sight,), outcome=Outcome.OK, returned=time.time())
            self._history.calls.append(call)
            if chance.randrange(100) < SETTLED_PERCENT:
                await self._settle(person, queue, [sight.receipt])
            else:
                self._keep(call)

        url, token = f"{chance.choice(plan.urls)}/queues/{queue}/messages", person.token(chance)
        query, seconds = {"n": credit, "sleep_seconds": lease}, chance.uniform(*STREAM_SECONDS)
        await self._exchange([opened], follow(self._http, url, query, token, seconds, receive, **person.headers))

    def _keep(self, call: Call) -> None:
        self._known.receipts[call.owner, call.queue].extend(sight.receipt for sight in call.sights)

    async def acknowledge(self, person: Person, queue: str, receipts: Sequence[str]) -> Call:
        """Delete messages that were read."""
        settled = tuple(Settlement("ack", receipt) for receipt in receipts)
        call = Call("settle", queue, person.owner, 0, settled=settled)
        await self._call(call, person, {"acks": list(receipts)})
        return call

    async def _send(self, person: Person, queue: str) -> None:
        """Send a message, and again with the key or the deduplication id of the first call, at once or afterwards."""
        message = self._grouped(person, queue)
        arguments = {"message": message, "group_id": message.get("group")}
        call = Call("send", queue, person.owner, 0, self._marks([message]))
        name = f"the checker sends {call.sent[0]}"
        how = self._chance.choice(("once", "key", "deduplication_id"))
        if how == "once":
            return await self._call(call, person, arguments)
        if how == "key":
            call.key = name
        else:
            arguments["deduplication_id"] = name
        return await self._repeat(call, person, arguments)

    async def _send_entries(self, person: Person, queue: str) -> None:
        """Send messages of several groups, or with ids of their own, in a batch that may be repeated."""
        messages = [self._grouped(person, queue) for _ in range(self._chance.randint(2, self._plan.batch))]
        call = Call("send_entries", queue, person.owner, 0, self._marks(messages))
        entries: list[dict[str, Json]] = [{"message": one, "group_id": one.get("group")} for one in messages]
        if self._chance.randrange(2):
            return await self._call(call, person, {"entries": entries})
        for entry in entries:
            entry["deduplication_id"] = f"the checker sends {entry['message']['mark']}"
        return await self._repeat(call, person, {"entries": entries})

    async def _pop(self, person: Person, queue: str) -> None:
        """Pop, and again with the key of the first call, whose response may be lost."""
        key = f"the checker pops {next(_pops)}"
        await self._repeat(
            Call("pop", queue, person.owner, 0, key=key), person, {"n": self._chance.randint(1, MAX_POPPED)}
        )

    async def _repeat(self, call: Call, person: Person, arguments: dict[str, Any]) -> None:
        """Make the same call several times."""
        calls = [replace(call) for _ in range(self._chance.randint(*REPEATS))]
        if self._chance.randrange(2):
            await asyncio.gather(*(self._call(one, person, arguments) for one in calls))
        else:
            for one in calls:
                await self._call(one, person, arguments)

    async def _settle(self, person: Person, queue: str, receipts: Sequence[str]) -> None:
        """Settle messages that were read, in one call, each in its way."""
        operations = self._chance.choices(list(OPERATIONS), list(OPERATIONS.values()), k=len(receipts))
        # In the order of the lists, which is that of the results.
        places = sorted(zip(operations, receipts, strict=True), key=lambda pair: list(OPERATIONS).index(pair[0]))
        settled = tuple(Settlement(operation, receipt, self._seconds(operation)) for operation, receipt in places)
        if len(settled) == 1 and settled[0].operation != "archive":
            await self._settle_one(person, queue, settled[0])
        elif settled:
            call = Call("settle", queue, person.owner, 0, settled=settled)
            await self._call(call, person, _lists(settled))

    async def _settle_one(self, person: Person, queue: str, settlement: Settlement) -> None:
        seconds = {"retry": "delay_seconds", "extend": "sleep_seconds"}.get(settlement.operation)
        arguments = {"receipt": settlement.receipt, **({seconds: settlement.seconds} if seconds else {})}
        await self._call(Call(settlement.operation, queue, person.owner, 0, settled=(settlement,)), person, arguments)

    async def _settle_late(self, person: Person, queue: str) -> None:
        """Settle with receipts that the next read has made stale."""
        first = await self.take(person, queue, 3, 0)
        await self.take(person, queue, 3, 1)
        await self._settle(person, queue, [sight.receipt for sight in first.sights])

    async def _call(self, call: Call, person: Person, arguments: dict[str, Any]) -> None:
        key = {"Idempotency-Key": f'"{call.key}"'} if call.key else {}
        await self._make(call, person, arguments, **{"Content-Profile": "pgmq_api"}, **key)

    def _receipts(self, person: Person, queue: str, number: int) -> list[str]:
        """Receipts of the person; one in five is settled again on purpose."""
        known = self._known.receipts[person.owner, queue]
        receipts = list(dict.fromkeys(known.popleft() for _ in range(min(number, len(known)))))
        known.extend(receipt for receipt in receipts if self._chance.randrange(5) == 0)
        return receipts

    def _seconds(self, operation: str) -> int:
        if operation == "retry":
            return self._chance.randint(0, MAX_DELAY_SECONDS)
        return self._chance.choice(EXTENSION_SECONDS) if operation == "extend" else 0

    def _grouped(self, person: Person, queue: str) -> Json:
        group = {"group": f"{person.owner}.{self._chance.randrange(GROUPS)}"} if queue in leased.GROUP_LIMITS else {}
        return {**self._message(person.owner), **group}


def _lists(settled: Sequence[Settlement]) -> dict[str, Json]:
    """The lists of `pgmq_api.settle`."""

    def of(operation: str) -> list[Settlement]:
        return [one for one in settled if one.operation == operation]

    return {
        "acks": [one.receipt for one in of("ack")],
        "archives": [one.receipt for one in of("archive")],
        "retries": [{"receipt": one.receipt, "delay_seconds": one.seconds} for one in of("retry")],
        "rejects": [one.receipt for one in of("reject")],
        "extensions": [{"receipt": one.receipt, "sleep_seconds": one.seconds} for one in of("extend")],
    }


async def consume(plan: Plan, history: History) -> None:
    """Read and acknowledge as each identity until the queues are empty."""
    async with aiohttp.ClientSession() as http:
        client = Consumer(plan, history, Known(), http, random.Random(0))  # noqa: S311
        for person in plan.people:
            for queue in plan.queues:
                while (read := await client.take(person, queue, 100, DRAIN_LEASE_SECONDS)).sights or (
                    read.outcome is not Outcome.OK
                ):
                    if read.sights:
                        await client.acknowledge(person, queue, [sight.receipt for sight in read.sights])
