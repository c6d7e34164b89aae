"""The messages that a call has made visible."""

from collections.abc import Iterator

import msgspec

from pgmq_gateway.calls.call import Answer, Call
from pgmq_gateway.calls.wakeups import Wakeup
from pgmq_gateway.limits.estimate import requested
from pgmq_gateway.queue_functions import Kind, queue_function
from pgmq_gateway.schemas import QUEUES


class Sent(msgspec.Struct, frozen=True):
    """The members of the body of a call that sends messages, apart from the messages."""

    queue_name: str
    sleep_seconds: float | None = None


_decoder = msgspec.json.Decoder(Sent)


def wakeups_of(call: Call, answer: Answer) -> Iterator[Wakeup]:
    """The wake-ups that a call has reported, and that of a function of pgmq_public, which reports none.

    Where groups are limited, a trigger reports it instead: the messages may be parked.
    """
    yield from answer.wakeups
    wakeup = _sent(call)
    if wakeup is not None and all(wakeup.queue != reported.queue for reported in answer.wakeups):
        yield wakeup


def _sent(call: Call) -> Wakeup | None:
    function = queue_function(QUEUES, call.function.name) if call.function.schema == QUEUES else None
    if function is None or function.kind is not Kind.SEND:
        return None
    try:
        sent = _decoder.decode(call.body or "")
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        # As texts of a form, or in a way that only Postgres reads: the next poll finds the messages.
        return None
    return Wakeup(sent.queue_name.lower(), requested(function, call), max(sent.sleep_seconds or 0.0, 0.0))
