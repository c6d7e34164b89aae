"""The number of messages of a call, estimated before it runs."""

import re
from collections.abc import Sequence

import msgspec

from pgmq_gateway.calls.call import Call
from pgmq_gateway.queue_functions import QueueFunction

Value = list[msgspec.Raw] | int | str

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])
_value: msgspec.json.Decoder[Value] = msgspec.json.Decoder(Value)
# Quoted elements and escaped characters of a Postgres array literal.
_ESCAPED = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|\\.', re.DOTALL)


def requested(function: QueueFunction, call: Call) -> int:
    """The messages that a call sends or receives at most: `by_default` if its arguments do not show it."""
    if not function.counted_by:
        return function.by_default
    try:
        return max(1, _count(_argument(call, function.counted_by)))
    except (ValueError, LookupError, RecursionError):
        return function.by_default


def _argument(call: Call, name: str) -> Value:
    if texts := call.values.get(name):
        return texts[-1]
    return _value.decode(_object.decode(call.body or "")[name])


def _count(value: Value) -> int:
    match value:
        case list():
            return _elements(value)
        case str() if value.lstrip().startswith(("{", "[")):
            return _ESCAPED.sub("", value).count(",") + 1
        case str():
            return _integer(value)
        case _:
            return value


def _integer(text: str) -> int:
    """An integer as Postgres reads it: since release 16 also 0x10, 0o20 and 0b10000. Raises ValueError."""
    try:
        return int(text)
    except ValueError:
        return int(text, 0)


def _elements(members: Sequence[msgspec.Raw]) -> int:
    """The elements of a Postgres array. An array whose first member is an array becomes a matrix."""
    if members and bytes(members[0]).lstrip().startswith(b"["):
        return sum(_elements(_array.decode(member)) for member in members)
    return len(members)
