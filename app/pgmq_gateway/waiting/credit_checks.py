"""Looks for messages of streams that were settled in another process, or whose leases have ended."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from typing import Protocol

import msgspec

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.batching import Executor
from pgmq_gateway.errors import ConnectionLost, PoolTimeout, Unavailable
from pgmq_gateway.http.request import RequestSettings
from pgmq_gateway.waiting.credit import Credit, Settlements
from pgmq_gateway.waiting.stream_calls import StreamCalls

CHECK_SECONDS = 1.0
# The checks of all streams use at most a quarter of one connection's time.
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


class CreditChecks:
    """Returns the credit of streams that have none left: one call at a time, for all streams of a caller and a queue.

    Streams do not ask one by one: a thousand of them would make a thousand calls a second.
    """

    def __init__(self, executor: Executor, settlements: Settlements) -> None:
        self._executor = executor
        self._settlements = settlements
        self._task: asyncio.Task[None] | None = None

    def watch(self, streams: Set[Stream]) -> None:
        """Check these streams until there are none any more."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(streams))

    async def _run(self, streams: Set[Stream]) -> None:
        now = asyncio.get_running_loop().time
        try:
            while streams:
                await asyncio.sleep(CHECK_SECONDS)
                for stream in streams:
                    if stream.calls.abandoned() or stream.calls.followed():
                        stream.wake()
                for (caller, _, queue), group in _without_credit(streams).items():
                    began = now()
                    await self._check(caller, queue, group)
                    await asyncio.sleep(PAUSE_PER_SECOND_OF_WORK * (now() - began))
        finally:
            self._task = None

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


def _without_credit(streams: Set[Stream]) -> Mapping[Key, list[Stream]]:
    found: defaultdict[Key, list[Stream]] = defaultdict(list)
    for stream in streams:
        if stream.credit.left <= 0:
            for queue in stream.credit.receipts():
                found[stream.caller, stream.calls.request, queue].append(stream)
    return found
