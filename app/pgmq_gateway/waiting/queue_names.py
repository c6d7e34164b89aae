"""The message queues that a call names."""

import re
from collections.abc import Sequence

import msgspec

from pgmq_gateway.calls.call import Call

# pgmq_api.read_any accepts ten.
MAX_QUEUES = 32
# For a call that names its queues in a way that only Postgres reads.
UNKNOWN = ""
# An element of a Postgres array literal.
_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^{},"\\\s][^{},"\\]*)')


class Named(msgspec.Struct, frozen=True):
    """The members of a body that name message queues."""

    queue_name: str | None = None
    queue_names: list[str] | str | None = None


_decoder = msgspec.json.Decoder(Named)


def queue_names(call: Call) -> tuple[str, ...]:
    """The message queues from which a call reads, in lower case: `Q` and `q` are one table."""
    named = _named(call)
    names = {name.lower() for name in named}
    return tuple(sorted(names)) if names and len(names) <= MAX_QUEUES else (UNKNOWN,)


def _named(call: Call) -> Sequence[str]:
    if call.values:
        if texts := call.values.get("queue_name"):
            return texts[-1:]
        return [name for text in call.values.get("queue_names", ()) for name in _elements(text)]
    try:
        named = _decoder.decode(call.body or "")
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return ()
    if named.queue_name is not None:
        return (named.queue_name,)
    names = named.queue_names or ()
    return _elements(names) if isinstance(names, str) else names


def _elements(literal: str) -> list[str]:
    """The elements of a Postgres array literal."""
    return [re.sub(r"\\(.)", r"\1", quoted) or plain.rstrip() for quoted, plain in _ELEMENT.findall(literal)]
