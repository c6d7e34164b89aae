"""The body of `POST /queues/{queue}/messages`: one message, a batch of messages, or of entries with options."""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from pgmq_gateway.errors import InvalidBody, InvalidQuery
from pgmq_gateway.postgrest.arguments import Arguments
from pgmq_gateway.postgrest.routes import Route

# Functions that send many, by the only member of a body, with the arguments that they share with `send`.
BATCHES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "messages": ("send_batch", ("queue_name", "sleep_seconds")),
    "entries": ("send_entries", ("queue_name",)),
}

_json = msgspec.json.Decoder(msgspec.Raw)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])


def read_messages(body: bytes, given: Mapping[str, str], route: Route) -> tuple[str, Arguments]:
    """The function that sends a body, and its arguments.

    given  the arguments in the head, as JSON
    route  its batches are names in BATCHES; a body with any other member is one message

    json_to_record makes SQL NULL of null, and a matrix of an array of arrays, of which pgmq sends each element. Such
    messages are passed as text instead.
    """
    try:
        message = body.decode().strip()
        _json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidBody("Empty or invalid json") from None
    member, batch = _batch(body, route.batches)
    if batch is None:
        if message == "null":
            return "send", as_text({**_texts(given), "message": message})
        return "send", as_json({**given, "message": message})
    function, allowed = BATCHES[member]
    shared = _shared(given, allowed, member, route)
    if member == "messages" and _has_array_or_null(batch):
        texts = (bytes(one).decode() for one in _array.decode(batch))
        return function, as_text({**_texts(shared), "messages": _array_literal(texts)})
    return function, as_json({**shared, member: batch.decode()})


def as_json(values: Mapping[str, str]) -> Arguments:
    """Arguments as members of a JSON object: JSON texts, copied byte for byte."""
    listed = ", ".join([f'"{name}": {value}' for name, value in values.items()])
    return Arguments(tuple(values), body=f"{{{listed}}}")


def as_text(values: Mapping[str, str]) -> Arguments:
    """Arguments as texts that Postgres converts to the argument's type."""
    return Arguments(tuple(values), values={name: [text] for name, text in values.items()})


def _texts(values: Mapping[str, str]) -> dict[str, str]:
    """Strings and numbers in JSON as texts."""
    return {
        name: msgspec.json.decode(value, type=str) if value.startswith('"') else value for name, value in values.items()
    }


def _batch(body: bytes, batches: Collection[str]) -> tuple[str, bytes | None]:
    """The member that makes a body a batch, and its value, a JSON array; None if the body is one message."""
    try:
        members = _object.decode(body)
    except msgspec.ValidationError:
        return "", None
    member, value = next(iter(members.items()), ("", msgspec.Raw()))
    if len(members) != 1 or member not in batches:
        return "", None
    batch = bytes(value)
    if not batch.startswith(b"["):
        raise InvalidBody(
            f"{member} must be an array",
            f"A body whose only member is {member} is a batch.",
            f'To send it as one message: {{"messages": [{{"{member}": …}}]}}',
        )
    return member, batch


def _shared(given: Mapping[str, str], allowed: tuple[str, ...], member: str, route: Route) -> dict[str, str]:
    """The arguments that apply to a batch. Raises InvalidQuery for those of one message."""
    for name, value in given.items():
        if name not in allowed and value != route.parameters[name].default:
            raise InvalidQuery(
                f"The parameter {name} is one of a single message",
                f"The body is a batch of {member}.",
                f'Send it in the body: {{"entries": [{{"message": …, "{name}": …}}]}}',
            )
    return {name: value for name, value in given.items() if name in allowed}


def _has_array_or_null(batch: bytes) -> bool:
    # Looking at each member takes as long as all else, and most batches have neither anywhere.
    if batch.count(b"[") == 1 and b"null" not in batch:
        return False
    return any(bytes(member)[:1] in (b"[", b"n") for member in _array.decode(batch))


def _array_literal(texts: Iterable[str]) -> str:
    """Texts as a Postgres array literal."""
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return f"""{{{",".join(f'"{text}"' for text in quoted)}}}"""
