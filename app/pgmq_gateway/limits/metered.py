"""Counts the messages of calls where limits do: what sends before it runs, what reads by what it has found."""

from collections.abc import Callable, Mapping

import msgspec

from pgmq_gateway.api.queues import SCHEMA
from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.batching import Executor
from pgmq_gateway.calls.call import Answer, Call
from pgmq_gateway.errors import ConnectionLost, GatewayError
from pgmq_gateway.limits.throttle import Throttle

MESSAGES = "messages"


class _Sent(msgspec.Struct):
    messages: list[msgspec.Raw]


class _Wanted(msgspec.Struct):
    n: int


_sent = msgspec.json.Decoder(_Sent)
_wanted = msgspec.json.Decoder(_Wanted)


def _elements(body: str) -> int:
    return len(_sent.decode(body).messages)


def _rows(body: str) -> int:
    return _wanted.decode(body).n


def _one(_: str) -> int:
    return 1


# How many messages a call may send, or read.
SENDING: Mapping[str, Callable[[str], int]] = {"send": _one, "send_batch": _elements}
READING: Mapping[str, Callable[[str], int]] = {"read": _rows, "pop": _one}
COUNTED = {**SENDING, **READING}


class Metered:
    """What runs calls, for callers whose messages are counted."""

    def __init__(self, limits: Throttle, executor: Executor) -> None:
        self._limits = limits
        self._executor = executor

    async def execute(self, caller: Caller, call: Call) -> Answer:
        """Run a call. Raises what the executor raises, TooMany and TooManyAtOnce."""
        function = call.function
        if function.schema != SCHEMA or function.name not in COUNTED:
            return await self._executor.execute(caller, call)
        drawn, foreseen = self._limits.of_messages(caller), _foreseen(call)
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
        found = answer.row_count if function.name in READING else max(answer.row_count, foreseen)
        drawn.settle(found - foreseen, MESSAGES)
        return answer


def _foreseen(call: Call) -> int:
    """At least one: what cannot be read here, Postgres refuses, or it is counted by its result."""
    try:
        return max(1, COUNTED[call.function.name](call.body or ""))
    except (msgspec.DecodeError, RecursionError):
        return 1
