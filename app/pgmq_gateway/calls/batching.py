"""The admission queue: waiting calls of equal callers share a transaction.

An idle gateway runs a call at once, in a transaction of its own. While other calls run, a call waits for the end of the
current turn of the event loop, so that calls that arrive together share a transaction: clients that receive the results
of one transaction send their next calls at the same time. While all connections are busy, calls wait; the next free
connection takes the oldest waiting call, with further calls of the same caller. Callers are never mixed: role, claims
and whatever a function sets for its transaction apply to all calls in it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Sequence
from typing import Protocol

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.call import Answer, Call
from pgmq_gateway.calls.execution import Database
from pgmq_gateway.errors import GatewayError, InternalError, PoolTimeout
from pgmq_gateway.http.request import ClientGone
from pgmq_gateway.queue_functions import queue_function
from pgmq_gateway.settings.model import Settings

logger = logging.getLogger("pgmq_gateway")

# More gain no speed, and all of them run again if the transaction fails.
MAX_CALLS_PER_TRANSACTION = 32
MAX_WAITING_PER_CONNECTION = 1000


class Executor(Protocol):
    """Runs a call in its caller's role: the database, or the admission queue before it."""

    async def execute(self, caller: Caller, call: Call) -> Answer: ...


class WaitingCall:
    """A call in the admission queue.

    future    its answer or its error
    deadline  the event loop's time at which it ends with PoolTimeout
    shares    whether it can share a transaction
    taken     whether a connection has taken it
    """

    __slots__ = ("call", "caller", "deadline", "future", "shares", "taken")

    def __init__(
        self, caller: Caller, call: Call, future: asyncio.Future[Answer], deadline: float, *, shares: bool
    ) -> None:
        self.caller = caller
        self.call = call
        self.future = future
        self.deadline = deadline
        self.shares = shares
        self.taken = False

    @property
    def pending(self) -> bool:
        """True if it still waits: neither taken nor finished."""
        return not self.taken and not self.future.done()

    def end(self, outcome: Answer | Exception) -> None:
        """Deliver its outcome, unless it has one or its task was cancelled."""
        if self.future.done():
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


