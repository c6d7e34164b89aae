"""Looks for messages of streams that were settled in another process, or whose leases have ended."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

import msgspec

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.batching import Executor
from pgmq_gateway.errors import ConnectionLost, PoolTimeout, Unavailable
from pgmq_gateway.http.request import RequestSettings
from pgmq_gateway.waiting.credit import Credit, Settlements
from pgmq_gateway.waiting.stream_calls import StreamCalls

# After the credit was used up; doubled with each check that returns none.
FIRST_CHECK_SECONDS, LONGEST_PAUSE_SECONDS = 0.025, 1.0
# Of streams that have less than half of their credit left. Those of one round do not hold up the ones without credit.
OTHERS_SECONDS = 5.0
MAX_OTHERS = 100
# Between looks for clients that have disconnected.
CLIENTS_SECONDS = 1.0
# A check that takes longer goes on beside the others, but no further one of its queue begins meanwhile.
CHECK_SECONDS = 1.0
# Checks of up to a third of a second use at most a quarter of one connection's time.
PAUSE_PER_SECOND_OF_WORK = 3
MAX_RECEIPTS = 1000
# Errors after which the check is repeated.
UNAVAILABLE = (Unavailable, ConnectionLost, PoolTimeout)


class Stream(Protocol):
    """The part of a stream that a check needs."""

    caller: Caller
    calls: StreamCalls
    credit: Credit

    def wake(self) -> None: ...

    def fail(self, error: Exception) -> None: ...


# The streams of a caller with equal headers, whom policies treat alike, that have messages of a queue.
Key = tuple[Caller, RequestSettings, str]


class Turn(NamedTuple):
    """The time at which a stream is checked.

    pause  the time since the check before, if the stream has no credit left, otherwise 0
    """

    at: float
    pause: float

    def following(self, left: int, now: float) -> "Turn":
        """The turn after this one, of a stream with so much credit left."""
        if left > 0:
            return Turn(now + OTHERS_SECONDS, 0.0)
        pause = min(max(2 * self.pause, FIRST_CHECK_SECONDS), LONGEST_PAUSE_SECONDS)
        return Turn(now + pause, pause)


class CreditChecks:
    """Returns the credit of streams: one call at a time, for all streams of a caller and a queue.

    Streams do not ask one by one: a thousand of them would make a thousand calls a second.
    """

    def __init__(self, executor: Executor, settlements: Settlements) -> None:
        self._executor = executor
        self._settlements = settlements
        self._turns: dict[Stream, Turn] = {}
        self._hurried = asyncio.Event()
        # The checks that take long, by queue.
        self._slow: dict[str, asyncio.Task[None]] = {}
        self._clients_timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def add(self, stream: Stream) -> None:
        """Check a stream until it is removed."""
        self._turns[stream] = Turn(_now() + OTHERS_SECONDS, 0.0)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        if self._clients_timer is None:
            self._wake_abandoned_later()

    def remove(self, stream: Stream) -> None:
        """Check a stream no more."""
        del self._turns[stream]

    def hurry(self, stream: Stream) -> None:
        """Check a stream soon: its credit is used up."""
        self._turns[stream] = Turn(_now() + FIRST_CHECK_SECONDS, FIRST_CHECK_SECONDS)
        self._hurried.set()

    async def _run(self) -> None:
        try:
            while self._turns:
                await self._rest()
                await self._check_due()
        finally:
            self._task = None

    async def _rest(self) -> None:
        """Sleep until a stream is due. At least for a while: each round looks at all turns."""
        await asyncio.sleep(FIRST_CHECK_SECONDS)
        with suppress(TimeoutError):
            hurried = [turn.at for turn in self._turns.values() if turn.pause]
            async with asyncio.timeout_at(min([_now() + LONGEST_PAUSE_SECONDS, *hurried])):
                await self._hurried.wait()
        self._hurried.clear()

    def _wake_abandoned_later(self) -> None:
        self._clients_timer = asyncio.get_running_loop().call_later(CLIENTS_SECONDS, self._wake_abandoned)

    def _wake_abandoned(self) -> None:
        """Let streams end that have lost their client."""
        self._clients_timer = None
        for stream in self._turns:
            if stream.calls.abandoned() or stream.calls.followed():
                stream.wake()
        if self._turns:
            self._wake_abandoned_later()

    async def _check_due(self) -> None:
        due = self._due()
        for (caller, _, queue), group in _grouped(due).items():
            if queue in self._slow:
                continue
            began = _now()
            check = asyncio.create_task(self._check(caller, queue, group))
            await asyncio.wait([check], timeout=CHECK_SECONDS)
            if not check.done():
                self._let_go_on(check, queue, group)
            await asyncio.sleep(min(PAUSE_PER_SECOND_OF_WORK * (_now() - began), LONGEST_PAUSE_SECONDS))
        for stream, turn in due.items():
            # Unless it has ended, or used up what was returned.
            if self._turns.get(stream) is turn:
                self._turns[stream] = turn.following(stream.credit.left, _now())

    def _let_go_on(self, check: "asyncio.Task[None]", queue: str, streams: Iterable[Stream]) -> None:
        """Wait no longer for a check. Next time, the other streams of its queue come first."""
        self._slow[queue] = check
        check.add_done_callback(lambda _: self._slow.pop(queue))
        for stream in streams:
            if (turn := self._turns.pop(stream, None)) is not None:
                self._turns[stream] = turn

    def _due(self) -> Mapping[Stream, Turn]:
        now = _now()
        turns = [(stream, turn) for stream, turn in self._turns.items() if turn.at <= now]
        others = [(stream, turn) for stream, turn in turns if not turn.pause and stream.credit.is_low]
        return dict([(stream, turn) for stream, turn in turns if turn.pause] + others[:MAX_OTHERS])

    async def _check(self, caller: Caller, queue: str, streams: Sequence[Stream]) -> None:
        """Give back what is settled. Another error than of an unavailable database ends the streams."""
        receipts = [receipt for stream in streams for receipt in stream.credit.receipts().get(queue, ())]
        calls = streams[0].calls
        try:
            for start in range(0, len(receipts), MAX_RECEIPTS):
                asked = receipts[start : start + MAX_RECEIPTS]
                answer = await self._executor.execute(caller, calls.unsettled(queue, asked))
                self._settlements.keep(queue, asked, msgspec.json.decode(answer.body or "[]", type=list[str]))
        except UNAVAILABLE:
            return
        except Exception as error:
            for stream in streams:
                stream.fail(error)


def _grouped(streams: Iterable[Stream]) -> Mapping[Key, list[Stream]]:
    groups: defaultdict[Key, list[Stream]] = defaultdict(list)
    for stream in streams:
        for queue in stream.credit.receipts():
            groups[stream.caller, stream.calls.request, queue].append(stream)
    return groups


def _now() -> float:
    return asyncio.get_running_loop().time()
