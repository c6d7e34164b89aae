"""All waiters of this process."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.call import Call
from pgmq_gateway.calls.catalog import Function
from pgmq_gateway.calls.idempotency import IdempotencyKey
from pgmq_gateway.calls.statement import Statement
from pgmq_gateway.errors import TooManyWaiting
from pgmq_gateway.http.request import RequestSettings
from pgmq_gateway.postgrest.media import Representation
from pgmq_gateway.queue_functions import queue_function
from pgmq_gateway.waiting.counters import Counters
from pgmq_gateway.waiting.expiry import expires_in
from pgmq_gateway.waiting.outage import Outage
from pgmq_gateway.waiting.queue_names import queue_names
from pgmq_gateway.waiting.timers import Timers
from pgmq_gateway.waiting.waiter import Waiter
from pgmq_gateway.waiting.waiter_group import WaiterGroup
from pgmq_gateway.waiting.waiter_queue import Sources, WaiterQueue


class GroupKey(NamedTuple):
    """Equal for the calls of a waiter group. One with an Idempotency-Key is alone: its answer may be stored.

    request  its headers and path; None if nothing reads them
    """

    caller: Caller
    request: RequestSettings | None
    function: Function
    statement: Statement
    representation: Representation
    body: str | None
    key: IdempotencyKey | None


class Waiters:
    """The waiters with their groups and waiter queues, which exist while they have waiters.

    queues  by the name of the message queue, in lower case
    outage  of the database
    """

    def __init__(self, counters: Counters, sources: Sources, max_waiting: int, wall_clock: Callable[[], float]) -> None:
        self.queues: dict[str, WaiterQueue] = {}
        self._counters = counters
        self._sources = sources
        self._max_waiting = max_waiting
        self._wall_clock = wall_clock
        self._groups: dict[GroupKey, WaiterGroup] = {}
        self._timers: dict[Waiter, asyncio.TimerHandle] = {}
        self.outage = Outage()
        self._ended = False

    @contextmanager
    def place(self) -> Iterator[None]:
        """The place of a request or stream among those that wait. Raises TooManyWaiting."""
        if self._counters.waiting >= self._max_waiting:
            raise TooManyWaiting(self._max_waiting)
        self._counters.waiting += 1
        try:
            yield
        finally:
            self._counters.waiting -= 1

    def enter(self, caller: Caller, call: Call) -> Waiter:
        """Add a waiter for a call, until its time or its token ends."""
        names, loop = queue_names(call), asyncio.get_running_loop()
        request = call.request if self._reads_request(call, names) else None
        key = GroupKey(caller, request, call.function, call.statement, call.representation, call.body, call.key)
        group = self._groups.get(key)
        if group is None:
            queues = [self._queue(name, loop) for name in names]
            group = self._groups[key] = WaiterGroup(key, queues, loop, self.outage)
            for queue in group.queues:
                queue.add(group)
        waiter = group.enter(call)
        seconds = 0.0 if self._ended else min(call.wait, expires_in(caller, self._wall_clock))
        self._timers[waiter] = loop.call_later(max(seconds, 0.0), waiter.end)
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Remove a waiter, and its group and waiter queues if they are empty."""
        self._timers.pop(waiter).cancel()
        group = waiter.group
        group.leave(waiter)
        if not group.empty:
            return
        del self._groups[group.key]
        group.close()
        for queue in group.queues:
            queue.remove(group)
            if not queue.groups:
                del self.queues[queue.name]
                queue.close()

    def end(self) -> None:
        """End the time of all waiters, and of those to come."""
        self._ended = True
        for waiter in self._timers:
            waiter.end()

    def end_by_client(self) -> None:
        """End the time of waiters whose client has disconnected, or waits for the response to a further request."""
        for waiter in self._timers:
            if waiter.call.abandoned() or waiter.call.followed():
                waiter.end()

    def _reads_request(self, call: Call, names: Iterable[str]) -> bool:
        """False if it is known that neither the function nor the pre-request nor a policy reads headers or path."""
        if queue_function(call.function.schema, call.function.name) is None:
            return True
        return any(name not in self.queues or self.queues[name].reads_requests for name in names)

    def _queue(self, name: str, timers: Timers) -> WaiterQueue:
        queue = self.queues.get(name)
        if queue is None:
            queue = self.queues[name] = WaiterQueue(name, timers, self._sources)
        return queue
