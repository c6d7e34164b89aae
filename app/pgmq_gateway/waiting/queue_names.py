"""The message queues that a call names."""

import re
from collections.abc import Iterator
from itertools import islice

import msgspec

from pgmq_gateway.calls.call import Call

# pgmq_api.read_any accepts ten.
MAX_QUEUES = 32
# Of the name of a table that begins with `q_`.
MAX_NAME_BYTES = 61
# For a call that names its queues in a way that only Postgres reads.
UNKNOWN = ""
# Of a Postgres array literal that is read: the event loop waits meanwhile.
MAX_LITERAL_CHARACTERS = 4096
# Its elements. One without a closing quote ends with the text: a search that failed would begin anew at each character.
_ELEMENT = re.compile(r'"((?:[^"\\]|\\.?)*)"?|([^{},"\\\s][^{},"\\]*)', re.DOTALL)
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)


class Named(msgspec.Struct, frozen=True):
    """The members of a body that name message queues."""

    queue_name: str | None = None
    queue_names: object = None


_decoder = msgspec.json.Decoder(Named)


def queue_names(call: Call) -> tuple[str, ...]:
    """The message queues from which a call reads, in lower case: `Q` and `q` are one table."""
    try:
        named = list(islice(_named(call), MAX_QUEUES + 1))
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        named = []
    names = {name.lower() for name in named if can_be_queue(name)}
    return tuple(sorted(names)) if names and len(named) <= MAX_QUEUES else (UNKNOWN,)


def can_be_queue(name: str) -> bool:
    """False for a text that names no queue. Postgres would refuse it, or shorten it to the name of another one."""
    return 0 < len(name) <= MAX_NAME_BYTES and len(name.encode()) <= MAX_NAME_BYTES and "\0" not in name


def _named(call: Call) -> Iterator[str]:
    if call.values:
        if texts := call.values.get("queue_name"):
            yield texts[-1]
        else:
            for text in call.values.get("queue_names", ()):
                yield from _elements(text)
        return
    named = _decoder.decode(call.body or "")
    yield from _elements(named.queue_names) if named.queue_name is None else (named.queue_name,)


def _elements(array: object) -> Iterator[str]:
    """The elements of an array, which may be a matrix. A text is a Postgres array literal."""
    match array:
        case list():
            for element in array:
                yield from (element,) if isinstance(element, str) else _elements(element)
        case str() if len(array) <= MAX_LITERAL_CHARACTERS:
            for found in _ELEMENT.finditer(array):
                quoted, plain = found.groups()
                yield _ESCAPE.sub(r"\1", quoted) if plain is None else plain.rstrip()
