"""Many clients in one process that wait for messages by `Prefer: wait`, and wait again after each response."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.checker.history import Outcome
from bench.client import PATIENCE_SECONDS, Client

# The gateway drops the connections beyond its backlog, and the client's system repeats them after a second.
RAMP_CLIENTS, RAMP_PAUSE_SECONDS = 50, 0.025
RETRY_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Place:
    """A queue, and the caller that waits there: its name and the value of its header Authorization."""

    queue: str
    user: str
    authorization: str


@dataclass(slots=True)
class Crowd:
    """Clients that wait at one gateway.

    delays     seconds from each send to its delivery
    strangers  messages that reached another user than theirs
    waits      responses
    faults     responses other than 200, by status and code
    """

    url: str
    seconds: int
    delays: list[float] = field(default_factory=list)
    strangers: int = 0
    waits: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def gather(self, places: Sequence[Place]) -> None:
        """Start a client for each place, no faster than the gateway accepts connections."""
        for start in range(0, len(places), RAMP_CLIENTS):
            for place in places[start : start + RAMP_CLIENTS]:
                self._tasks.append(asyncio.create_task(self._wait_at(place)))
            await asyncio.sleep(RAMP_PAUSE_SECONDS)

    async def leave(self) -> None:
        """Disconnect all clients."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def forget(self) -> None:
        """Begin to count anew."""
        self.delays.clear()
        self.faults.clear()
        self.strangers = self.waits = 0

    async def _wait_at(self, place: Place) -> None:
        client = Client(self.url)
        body = json.dumps({"queue_name": place.queue})
        headers = f"Authorization: {place.authorization}\r\nPrefer: wait={self.seconds}\r\n"
        try:
            while True:
                reply = await client.call("pop", body, headers, self.seconds + PATIENCE_SECONDS)
                self.waits += 1
                if reply.outcome is not Outcome.OK:
                    self.faults[reply.note] += 1
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                for row in reply.body:
                    self.delays.append(time.monotonic() - row["message"]["sent"])
                    self.strangers += row["message"]["to"] not in ("", place.user)
        finally:
            client.close()
