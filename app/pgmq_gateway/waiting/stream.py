"""Streams: messages as server-sent events, as many as the client has credit for."""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from time import time

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.call import Answer
from pgmq_gateway.errors import GatewayError, InternalError
from pgmq_gateway.http.exchange import ClientGone
from pgmq_gateway.http.response import Write
from pgmq_gateway.limits.throttle import Throttle, TooMany
from pgmq_gateway.settings.model import Settings
from pgmq_gateway.waiting import events
from pgmq_gateway.waiting.counters import Counters
from pgmq_gateway.waiting.credit import Credit, Settlements, extended
from pgmq_gateway.waiting.credit_checks import UNAVAILABLE, CreditChecks
from pgmq_gateway.waiting.events import Reason
from pgmq_gateway.waiting.executor import WaitingExecutor
from pgmq_gateway.waiting.expiry import expires_in
from pgmq_gateway.waiting.renewal import SHORTEST_LEASE_SECONDS, Renewal
from pgmq_gateway.waiting.stream_calls import StreamCalls

logger = logging.getLogger("pgmq_gateway")

HEARTBEAT_SECONDS = 15.0
# A slow client leases no more than this at a time beside what the kernel holds for it.
MAX_MESSAGES_PER_READ = 100
PAUSE_SECONDS = 1.0
# The greatest part by which a stream ends earlier, so that those of one moment do not all connect again in one.
MAX_SHORTENING = 0.1


class Streams:
    """All streams of a gateway."""

    def __init__(
        self,
        settings: Settings,
        executor: WaitingExecutor,
        settlements: Settlements,
        counters: Counters,
        limits: Throttle,
        available: Callable[[], bool],
    ) -> None:
        """available  whether the database can be reached"""
        self.executor = executor
        self.settlements = settlements
        self.limits = limits
        self.available = available
        self._verbose = settings.client_error_verbosity == "verbose"
        self.ended: Reason | None = None
        self._max_stream = settings.max_stream
        self._counters = counters
        self._open: set[Stream] = set()
        self.checks = CreditChecks(executor, settlements)

    async def stream(self, caller: Caller, calls: StreamCalls, credit: int, renewal: Renewal | None) -> "Stream":
        """A stream that has read for the first time. Raises what that read raises."""
        lifetime = self._max_stream * (1 - random.random() * MAX_SHORTENING)  # noqa: S311 no secret
        stream = Stream(self, caller, calls, credit, renewal, lifetime)
        self._open.add(stream)
        self._counters.streams += 1
        self.checks.add(stream)
        try:
            await stream.begin()
        except BaseException:
            await stream.close()
            raise
        return stream

    def body(self, error: Exception) -> bytes:
        """The body of an error that ends a stream."""
        if not isinstance(error, GatewayError):
            logger.error("a stream failed", exc_info=error)
            error = InternalError()
        return error.body(verbose=self._verbose)

    def close(self, stream: "Stream") -> None:
        """Forget a stream that has ended."""
        self._open.remove(stream)
        self.checks.remove(stream)
        self._counters.streams -= 1

    def end(self, reason: Reason) -> None:
        """End all streams, and each new one after its first read."""
        self.ended = reason
        for stream in self._open:
            stream.wake()


