"""The admission queue: which calls run now, and which of them together.

An idle gateway runs a call at once. A call that cannot share a transaction takes a free connection at once. Others wait
for the end of the current turn of the event loop while calls run, so that calls that arrive together share a
transaction: clients that receive the results of one transaction send their next calls at the same time. While all
connections are busy, calls wait. The next free connection takes the call of the flow whose turn it is (`fairness.py`),
with waiting calls of its group (`grouping.py`) if these can share a transaction (`sharing.py`), or else with calls of
other callers, each in a transaction of its own, if these can share a round trip.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Iterator, Sequence
from itertools import islice
from time import monotonic
from typing import NamedTuple, Protocol

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.call import Answer, Call
from pgmq_gateway.calls.companions import Companions
from pgmq_gateway.calls.execution import Database, Stale
from pgmq_gateway.calls.fairness import FairQueue
from pgmq_gateway.calls.grouping import Group, place_of
from pgmq_gateway.calls.sharing import Judgement, Sharing
from pgmq_gateway.calls.waiting import WaitingCall
from pgmq_gateway.errors import CommitInterrupted, GatewayError, InternalError
from pgmq_gateway.settings.model import Settings

logger = logging.getLogger("pgmq_gateway")

# More gain no speed, and all of them run again if the transaction fails.
MAX_CALLS_PER_TRANSACTION = 64
MAX_WAITING_PER_CONNECTION = 1000


class Executor(Protocol):
    """Runs a call in its caller's role: the database, or the admission queue before it."""

    async def execute(self, caller: Caller, call: Call) -> Answer: ...


class Turn(NamedTuple):
    """Calls that run next on one connection.

    judgement  that of several calls; None: it is one call
    group      that of calls that share a transaction; None: each has its own
    """

    calls: Sequence[WaitingCall]
    judgement: Judgement | None = None
    group: Group | None = None


