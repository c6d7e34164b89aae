"""Looks at the message queues with waiters: messages become visible without a notification."""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from pgmq_gateway.waiting.counters import Counters
from pgmq_gateway.waiting.probes import ProbeFailed
from pgmq_gateway.waiting.queue_probe import QueueProbe

if TYPE_CHECKING:
    from pgmq_gateway.waiting.waiters import Waiters

logger = logging.getLogger("pgmq_gateway")

# Between looks that were asked for.
SHORTEST_PAUSE_SECONDS = 0.05
# Between looks whether clients have disconnected.
CLIENTS_SECONDS = 1.0


class Clock:
    """Looks at all queues at an interval, and sooner at those for which this was asked."""

    def __init__(self, probe: QueueProbe, counters: Counters, poll_seconds: float) -> None:
        self._probe = probe
        self._counters = counters
        self._poll_seconds = poll_seconds
        self._poll_at = 0.0
        self._soon: set[str] = set()
        self._asked = asyncio.Event()

    def look(self, queue_name: str) -> None:
        """Ask for a look at a queue, soon."""
        self._soon.add(queue_name)
        self._asked.set()

    async def run(self, waiters: "Waiters") -> None:
        """Look until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_clients(waiters))
            tasks.create_task(self._watch_queues(waiters))

    async def _watch_clients(self, waiters: "Waiters") -> None:
        while True:
            await asyncio.sleep(CLIENTS_SECONDS)
            waiters.end_by_client()

    async def _watch_queues(self, waiters: "Waiters") -> None:
        while True:
            await asyncio.sleep(SHORTEST_PAUSE_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._poll_at):
                    await self._asked.wait()
            try:
                await self._watch_queues_once(waiters)
            except Exception:
                logger.exception("cannot look at the queues for which requests wait")

    async def _watch_queues_once(self, waiters: "Waiters") -> None:
        self._asked.clear()
        soon, self._soon = self._soon, set()
        now = asyncio.get_running_loop().time()
        if now < self._poll_at:
            await self._look_at(waiters, soon)
            return
        self._poll_at = now + self._poll_seconds
        await self._look_at(waiters, waiters.queues)
        for queue in waiters.queues.values():
            queue.wake_sleeping(self._poll_seconds)

    async def _look_at(self, waiters: "Waiters", names: Iterable[str]) -> None:
        """Look at queues, and wake waiters for what has become visible.

        Only at known ones: a caller without any right could name what makes the statement fail for all.
        """
        queues = waiters.queues
        try:
            states = await self._probe.probe([name for name in names if name in queues and queues[name].known])
        except ProbeFailed:
            # The next look shows what this one would have.
            return
        for name, state in states.items():
            queue = queues.get(name)
            if queue is not None and queue.observe(state):
                self._counters.wakeups["clock"] += 1
