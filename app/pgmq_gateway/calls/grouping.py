"""Groups of waiting calls that may share a transaction, and the queue that a call uses."""

from typing import NamedTuple

import msgspec

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.call import Call
from pgmq_gateway.queue_functions import queue_function

# A long body would delay the other calls of its transaction, and takes long to decode.
MAX_DECODED_CHARACTERS = 65536
# Of an id that is sent as text. bigint has 19, and int() raises for more than 4,300.
MAX_ID_DIGITS = 100
# In place of the name of a queue that is not known here.
UNKNOWN_QUEUE = ""


class Target(msgspec.Struct, frozen=True):
    """The queue and the message that the body of a call names, the message 0 if none."""

    queue_name: str
    message_id: int | str = 0
    receipt: str = ""

    @property
    def number(self) -> int | None:
        """The id of the message; None where only Postgres knows how to read it."""
        if self.receipt:
            text = self.receipt.partition(".")[0]
        elif isinstance(self.message_id, int):
            return self.message_id
        else:
            text = self.message_id
        plain = len(text) <= MAX_ID_DIGITS and text.isascii() and text.isdigit()
        return int(text) if plain else None


_decoder = msgspec.json.Decoder(Target)


class Crowd(NamedTuple):
    """Calls of one function by all callers of one role on one queue, with or without an Idempotency-Key."""

    role: str
    queue: str
    function: str
    keyed: bool


class Group(NamedTuple):
    """Calls of one function by one caller on one queue: they lock that queue only.

    keyed  whether they have an Idempotency-Key
    """

    caller: Caller
    queue: str
    function: str
    keyed: bool = False

    @property
    def crowd(self) -> Crowd:
        """The calls of other callers that can run beside these."""
        return Crowd(self.caller.role, self.queue, self.function, self.keyed)


def place_of(caller: Caller, call: Call, *, shares: bool) -> tuple[str | None, Group | None, int]:
    """The queue of a call, its group, and the message that it locks, otherwise 0.

    The queue is UNKNOWN_QUEUE where it is not known here, and None for functions that do nothing to messages.

    shares  whether the database can run the call with others
    """
    function = queue_function(call.function.schema, call.function.name)
    if function is None:
        return None, None, 0
    if call.values and (texts := call.values.get("queue_name")):
        return texts[-1], None, 0
    if call.body is None or (found := _target(call.body)) is None:
        return UNKNOWN_QUEUE, None, 0
    number = found.number if function.locks_message else 0
    if not shares or number is None:
        return found.queue_name, None, 0
    # The name of a plain call, with its schema but for pgmq_public.
    name = call.statement.sql.partition("(")[0]
    return found.queue_name, Group(caller, found.queue_name, name, call.key is not None), number


def _target(body: str) -> Target | None:
    """The queue and the message that a body names; None where it is long or cannot be decoded here."""
    try:
        return _decoder.decode(body) if len(body) <= MAX_DECODED_CHARACTERS else None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None
