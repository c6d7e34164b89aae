"""Rate limits on messages: those that a call has stored or returned, whatever of them its response shows.

An estimate is charged before the call runs, so that calls at the same time cannot exceed the limit together.
"""

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.batching import Executor
from pgmq_gateway.calls.call import Answer, Call
from pgmq_gateway.errors import ConnectionLost, GatewayError
from pgmq_gateway.limits.estimate import requested
from pgmq_gateway.limits.throttle import Throttle
from pgmq_gateway.queue_functions import Kind, queue_function

MESSAGES = "messages"


class Metered:
    """An executor that enforces rate limits on messages."""

    def __init__(self, throttle: Throttle, executor: Executor) -> None:
        self._throttle = throttle
        self._executor = executor

    async def execute(self, caller: Caller, call: Call) -> Answer:
        """Run a call. Raises what the executor raises, TooMany and TooManyAtOnce.

        The charge remains if the call may have been executed: after ConnectionLost and after ClientGone.
        """
        function = queue_function(call.function.schema, call.function.name)
        if function is None or function.kind is Kind.SETTLE:
            return await self._executor.execute(caller, call)
        charge, estimate = self._throttle.of_messages(caller), requested(function, call)
        charge.take(estimate, MESSAGES)
        try:
            answer = await self._executor.execute(caller, call)
        except ConnectionLost:
            raise
        except GatewayError:
            charge.settle(-estimate)
            raise
        if answer.replayed:
            charge.settle(-estimate)
            return answer
        charge.settle((answer.row_count if answer.returned is None else answer.returned) - estimate)
        return answer
