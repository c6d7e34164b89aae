"""The number of matching messages, counted up to a limit."""

import time
from collections.abc import Mapping

from pgmq_gateway.dashboard.api import Problem
from pgmq_gateway.dashboard.queue.client import Queue

MAX_COUNTED = 10_000
# Pause between two counts of one filter: this many times the duration of the latest one.
PAUSE_FACTOR = 20.0


class Matches:
    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._filter: Mapping[str, object] | None = None
        self._next_count = 0.0
        self._number: int | None = None

    async def load(self, filter: Mapping[str, object]) -> None:
        started = time.monotonic()
        if filter == self._filter and started < self._next_count:
            return
        answer = await self._queue.count(filter, MAX_COUNTED + 1)
        ended = time.monotonic()
        self._filter, self._next_count = filter, ended + (ended - started) * PAUSE_FACTOR
        self._number = None if isinstance(answer, Problem) else answer

    def text(self, at_least: int) -> str:
        """The number; with a + when there are more. `at_least`: of the messages that a page shows meanwhile."""
        number = max(self._number or 0, at_least)
        return f"{MAX_COUNTED:,}+" if number > MAX_COUNTED else f"{number:,}"
