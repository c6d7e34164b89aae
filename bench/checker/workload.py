"""Producers and consumers with random moves, recorded call by call."""

import asyncio
import itertools
import random
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from bench.checker.history import Call, History, Json, Outcome, Sight
from bench.checker.people import Person
from bench.checker.requests import GONE, Reply, ask, half
from bench.checker.visits import LEFT_BEHIND, Visit

# Weights of the moves.
MOVES = {
    "send": 26, "batch": 8, "read": 28, "pop": 8, "finish": 16, "race": 3, "burst": 6, "visit": 10, "trespass": 3,
    "forge": 2, "break": 2,
}  # fmt: skip
# Moves of faulty clients.
UNRULY = frozenset({"forge", "break"})

BATCH = 12
RACERS = 6
# Of one function, at one gateway.
BURSTS = ("send", "batch", "read", "pop", "finish")
BURST_CALLS = (3, 10)
VISITS = 4
# Concurrent clients of a flood.
FLOOD_CLIENTS = 32
# Calls whose client disconnects before the response.
DISCONNECT_PERCENT = 3
DISCONNECT_SECONDS = 0.02
# Reads and pops that wait.
WAITING_PERCENT = 15
# Message ids kept for each identity, to finish or to race for.
MAX_KNOWN_IDS = 64
LONG_PERCENT = 2
LONG_CHARACTERS = 20_000
LETTERS = "abcdefghijklmnopqrstuvwxyz äöü 漢字 \\\"{}[]'\n"

_marks = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Plan:
    """The behaviour of the clients.

    urls      of the gateways that take the calls
    queues    without pops, and with them
    leases    seconds for which messages are read: at least, at most
    patience  seconds that they wait for an answer
    batch     messages of a batch at most
    calm      whether all of them behave
    moves     weights of the moves
    pause     seconds between two moves of a client
    waits     seconds for which some reads and pops wait: at least, at most
    """

    urls: Sequence[str]
    people: Sequence[Person]
    queues: Sequence[str]
    leases: tuple[int, int] = (1, 2)
    patience: float = 4
    batch: int = BATCH
    calm: bool = False
    moves: Mapping[str, int] = field(default_factory=lambda: MOVES)
    pause: float = 0
    waits: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class Known:
    """Known ids of messages, and receipts, by owner and queue."""

    ids: defaultdict[tuple[str, str], deque[int]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=MAX_KNOWN_IDS))
    )
    receipts: defaultdict[tuple[str, str], deque[str]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=MAX_KNOWN_IDS))
    )


