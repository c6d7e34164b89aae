"""The time for which a request waits for messages."""

from collections.abc import Collection
from dataclasses import replace

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.batching import Executor
from pgmq_gateway.calls.call import Answer, Call
from pgmq_gateway.calls.catalog import QUEUE_ARGUMENTS, Function
from pgmq_gateway.errors import StreamRolledBack
from pgmq_gateway.http.request import Request
from pgmq_gateway.postgrest.preferences import Preferences
from pgmq_gateway.settings.model import Settings

# A body stays in memory while its request waits. One that names queues is short.
MAX_BODY_BYTES = 16_384


class Waits:
    """The rules for `Prefer: wait` and `wait_seconds`, with the limit that the settings allow."""

    def __init__(self, settings: Settings) -> None:
        self._max_wait = settings.max_wait
        self._rollback = settings.rolls_back

    def applied(
        self, preferences: Preferences, function: Function, names: Collection[str], seconds: int | None = None
    ) -> Preferences:
        """Preferences with the time that the call waits; None where no messages would not mean an empty queue.

        names    those of the arguments; none if the client shapes the result
        seconds  the time in the query string, which precedes that of the header
        """
        wait = preferences.wait if seconds is None else seconds
        if wait is None:
            return preferences
        refused = (
            preferences.rolls_back(otherwise=self._rollback)
            or preferences.max_affected is not None
            or QUEUE_ARGUMENTS.keys().isdisjoint(names)
        )
        return replace(preferences, wait=None if refused or not function.can_wait else min(wait, self._max_wait))

    def check_stream(self, preferences: Preferences) -> None:
        """Raise StreamRolledBack where a stream would deliver the same messages for ever."""
        if preferences.rolls_back(otherwise=self._rollback):
            raise StreamRolledBack


def bounded(preferences: Preferences, request: Request) -> Preferences:
    """The same, without a wait if the body is long."""
    if preferences.wait is None or request.received <= MAX_BODY_BYTES:
        return preferences
    return replace(preferences, wait=None)


async def executed(executor: Executor, caller: Caller, request: Request, call: Call) -> Answer:
    """Run a call, which can wait. Raises what the executor raises, and WaitLimitReached."""
    if not call.wait:
        return await executor.execute(caller, call)
    with request.waiting():
        answer = await executor.execute(caller, call)
    request.timing.wait(answer.waited)
    return answer
