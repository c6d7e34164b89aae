"""The line before the database: calls that have to wait anyway share a transaction with others of their caller.

While nothing else runs, a call runs at once and alone. While others do, a call waits for the end of its turn of the
event loop, so that those that come together go together: answers to a group are followed by the next calls of those who
have been waiting for them. While all connections are busy, calls wait; one that comes free takes the call that has
waited longest, and with it others of the same caller. Callers are never mixed: what a function sets for its transaction
is there for the next call in it, and a role and its claims are set for all of it.
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

# Calls in one transaction; more make no difference to speed, and one that fails as a whole is more to repeat.
MOST_TOGETHER = 32
# Calls that may wait for each connection.
LONGEST_LINE = 1000


class Executor(Protocol):
    """What runs a call in its caller's role: the database itself, or the line before it."""

    async def execute(self, caller: Caller, call: Call) -> Answer: ...


class Waiting:
    """A call in the line.

    future   gets its answer or its error
    give_up  the event loop's time at which its wait ends
    shares   whether it may stand in one transaction with others
    taken    whether it has left the line to be run
    """

    __slots__ = ("call", "caller", "future", "give_up", "shares", "taken")

    def __init__(
        self, caller: Caller, call: Call, future: asyncio.Future[Answer], give_up: float, *, shares: bool
    ) -> None:
        self.caller = caller
        self.call = call
        self.future = future
        self.give_up = give_up
        self.shares = shares
        self.taken = False

    @property
    def wanted(self) -> bool:
        """Whether it is still in the line, and somebody waits for it; whose client has gone, leaves the line."""
        if not self.taken and self.call.abandoned():
            self.end(ClientGone())
        return not self.taken and not self.future.done()

    def end(self, outcome: Answer | Exception) -> None:
        """Give the outcome to who waits for it, if anybody still does."""
        if self.future.done():
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


class Line:
    """Takes calls as the database does, and hands it as many at a time as it has connections.

    waiting   calls in the line now
    timeouts  calls so far that nobody came for in time, or that found the line too long
    sizes     transactions so far, by the calls that they were begun for
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._database = database
        self._free = self._size = settings.db_pool
        self._patience = settings.db_pool_acquisition_timeout
        self._longest = LONGEST_LINE * settings.db_pool
        # All that wait, and those of them that may share by their caller; who has been taken is passed over.
        self._line: deque[Waiting] = deque()
        self._sharing: dict[Caller, deque[Waiting]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._workers: set[asyncio.Task[None]] = set()
        # Whether this turn of the event loop has calls that wait for its end only.
        self._turn = False
        self.waiting = 0
        self.timeouts = 0
        self.sizes = [0] * (MOST_TOGETHER + 1)

    @property
    def busy(self) -> int:
        """Connections that calls use now."""
        return self._size - self._free

    async def execute(self, caller: Caller, call: Call) -> Answer:
        """Run a call, now or when its turn comes. Raises what the database raises, PoolTimeout and ClientGone."""
        if self._free < self._size:
            if not self._turn and self._free:
                self._turn = True
                asyncio.get_running_loop().call_soon(self._end_turn)
            return await self._wait(caller, call)
        self._free -= 1
        self.sizes[1] += 1
        try:
            return await self._database.execute(caller, call)
        finally:
            self._freed()

    async def _wait(self, caller: Caller, call: Call) -> Answer:
        if self.waiting >= self._longest:
            self.timeouts += 1
            raise PoolTimeout
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        give_up = loop.time() + self._patience
        waiting = Waiting(caller, call, future, give_up, shares=self._database.shares(call))
        self._line.append(waiting)
        self._timer = self._timer or loop.call_at(give_up, self._give_up)
        if waiting.shares:
            self._sharing.setdefault(caller, deque()).append(waiting)
        self.waiting += 1
        try:
            return await future
        finally:
            if not waiting.taken:
                self._leave(waiting)

    def _give_up(self) -> None:
        """End the wait of those whose time is up: who came first. One timer does for all."""
        loop = asyncio.get_running_loop()
        for one in self._line:
            if one.taken or one.future.done():
                continue
            if one.give_up > loop.time():
                self._timer = loop.call_at(one.give_up, self._give_up)
                return
            self.timeouts += 1
            one.end(PoolTimeout())
        self._timer = None

    def _end_turn(self) -> None:
        self._turn = False
        self._dispatch()

    def _freed(self) -> None:
        """A connection has come free: for those who wait, or for who comes next."""
        self._free += 1
        self._dispatch()

    def _dispatch(self) -> None:
        while self._free and (group := self._next()):
            self._free -= 1
            worker = asyncio.create_task(self._work(group))
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def _work(self, group: Sequence[Waiting]) -> None:
        while group:
            await self._run(group)
            group = self._next()
        self._free += 1

    async def _run(self, group: Sequence[Waiting]) -> None:
        self.sizes[len(group)] += 1
        if len(group) > 1:
            await _ending(group, self._run_together(group))
        for one in group:
            if not one.future.done():
                await _ending([one], self._run_alone(one))

    async def _run_together(self, group: Sequence[Waiting]) -> None:
        outcomes = await self._database.execute_together(group[0].caller, [one.call for one in group])
        for one, outcome in zip(group, outcomes, strict=True):
            if outcome is not None:
                one.end(outcome)

    async def _run_alone(self, one: Waiting) -> None:
        one.end(await self._database.execute(one.caller, one.call))

    def _next(self) -> Sequence[Waiting]:
        """The call that has waited longest, with those of its caller that may share with it; none if nobody waits."""
        while self._line:
            first = self._line.popleft()
            if first.wanted:
                return sorted(self._with_mates(first), key=_order) if first.shares else [self._taken(first)]
        return ()

    def _with_mates(self, first: Waiting) -> list[Waiting]:
        mates = self._sharing[first.caller]
        group: list[Waiting] = []
        while mates and len(group) < MOST_TOGETHER:
            one = mates.popleft()
            if one.wanted:
                group.append(self._taken(one))
        if not mates:
            del self._sharing[first.caller]
        return group

    def _leave(self, one: Waiting) -> None:
        """Out of the line, without having been taken; the next who looks there passes it over."""
        self.waiting -= 1
        # Nobody may look there for long; who came first also gives up first.
        while self._line and (self._line[0].taken or self._line[0].future.done()):
            self._line.popleft()
        mates = self._sharing.get(one.caller)
        if mates is not None and one in mates:
            mates.remove(one)
            if not mates:
                del self._sharing[one.caller]

    def _taken(self, one: Waiting) -> Waiting:
        one.taken = True
        self.waiting -= 1
        return one


def _order(one: Waiting) -> tuple[str, str]:
    """The order inside a transaction, else that in which they came: `delete` before `read`, which passes over what is
    locked; and the same for all who delete the same messages, so that they do not wait for each other in a circle."""
    function = one.call.function
    known = queue_function(function.schema, function.name)
    return function.name, (one.call.body or "") if known and known.locks_message else ""


async def _ending(group: Sequence[Waiting], work: Awaitable[None]) -> None:
    """Do the work of a group of calls. Whatever it raises is the outcome of those that have none yet."""
    error: GatewayError
    try:
        await work
        return
    except GatewayError as raised:
        error = raised
    except Exception:
        logger.exception("failed to run %d waiting calls", len(group))
        error = InternalError()
    for one in group:
        one.end(error)