class Client:
    """A client that makes random moves, each as a random identity."""

    def __init__(
        self, plan: Plan, history: History, known: Known, http: aiohttp.ClientSession, chance: random.Random
    ) -> None:
        self._plan = plan
        self._history = history
        self._known = known
        self._http = http
        self._chance = chance
        moves = {move: weight for move, weight in plan.moves.items() if not (plan.calm and move in UNRULY)}
        self._moves, self._weights = list(moves), list(moves.values())

    async def work(self, over: Callable[[], bool]) -> None:
        """Make moves until the end."""
        while not over():
            (move,) = self._chance.choices(self._moves, self._weights)
            await self._move(move, self._chance.choice(self._plan.people), self._chance.choice(self._plan.queues))
            await asyncio.sleep(self._plan.pause)

    async def _move(self, move: str, person: Person, queue: str) -> None:
        chance = self._chance
        if move in ("send", "batch"):
            await self.send(person, queue, 1 if move == "send" else chance.randint(2, self._plan.batch))
        elif move == "read":
            await self.read(person, queue, chance.randint(1, 5), chance.randint(*self._plan.leases), self._wait())
        elif move == "pop":
            await self.pop(person, self._plan.queues[-1], self._wait())
        elif move in ("finish", "race"):
            await self._finish(person, queue, 1 if move == "finish" else RACERS)
        elif move == "burst":
            await self._burst(person, queue)
        elif move == "trespass":
            ids = self._known.ids[chance.choice(self._plan.people).owner, queue]
            await self.end(person, queue, chance.choice(ids) if ids else 1)
        elif move == "forge":
            await self.send(person, queue, 1, forged=True)
        elif move == "visit":
            await self.visit(person)
        else:
            await self._break(person, queue)

    async def send(self, person: Person, queue: str, number: int, delay: int = 0, *, forged: bool = False) -> None:
        """Send messages, in a batch if there are several, that are visible after a delay."""
        messages = [self._message(person.owner) for _ in range(number)]
        function = "send" if number == 1 else "send_batch"
        call = Call(function, queue, person.owner, 0, self._marks(messages), caller=person.caller.name)
        call.forged, call.delay = forged, delay
        what: dict[str, Any] = {"message": messages[0]} if number == 1 else {"messages": messages}
        await self._make(call, person, {**what, "sleep_seconds": delay} if delay else what)
        self._known.ids[person.owner, queue].extend(call.ids)

    async def read(self, person: Person, queue: str, number: int, lease: int, wait: int = 0) -> Call:
        """Read at most `number` messages with this lease, and wait for them."""
        call = Call("read", queue, person.owner, 0, lease=lease, wait=wait)
        await self._make(call, person, {"sleep_seconds": lease, "n": number})
        self._known.ids[person.owner, queue].extend(sight.id for sight in call.sights)
        return call

    async def pop(self, person: Person, queue: str, wait: int = 0) -> None:
        """Pop a message, and wait for it."""
        await self._make(Call("pop", queue, person.owner, 0, wait=wait), person, {})

    def _wait(self) -> int:
        """The seconds that the next call waits."""
        return self._chance.randint(*self._plan.waits) if self._chance.randrange(100) < WAITING_PERCENT else 0

    async def visit(self, person: Person) -> None:
        """Call the function that leaves something behind; some calls at once, so that they can meet."""
        kinds = self._chance.choices(list(LEFT_BEHIND), k=VISITS)
        calls = [Call("visit", "", person.owner, 0, caller=person.caller.name) for _ in kinds]
        await asyncio.gather(
            *(self._make(call, person, {"kind": kind}) for call, kind in zip(calls, kinds, strict=True))
        )

    async def _burst(self, person: Person, queue: str) -> None:
        """Make one move several times at once at one gateway, so that the calls can become one statement."""
        chance = self._chance
        plan = replace(self._plan, urls=[chance.choice(self._plan.urls)])
        client = Client(plan, self._history, self._known, self._http, chance)
        move, number = chance.choice(BURSTS), chance.randint(*BURST_CALLS)
        await asyncio.gather(*(client._move(move, person, queue) for _ in range(number)))

    async def end(self, person: Person, queue: str, number: int) -> None:
        """Delete a message, or archive it."""
        function = "archive" if self._chance.randrange(4) == 0 else "delete"
        await self._make(Call(function, queue, person.owner, 0, target=number), person, {"message_id": number})

    async def _finish(self, person: Person, queue: str, number: int) -> None:
        """Delete or archive messages; several ones in two concurrent calls in opposite orders."""
        known = self._known.ids[person.owner, queue]
        ids = [known.popleft() for _ in range(min(number, len(known)))]
        if number == 1:
            # Finished messages are finished again on purpose.
            known.extend(ids if self._chance.randrange(5) == 0 else ())
        both = [*ids, *reversed(ids)] if number > 1 else ids
        await asyncio.gather(*(self.end(person, queue, one) for one in both))

    async def _break(self, person: Person, queue: str) -> None:
        """Disconnect within the request of a send."""
        message = self._message(person.owner)
        call = Call("send", queue, person.owner, time.time(), self._marks([message]))
        self._history.calls.append(call)
        arguments = {"queue_name": queue, "message": message}
        part, url = self._chance.uniform(0.2, 0.99), self._chance.choice(self._plan.urls)
        self._note(call, await half(url, "send", arguments, person.token(self._chance), part))

    async def _make(self, call: Call, person: Person, what: dict[str, Any], **headers: str) -> None:
        chance, plan = self._chance, self._plan
        disconnects = not plan.calm and chance.randrange(100) < DISCONNECT_PERCENT
        patience = chance.uniform(0, DISCONNECT_SECONDS) if disconnects else plan.patience
        bearer = person.forged(chance) if call.forged else person.token(chance)
        arguments = {"queue_name": call.queue, **what} if call.queue else what
        url = chance.choice(plan.urls)
        headers = {**person.headers, **headers, **({"Prefer": f"wait={call.wait}"} if call.wait else {})}
        await self._exchange(
            [call], ask(self._http, url, call.function, arguments, bearer, patience + call.wait, **headers)
        )

    async def _exchange(self, calls: Sequence[Call], request: Awaitable[Reply]) -> Reply:
        """Make a request, which is recorded as these calls."""
        self._history.calls += calls
        for call in calls:
            call.invoked = time.time()
        reply = GONE
        try:
            reply = await request
        finally:
            for call in calls:
                self._note(call, reply)
        return reply

    def _note(self, call: Call, reply: Reply) -> None:
        call.returned, call.outcome, call.note = time.time(), reply.outcome, reply.note
        if reply.outcome is Outcome.OK:
            learn(call, reply.body)

    def _message(self, owner: str) -> Json:
        size = LONG_CHARACTERS if self._chance.randrange(100) < LONG_PERCENT else self._chance.randrange(200)
        text = "".join(self._chance.choices(LETTERS, k=min(size, 50))) * (size // 50 + 1)
        return {"owner": owner, "mark": next(_marks), "text": text}

    def _marks(self, messages: Sequence[Json]) -> tuple[int, ...]:
        self._history.messages.update((message["mark"], message) for message in messages)
        return tuple(message["mark"] for message in messages)


async def work(
    plan: Plan,
    history: History,
    seed: int | str,
    clients: int,
    over: Callable[[], bool],
    kind: type[Client] = Client,
) -> None:
    """Run this number of clients of a kind until the end."""
    known = Known()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http, asyncio.TaskGroup() as group:
        for number in range(clients):
            chance = random.Random(f"{seed} {number}")  # noqa: S311 repeatable
            group.create_task(kind(plan, history, known, http, chance).work(over))


def learn(call: Call, body: Json) -> None:
    """Record a response."""
    if call.function == "send_entries":
        call.ids = tuple(row["msg_id"] for row in body)
    elif call.sent:
        call.ids = tuple(body)
    elif call.settled:
        outcomes = [body] if isinstance(body, str) else [row["outcome"] for row in body]
        call.settled = tuple(replace(one, outcome=out) for one, out in zip(call.settled, outcomes, strict=True))
    elif call.function == "visit":
        call.visit = Visit.of(body)
    elif call.function in ("read", "pop"):
        call.sights = tuple(Sight.of(row) for row in body)
    elif call.function == "read_any":
        call.sights = tuple(Sight.of(row) for row in body if row["queue_name"] == call.queue)
    elif call.target:
        call.found = body


async def flood(plan: Plan, history: History, queue: str, number: int) -> None:
    """Send messages one by one, so many that the loss of a rare one is found."""
    numbers = iter(range(number))

    async def send(http: aiohttp.ClientSession) -> None:
        client = Client(plan, history, Known(), http, random.Random(0))  # noqa: S311
        for one in numbers:
            await client.send(plan.people[one % len(plan.people)], queue, 1)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http, asyncio.TaskGroup() as group:
        for _ in range(FLOOD_CLIENTS):
            group.create_task(send(http))


async def drain(plan: Plan, history: History) -> None:
    """Read as each identity until the queues are empty."""
    async with aiohttp.ClientSession() as http:
        client = Client(plan, history, Known(), http, random.Random(0))  # noqa: S311
        for person in plan.people:
            for queue in plan.queues:
                while not (
                    (last := await client.read(person, queue, 100, 600)).outcome is Outcome.OK and not last.sights
                ):
                    pass