class AdmissionQueue:
    """Runs as many transactions at a time as there are connections, and queues the calls beyond.

    transaction_sizes   the number of transactions by the number of their calls
    """

    def __init__(self, settings: Settings, database: Database, sharing: Sharing) -> None:
        self._database = database
        self.sharing = sharing
        self._free = self._size = settings.db_pool
        self._wait_seconds = settings.db_pool_acquisition_timeout
        self._fair = FairQueue(self._size, MAX_WAITING_PER_CONNECTION * self._size, monotonic)
        # Waiting calls in order of their deadlines. Calls that are taken or ended stay until they are reached.
        self._calls: deque[WaitingCall] = deque()
        self._companions = Companions()
        self._timer: asyncio.TimerHandle | None = None
        self._limit_timer: asyncio.TimerHandle | None = None
        self._workers: set[asyncio.Task[None]] = set()
        # True if waiting calls are dispatched at the end of this turn of the event loop.
        self._dispatch_scheduled = False
        self.transaction_sizes = [0] * (MAX_CALLS_PER_TRANSACTION + 1)

    @property
    def busy(self) -> int:
        """Connections in use."""
        return self._size - self._free

    @property
    def waiting(self) -> int:
        """Calls that wait now."""
        return self._fair.waiting

    async def execute(self, caller: Caller, call: Call) -> Answer:
        """Run a call at once or after waiting. Raises what the database raises, and ClientGone."""
        queue, group, message_id = place_of(caller, call, shares=self._database.shares(call))
        flow, lane = self._fair.flow(caller if call.flow is None else call.flow), self._fair.lane(queue)
        waiting = WaitingCall(caller, call, flow, lane, group, message_id)
        at_once = self._free and (group is None or self._free == self._size)
        if at_once and self._fair.can_start(flow, lane):
            return await self._run_at_once(waiting)
        return await self._wait(waiting)

    async def _run_at_once(self, waiting: WaitingCall) -> Answer:
        self._free -= 1
        self._fair.start([waiting])
        self.transaction_sizes[1] += 1
        began = monotonic()
        try:
            return await self._execute(waiting)
        finally:
            self._fair.end([waiting], monotonic() - began)
            self._free += 1
            self._dispatch()

    async def _wait(self, waiting: WaitingCall) -> Answer:
        if not self._fair.has_place(waiting.flow):
            self._fair.forget(waiting.flow, waiting.lane)
            raise await self._database.pool.wait_ended()
        waiting.future = asyncio.get_running_loop().create_future()
        self._add(waiting)
        if waiting.group is not None:
            self._companions.add(waiting, waiting.group)
        if self._free:
            self._dispatch_soon()
        try:
            return await self._outcome(waiting)
        except TimeoutError:
            raise await self._database.pool.wait_ended() from None

    async def _outcome(self, waiting: WaitingCall) -> Answer:
        """The answer to a call. Raises its error, and TimeoutError after its deadline."""
        try:
            return await waiting.future
        finally:
            if not waiting.taken:
                self._remove(waiting)

    def _add(self, waiting: WaitingCall, *, first: bool = False) -> None:
        waiting.deadline = monotonic() + self._wait_seconds
        self._calls.append(waiting)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(waiting.deadline, self._expire)
        self._fair.add(waiting, first=first)

    def _expire(self) -> None:
        """End calls past their deadline. Deadlines are in order, so one timer, for the first, is enough."""
        loop = asyncio.get_running_loop()
        for waiting in self._calls:
            if not waiting.pending:
                continue
            if waiting.deadline > loop.time():
                self._timer = loop.call_at(waiting.deadline, self._expire)
                return
            waiting.end(TimeoutError())
        self._timer = None

    def _dispatch_soon(self) -> None:
        """Dispatch waiting calls at the end of this turn of the event loop."""
        if not self._dispatch_scheduled:
            self._dispatch_scheduled = True
            asyncio.get_running_loop().call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._dispatch_scheduled = False
        self._dispatch()

    def _dispatch(self) -> None:
        while self._free and (turn := self._next_turn()):
            self._free -= 1
            worker = asyncio.create_task(self._work(turn))
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def _work(self, turn: Turn | None) -> None:
        while turn:
            await self._run(turn)
            turn = self._next_turn()
            if self._free and self._fair.ready:
                # Two limits may have ended, but this connection runs one turn.
                self._dispatch_soon()
        self._free += 1

    def _next_turn(self) -> Turn | None:
        """The calls that run next, started; None if none waits or all wait for a limit."""
        turn = self._take_next()
        if turn is not None:
            self._fair.start(turn.calls)
        elif self._limit_timer is None and (limited_until := self._fair.limited_until) is not None:
            self._limit_timer = asyncio.get_running_loop().call_at(limited_until, self._reconsider)
        return turn

    def _reconsider(self) -> None:
        self._limit_timer = None
        self._fair.reconsider()
        self._dispatch()

    def _take_next(self) -> Turn | None:
        first = self._fair.take()
        while self._calls and not self._calls[0].pending:
            self._calls.popleft()
        if first is None:
            return None
        group = first.group
        if group is None:
            return Turn([first])
        of_group = self._companions.of_group(group)
        takes_turns = self._database.takes_turns and not group.keyed
        if not of_group and not (takes_turns and self._companions.of_crowd(group.crowd)):
            return Turn([first])
        judgement = self.sharing.judgement(group.queue, group.function, first.flow.key)
        if judgement is None:
            return Turn([first])
        if not of_group:
            return Turn(self._with(first, self._companions.take_crowd(group.crowd)), judgement)
        calls = self._with(first, self._companions.take_group(group))
        # The order in which messages are locked. Others keep their order of arrival.
        calls.sort(key=lambda waiting: waiting.message_id)
        return Turn(calls, judgement, group)

    def _with(self, first: WaitingCall, others: Iterator[WaitingCall]) -> list[WaitingCall]:
        """The first call, and as many others as may run together with it, taken."""
        calls = [first]
        for call in islice(others, MAX_CALLS_PER_TRANSACTION - 1):
            self._fair.took(call)
            calls.append(call)
        return calls

    async def _run(self, turn: Turn) -> None:
        calls = turn.calls
        if turn.group is None:
            self.transaction_sizes[1] += len(calls)
        else:
            self.transaction_sizes[len(calls)] += 1
        began = monotonic()
        if turn.judgement is None:
            await _end_with_error(calls, self._run_alone(calls[0]))
        else:
            await _end_with_error(calls, self._run_together(calls, turn.judgement, turn.group))
        seconds = monotonic() - began
        # Before the end is noted, which forgets flows without calls.
        self._run_again([waiting for waiting in calls if not waiting.future.done()])
        self._fair.end(calls, seconds)

    async def _run_alone(self, waiting: WaitingCall) -> None:
        waiting.end(await self._execute(waiting))

    async def _execute(self, waiting: WaitingCall) -> Answer:
        """Run a call in a transaction of its own.

        Beside other callers it takes a judgement along, so that the connection need not be cleaned for the next one.
        """
        group, judgement = waiting.group, None
        if group is not None and self._fair.beside_others(waiting.flow):
            judgement = self.sharing.harmless(group.queue, group.function, waiting.flow.key)
        answer = await self._database.execute(waiting.caller, waiting.call, judgement)
        if group is not None and judgement is not None and answer.clean is False:
            self.sharing.was_stale(group.queue, group.function, judgement)
        return answer

    async def _run_together(
        self, waiting_calls: Sequence[WaitingCall], judgement: Judgement, group: Group | None
    ) -> None:
        queue, function = judgement.queue_name, judgement.function_name
        calls = [waiting.call for waiting in waiting_calls]
        try:
            if group is None:
                callers = [waiting.caller for waiting in waiting_calls]
                shared = await self._database.execute_in_turn(callers, calls, judgement)
            else:
                shared = await self._database.execute_together(group, calls, judgement)
        except Stale:
            self.sharing.was_stale(queue, function, judgement)
            return
        except CommitInterrupted:
            if group is None:
                # A caller could end those of others again and again; alone it cannot.
                self.sharing.took(queue, function, math.inf)
            raise
        if shared.stale:
            self.sharing.was_stale(queue, function, judgement)
        if shared.deadlock:
            self.sharing.deadlocked(queue, function)
        else:
            self.sharing.took(queue, function, shared.seconds / waiting_calls[0].lane.running)
        for waiting, outcome in zip(waiting_calls, shared.outcomes, strict=True):
            if outcome is not None:
                waiting.end(outcome)

    def _run_again(self, calls: Sequence[WaitingCall]) -> None:
        """Let calls whose transaction had to be undone wait once more, before others, to run alone."""
        for waiting in reversed(calls):
            waiting.group = None
            waiting.taken = False
            self._add(waiting, first=True)

    def _remove(self, waiting: WaitingCall) -> None:
        """Remove a call that ended while it waited."""
        self._fair.remove(waiting)
        # No connection may come free for long, and the oldest calls end first.
        while self._calls and not self._calls[0].pending:
            self._calls.popleft()
        if waiting.group is not None:
            self._companions.of_group(waiting.group)


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
