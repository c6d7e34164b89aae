"""Calls that wait for messages: `Prefer: wait`.

A call whose attempt finds nothing waits, without a database connection, until a wake-up hints that a message may be
visible. It carries no message: every attempt runs the call as any other, in its caller's role.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

import msgspec

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.batching import Executor
from pgmq_gateway.calls.call import Answer, Call
from pgmq_gateway.calls.catalog import Catalog
from pgmq_gateway.errors import GatewayError, NotSingular, PoolTimeout, Unavailable
from pgmq_gateway.http.exchange import ClientGone
from pgmq_gateway.limits.estimate import requested
from pgmq_gateway.limits.throttle import TooMany
from pgmq_gateway.queue_functions import queue_function
from pgmq_gateway.waiting.counters import Counters
from pgmq_gateway.waiting.returning import returns
from pgmq_gateway.waiting.sends import wakeups_of
from pgmq_gateway.waiting.waiter import Waiter
from pgmq_gateway.waiting.waiter_queue import Sources
from pgmq_gateway.waiting.waiters import Waiters


class WaitingExecutor:
    """An executor whose calls can wait for messages, and that wakes waiters after the calls that send some."""

    def __init__(
        self,
        executor: Executor,
        sources: Sources,
        counters: Counters,
        catalog: Callable[[], Catalog],
        max_waiting: int,
        note_settled: Callable[[Call, Answer], None],
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """
        catalog       the present one
        note_settled  called with each call and its answer
        """
        self._executor = executor
        self._clock, self._others = sources.clock, sources.wakeups
        self._counters = counters
        self._catalog = catalog
        self._note_settled = note_settled
        self.waiters = Waiters(counters, sources, max_waiting, wall_clock)
        sources.wakeups.on_wakeup = self._woken_elsewhere

    async def run(self) -> None:
        """Look for messages until cancelled."""
        await self._clock.run(self.waiters)

    async def execute(self, caller: Caller, call: Call) -> Answer:
        """Run a call, or wait until it finds messages.

        Raises what the executor raises, TooManyWaiting and ClientGone.
        """
        if not call.wait:
            return await self.execute_admitted(caller, call)
        with self.place():
            return await self.execute_admitted(caller, call)

    def place(self) -> AbstractContextManager[None]:
        """A place among the requests and streams that wait. Raises TooManyWaiting when it begins."""
        return self.waiters.place()

    async def execute_admitted(self, caller: Caller, call: Call) -> Answer:
        """Run a call of a caller that has a place, as `execute` does."""
        return await (self._wait(caller, call) if call.wait else self._execute(caller, call))

    def end(self) -> None:
        """End all waits, and those to come after their first attempt."""
        self.waiters.end()

    async def _execute(self, caller: Caller, call: Call) -> Answer:
        """Run a call, and tell others what it has done: also an attempt that finds nothing can move messages."""
        try:
            answer = await self._executor.execute(caller, call)
        except GatewayError as error:
            self.waiters.outage.failed(error)
            raise
        self.waiters.outage.end()
        self._note_settled(call, answer)
        # The wake-ups of a stored answer were announced when it was stored.
        if not answer.replayed and (self.waiters.queues or self._others.wanted_elsewhere):
            self._announce(call, answer)
        return answer

    async def _wait(self, caller: Caller, call: Call) -> Answer:
        waiter = self.waiters.enter(caller, call)
        try:
            answer = await self._attempts(caller, waiter)
        finally:
            self.waiters.leave(waiter)
        return msgspec.structs.replace(answer, waited=waiter.waited) if waiter.waited else answer

    async def _attempts(self, caller: Caller, waiter: Waiter) -> Answer:
        """Attempt the call in its turns until it finds messages or its time is up."""
        call = waiter.call
        while await waiter.turn():
            if call.abandoned():
                raise ClientGone
            if (answer := await self._attempt(caller, waiter)) is not None:
                if call.abandoned():
                    await self._return(caller, call, answer)
                    raise ClientGone
                return answer
        if call.abandoned():
            raise ClientGone
        return waiter.group.result(waiter)

    async def _return(self, caller: Caller, call: Call, answer: Answer) -> None:
        """Return the messages that a client no longer receives. If that fails, their leases end later.

        A client with an Idempotency-Key can get them by repeating the call.
        """
        if call.key is not None:
            return
        with suppress(GatewayError):
            for settling in returns(self._catalog(), call, answer):
                await self.execute(caller, settling)

    async def _attempt(self, caller: Caller, waiter: Waiter) -> Answer | None:
        """The answer, if it ends the wait."""
        call, group = waiter.call, waiter.group
        try:
            answer = await self._execute(caller, call)
        except NotSingular as error:
            if error.rows:
                raise
            self._missed(waiter, error)
        except TooMany as error:
            self._counters.attempts["error"] += 1
            group.postpone(waiter, error, error.retry_after)
        except PoolTimeout as error:
            self._counters.attempts["error"] += 1
            group.pause(waiter, error)
        except Unavailable as error:
            self._counters.attempts["error"] += 1
            group.hold(waiter, error)
        else:
            if answer.row_count or answer.replayed:
                self._found(waiter)
                # Calls with the same key get the same answer.
                more = call.key is not None or answer.row_count >= _requested(call)
                group.found(waiter, answer.row_count, more=more)
                return answer
            self._missed(waiter, answer)
        return None

    def _found(self, waiter: Waiter) -> None:
        self._counters.attempts["messages"] += 1
        if waiter.woken_at:
            self._counters.delivered(asyncio.get_running_loop().time() - waiter.woken_at)

    def _missed(self, waiter: Waiter, outcome: Answer | GatewayError) -> None:
        self._counters.attempts["empty"] += 1
        waiter.group.missed(waiter, outcome)

    def _announce(self, call: Call, answer: Answer) -> None:
        """Wake waiters, here and in other processes, for the messages that a call has made visible."""
        now = set[str]()
        for name, number, seconds in wakeups_of(call, answer):
            queue = self.waiters.queues.get(name)
            if not number:
                continue
            if not seconds:
                now.add(name)
            if queue is not None:
                self._counters.wakeups["process"] += 1
                queue.wake_later(seconds) if seconds else queue.wake(number, sent=True)
        self._others.sent(now)

    def _woken_elsewhere(self, name: str, throttled: bool) -> None:
        """Wake waiters for a message that another process, or SQL, has sent."""
        if (queue := self.waiters.queues.get(name)) is not None:
            queue.wake()
            if throttled:
                queue.look_again()


def _requested(call: Call) -> int:
    """The messages that a call reads at most, as far as that is known."""
    function = queue_function(call.function.schema, call.function.name)
    return 1 if function is None else requested(function, call)