class AdmissionQueue:
    """Runs as many transactions at a time as there are connections, and queues the calls beyond.

    waiting             calls that wait now
    timeouts            calls that ended with PoolTimeout
    transaction_sizes   the number of transactions by the number of their calls
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._database = database
        self._free = self._size = settings.db_pool
        self._wait_seconds = settings.db_pool_acquisition_timeout
        self._max_waiting = MAX_WAITING_PER_CONNECTION * settings.db_pool
        # Waiting calls in order of arrival, and those that can share by caller. Calls that are taken or ended stay in
        # them until they are reached.
        self._calls: deque[WaitingCall] = deque()
        self._sharing: dict[Caller, deque[WaitingCall]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._workers: set[asyncio.Task[None]] = set()
        # Whether waiting calls are dispatched at the end of this turn of the event loop.
        self._dispatch_scheduled = False
        self.waiting = 0
        self.timeouts = 0
        self.transaction_sizes = [0] * (MAX_CALLS_PER_TRANSACTION + 1)

    @property
    def busy(self) -> int:
        """Connections in use."""
        return self._size - self._free

    async def execute(self, caller: Caller, call: Call) -> Answer:
        """Run a call at once or after waiting. Raises what the database raises, PoolTimeout and ClientGone."""
        if self._free < self._size:
            if not self._dispatch_scheduled and self._free:
                self._dispatch_scheduled = True
                asyncio.get_running_loop().call_soon(self._end_turn)
            return await self._wait(caller, call)
        self._free -= 1
        self.transaction_sizes[1] += 1
        try:
            return await self._database.execute(caller, call)
        finally:
            self._free += 1
            self._dispatch()

    async def _wait(self, caller: Caller, call: Call) -> Answer:
        if self.waiting >= self._max_waiting:
            self.timeouts += 1
            raise PoolTimeout
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        deadline = loop.time() + self._wait_seconds
        waiting = WaitingCall(caller, call, future, deadline, shares=self._database.shares(call))
        self._calls.append(waiting)
        self._timer = self._timer or loop.call_at(deadline, self._expire)
        if waiting.shares:
            self._sharing.setdefault(caller, deque()).append(waiting)
        self.waiting += 1
        try:
            return await future
        finally:
            if not waiting.taken:
                self._remove(waiting)

    def _expire(self) -> None:
        """End calls past their deadline. Deadlines are in order of arrival, so one timer, for the oldest, is enough."""
        loop = asyncio.get_running_loop()
        for waiting in self._calls:
            if not waiting.pending:
                continue
            if waiting.deadline > loop.time():
                self._timer = loop.call_at(waiting.deadline, self._expire)
                return
            self.timeouts += 1
            waiting.end(PoolTimeout())
        self._timer = None

    def _end_turn(self) -> None:
        self._dispatch_scheduled = False
        self._dispatch()

    def _dispatch(self) -> None:
        while self._free and (group := self._take_next()):
            self._free -= 1
            worker = asyncio.create_task(self._work(group))
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def _work(self, group: Sequence[WaitingCall]) -> None:
        while group:
            await self._run(group)
            group = self._take_next()
        self._free += 1

    async def _run(self, group: Sequence[WaitingCall]) -> None:
        self.transaction_sizes[len(group)] += 1
        if len(group) > 1:
            await _end_with_error(group, self._run_together(group))
        for waiting in group:
            if not waiting.future.done():
                await _end_with_error([waiting], self._run_alone(waiting))

    async def _run_together(self, group: Sequence[WaitingCall]) -> None:
        outcomes = await self._database.execute_together(group[0].caller, [waiting.call for waiting in group])
        for waiting, outcome in zip(group, outcomes, strict=True):
            if outcome is not None:
                waiting.end(outcome)

    async def _run_alone(self, waiting: WaitingCall) -> None:
        waiting.end(await self._database.execute(waiting.caller, waiting.call))

    def _take_next(self) -> Sequence[WaitingCall]:
        """Take the oldest waiting call, with calls of its caller if it can share; empty without waiting calls."""
        while self._calls:
            oldest = self._calls.popleft()
            if self._take(oldest):
                return sorted(self._with_others(oldest), key=_order) if oldest.shares else [oldest]
        return ()

    def _with_others(self, oldest: WaitingCall) -> list[WaitingCall]:
        """A call that was taken, with the calls of its caller that share its transaction."""
        sharing = self._sharing[oldest.caller]
        group = [oldest]
        while sharing and len(group) < MAX_CALLS_PER_TRANSACTION:
            waiting = sharing.popleft()
            if self._take(waiting):
                group.append(waiting)
        if not sharing:
            del self._sharing[oldest.caller]
        return group

    def _take(self, waiting: WaitingCall) -> bool:
        """Take a call out of the queue to run it. False if it does not wait any more or its client has disconnected."""
        if not waiting.pending:
            return False
        if waiting.call.abandoned():
            waiting.end(ClientGone())
            return False
        waiting.taken = True
        self.waiting -= 1
        return True

    def _remove(self, waiting: WaitingCall) -> None:
        """Remove a call that ended while it waited."""
        self.waiting -= 1
        # No connection may come free for long, and the oldest calls end first.
        while self._calls and not self._calls[0].pending:
            self._calls.popleft()
        sharing = self._sharing.get(waiting.caller)
        if sharing is not None and waiting in sharing:
            sharing.remove(waiting)
            if not sharing:
                del self._sharing[waiting.caller]


def _order(waiting: WaitingCall) -> tuple[str, str]:
    """The order of calls in a shared transaction.

    By name: `delete` runs before `read`, which skips locked messages. Calls that lock a message run in the order of
    their bodies, so that two transactions cannot deadlock. Other calls keep their order of arrival.
    """
    function = waiting.call.function
    known = queue_function(function.schema, function.name)
    return function.name, (waiting.call.body or "") if known and known.locks_message else ""


async def _end_with_error(group: Sequence[WaitingCall], work: Awaitable[None]) -> None:
    """Await the work for a group of calls. Its exception becomes the outcome of the calls that have none yet."""
    error: GatewayError
    try:
        await work
        return
    except GatewayError as raised:
        error = raised
    except Exception:
        logger.exception("failed to run %d waiting calls", len(group))
        error = InternalError()
    for waiting in group:
        waiting.end(error)