class Stream:
    """One stream: a loop that reads while there is credit, and writes heartbeats."""

    __slots__ = (
        "_failure",
        "_first",
        "_max_end",
        "_now",
        "_paused_until",
        "_read",
        "_renewal",
        "_sleep",
        "_streams",
        "_token_end",
        "_woken",
        "_written_at",
        "caller",
        "calls",
        "credit",
    )

    def __init__(
        self,
        streams: Streams,
        caller: Caller,
        calls: StreamCalls,
        credit: int,
        renewal: Renewal | None,
        lifetime: float,
    ) -> None:
        self._woken = False
        self._sleep: asyncio.Future[None] | None = None
        self._now = asyncio.get_running_loop().time
        self._streams = streams
        self.caller = caller
        self.calls = calls
        self.credit = Credit(credit, streams.settlements, self.wake)
        self._renewal = renewal
        now = self._now()
        self._max_end = now + lifetime
        self._token_end = now + expires_in(caller, time)
        self._read: asyncio.Task[Answer] | None = None
        self._paused_until = self._written_at = now
        self._failure: Exception | None = None
        self._first: Answer | None = None

    async def begin(self) -> None:
        """Read for the first time, before the response begins: what is refused becomes an ordinary response."""
        self._first = await self._execute_read(0)

    async def run(self, write: Write) -> None:
        """Write the events until the end of the stream. Raises ClientGone."""
        try:
            await self._write(write, events.RETRY)
            if self._first is not None:
                await self._deliver(write, self._first)
                self._first = None
            while (reason := self._reason) is None:
                await self._step(write)
            if self._read is not None:
                await asyncio.wait([self._read])
                await self._take_answer(write)
            await write(events.end(reason))
        except ClientGone:
            raise
        except Exception as error:
            self.calls.close()
            await write(events.error(self._streams.body(error)))

    async def close(self) -> None:
        """Leave nothing behind."""
        self.calls.close()
        self.credit.close()
        self._streams.close(self)
        if self._read is not None:
            await asyncio.gather(self._read, return_exceptions=True)

    def fail(self, error: Exception) -> None:
        """End the stream with an error."""
        self._failure = error
        self.wake()

    def wake(self) -> None:
        """Let the loop check its state."""
        self._woken = True
        if self._sleep is not None and not self._sleep.done():
            self._sleep.set_result(None)

    @property
    def _reason(self) -> Reason | None:
        if self._streams.ended is not None:
            return self._streams.ended
        if self.calls.followed():
            return Reason.PIPELINED
        now = self._now()
        if now >= self._token_end:
            return Reason.TOKEN_EXPIRED
        return Reason.MAX_DURATION if now >= self._max_end else None

    async def _step(self, write: Write) -> None:
        """Do what is due, and sleep until more is."""
        self._woken = False
        if self.calls.abandoned():
            raise ClientGone
        if self._failure is not None:
            raise self._failure
        if self._read is not None and self._read.done():
            await self._take_answer(write)
            return
        await self._keep_leases()
        if self._now() >= self._written_at + HEARTBEAT_SECONDS:
            await self._write(write, events.ALIVE if self._streams.available() else events.UNAVAILABLE)
        if self._read is None and self.credit.left > 0 and self._now() >= self._paused_until:
            self._start_read()
        if not self._woken:
            await self._rest()

    def _start_read(self) -> None:
        self._read = asyncio.ensure_future(self._execute_read(self._end - self._now()))
        self._read.add_done_callback(lambda _: self.wake())

    async def _execute_read(self, wait: float) -> Answer:
        most = self._streams.limits.largest_call(self.caller, MAX_MESSAGES_PER_READ)
        call = self.calls.read(min(self.credit.left, most), max(wait, 0))
        return await self._streams.executor.execute_admitted(self.caller, call)

    async def _take_answer(self, write: Write) -> None:
        """Deliver the messages of the read that has ended. Raises its error unless a later read may succeed."""
        read, self._read = self._read, None
        assert read is not None
        try:
            answer = read.result()
        except TooMany as error:
            self._paused_until = self._now() + error.retry_after
        except UNAVAILABLE:
            self._paused_until = self._now() + PAUSE_SECONDS
            await self._write(write, events.UNAVAILABLE)
        else:
            if not answer.row_count:
                # Reads wait for messages until the stream ends. Whatever ends one early must not make this loop spin.
                self._paused_until = self._now() + PAUSE_SECONDS
            await self._deliver(write, answer)

    async def _deliver(self, write: Write, answer: Answer) -> None:
        rows = events.read_rows(answer.body or "[]")
        if not rows:
            return
        for row, _ in rows:
            if self.credit.use(row.queue_name, row.receipt) and row.lease < SHORTEST_LEASE_SECONDS:
                # With leases of no time this loop would never rest.
                self._paused_until = self._now() + PAUSE_SECONDS
        if self.credit.left <= 0:
            self._streams.checks.hurry(self)
        if self._renewal is not None:
            self._renewal.delivered([row for row, _ in rows], self._now())
        await self._write(write, events.messages(rows))

    async def _keep_leases(self) -> None:
        """Extend the leases of a stream that renews them."""
        if self._renewal is None or self._now() < self._renewal.due:
            return
        receipts = self._renewal.take(self.credit.held.values(), self._now())
        for queue, all_of_queue in self.credit.receipts().items():
            if wanted := [receipt for receipt in all_of_queue if receipt in receipts]:
                with suppress(*UNAVAILABLE):
                    answer = await self._streams.executor.execute(self.caller, self.calls.extend(queue, wanted))
                    self._streams.settlements.keep(queue, wanted, extended(answer))

    async def _write(self, write: Write, part: bytes) -> None:
        await write(part)
        self._written_at = self._now()

    async def _rest(self) -> None:
        """Sleep until it is woken, or the next thing is due."""
        loop = asyncio.get_running_loop()
        self._sleep, timer = loop.create_future(), loop.call_at(self._next_at, self.wake)
        try:
            await self._sleep
        finally:
            self._sleep = None
            timer.cancel()

    @property
    def _next_at(self) -> float:
        """The time at which something is due, unless the read ends before."""
        times = [self._end, self._written_at + HEARTBEAT_SECONDS]
        if self._renewal is not None:
            times.append(self._renewal.due)
        if self._read is None and self.credit.left > 0:
            times.append(self._paused_until)
        return min(times)

    @property
    def _end(self) -> float:
        return min(self._token_end, self._max_end)
