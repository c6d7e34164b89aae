"""Which waiting calls may share a transaction, and the queue that a call uses."""

from typing import NamedTuple

import msgspec

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.call import Call
from pgmq_gateway.queue_functions import queue_function

# A long body would delay the other calls of its transaction, and takes long to decode.
MAX_DECODED_CHARACTERS = 65536
# In place of the name of a queue that is not known here.
UNKNOWN_QUEUE = ""


class Target(msgspec.Struct, frozen=True):
    """The queue and the message that the body of a call names, the message 0 if none."""

    queue_name: str
    message_id: int | str = 0

    @property
    def number(self) -> int | None:
        """The id of the message; None where only Postgres knows how to read it."""
        if isinstance(self.message_id, int):
            return self.message_id
        plain = self.message_id.isascii() and self.message_id.isdigit()
        return int(self.message_id) if plain else None


_decoder = msgspec.json.Decoder(Target)


class Group(NamedTuple):
    """Calls of one function by one caller on one queue: they lock that queue only."""

    caller: Caller
    queue: str
    function: str


class Place(NamedTuple):
    """Where a call waits.

    queue       the queue that it uses; UNKNOWN_QUEUE; None for other functions than the six of the Data API
    group       the calls that it can share a transaction with, if any
    message_id  the message that it locks, otherwise 0
    """

    queue: str | None
    group: Group | None = None
    message_id: int = 0


NO_QUEUE, SOME_QUEUE = Place(None), Place(UNKNOWN_QUEUE)


def place_of(caller: Caller, call: Call, *, shares: bool) -> Place:
    """The place of a call. `shares`: whether the database can run it with others."""
    function = queue_function(call.function.schema, call.function.name)
    if function is None:
        return NO_QUEUE
    if texts := call.values.get("queue_name"):
        return Place(texts[-1])
    if call.body is None or (found := _target(call.body)) is None:
        return SOME_QUEUE
    number = found.number if function.locks_message else 0
    if not shares or number is None:
        return Place(found.queue_name)
    return Place(found.queue_name, Group(caller, found.queue_name, function.name), number)


def _target(body: str) -> Target | None:
    """What a body names; None where it is long or cannot be decoded here."""
    try:
        return _decoder.decode(body) if len(body) <= MAX_DECODED_CHARACTERS else None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None
