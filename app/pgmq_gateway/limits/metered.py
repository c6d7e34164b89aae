"""Counts the messages of calls against their caller's limits: sends before they run, reads by the rows they return."""

import msgspec

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.batching import Executor
from pgmq_gateway.calls.call import Answer, Call
from pgmq_gateway.errors import ConnectionLost, GatewayError
from pgmq_gateway.limits.throttle import Throttle
from pgmq_gateway.queue_functions import Kind, QueueFunction, queue_function

MESSAGES = "messages"


class Metered:
    """An executor for gateways with limits on messages."""

    def __init__(self, limits: Throttle, executor: Executor) -> None:
        self._limits = limits
        self._executor = executor

    async def execute(self, caller: Caller, call: Call) -> Answer:
        """Run a call. Raises what the executor raises, TooMany and TooManyAtOnce."""
        function = queue_function(call.function.schema, call.function.name)
        if function is None or function.kind is Kind.SETTLE:
            return await self._executor.execute(caller, call)
        drawn, foreseen = self._limits.of_messages(caller), _foreseen(function, call)
        drawn.take(foreseen, MESSAGES)
        try:
            answer = await self._executor.execute(caller, call)
        except ConnectionLost:
            # It may have been executed.
            raise
        except GatewayError:
            drawn.settle(-foreseen, MESSAGES)
            raise
        # A caller may ask for fewer rows in the answer than it has sent messages.
        found = answer.row_count if function.kind is Kind.RECEIVE else max(answer.row_count, foreseen)
        drawn.settle(found - foreseen, MESSAGES)
        return answer


def _foreseen(function: QueueFunction, call: Call) -> int:
    """At least one: Postgres refuses a body that cannot be read here, or its result is counted."""
    try:
        return max(1, function.requested(call.body or ""))
    except (msgspec.DecodeError, RecursionError):
        return 1
