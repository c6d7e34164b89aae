"""Rate limits on messages. Sends are charged before they run, reads by the rows they return."""

import msgspec

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.batching import Executor
from pgmq_gateway.calls.call import Answer, Call
from pgmq_gateway.errors import ConnectionLost, GatewayError
from pgmq_gateway.limits.throttle import Throttle
from pgmq_gateway.queue_functions import Kind, QueueFunction, queue_function

MESSAGES = "messages"


class Metered:
    """An executor that enforces rate limits on messages."""

    def __init__(self, throttle: Throttle, executor: Executor) -> None:
        self._throttle = throttle
        self._executor = executor

    async def execute(self, caller: Caller, call: Call) -> Answer:
        """Run a call. Raises what the executor raises, TooMany and TooManyAtOnce."""
        function = queue_function(call.function.schema, call.function.name)
        if function is None or function.kind is Kind.SETTLE:
            return await self._executor.execute(caller, call)
        charge, estimate = self._throttle.of_messages(caller), _estimate(function, call)
        charge.take(estimate, MESSAGES)
        try:
            answer = await self._executor.execute(caller, call)
        except ConnectionLost:
            # The call may have been executed, so its charge remains.
            raise
        except GatewayError:
            charge.settle(-estimate)
            raise
        # A client can limit the rows of a response below the number of messages sent.
        actual = answer.row_count if function.kind is Kind.RECEIVE else max(answer.row_count, estimate)
        charge.settle(actual - estimate)
        return answer


def _estimate(function: QueueFunction, call: Call) -> int:
    """At least one. For a body that cannot be decoded here, Postgres raises an error or the result is charged."""
    try:
        return max(1, function.requested(call.body or ""))
    except (msgspec.DecodeError, RecursionError):
        return 1
