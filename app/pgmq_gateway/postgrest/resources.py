"""Requests to `/queues/…`: each method and path stands for a function of pgmq_public."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from pgmq_gateway.errors import InvalidBody, InvalidQuery, MethodNotAllowed, UnknownPath
from pgmq_gateway.http.request import HEAD_CACHE_SIZE, Head, Request
from pgmq_gateway.postgrest.arguments import Arguments
from pgmq_gateway.postgrest.query import parameters_of

# Method and path below /queues/{queue}/ to a function.
ROUTES: Mapping[tuple[str, str], str] = {
    ("POST", "messages"): "send",
    ("GET", "messages"): "read",
    ("POST", "messages/pop"): "pop",
    ("DELETE", "messages/{id}"): "delete",
    ("POST", "messages/{id}/archive"): "archive",
}

# The parameters of the query string, with their defaults as JSON.
DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "send": {"sleep_seconds": "0"},
    "read": {"n": "1", "sleep_seconds": "30"},
}

MAX_MESSAGE_ID = 2**63 - 1

_json = msgspec.json.Decoder(msgspec.Raw)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Resource:
    """A request to a queue as a call of a function."""

    function: str
    queue: str
    arguments: Arguments
    message_id: str | None = None


async def read_resource(request: Request) -> Resource:
    """The call that a request to `/queues/…` stands for.

    Raises UnknownPath, MethodNotAllowed, InvalidQuery, InvalidBody.
    """
    queue, message_id, function, given = _addressed(request.head)
    if function == "send":
        function, arguments = _messages(queue, await request.body(), given)
        return Resource(function, queue, arguments)
    return Resource(function, queue, _as_json(queue, given), message_id)


@lru_cache(HEAD_CACHE_SIZE)
def _addressed(head: Head) -> tuple[str, str | None, str, Mapping[str, str]]:
    """The queue, the message id (if any), the function, and its arguments in the head."""
    queue, message_id, function = _route(head)
    given = _numbers(head, DEFAULTS.get(function, {}))
    if message_id is not None:
        given["message_id"] = _checked_id(message_id)
    return queue, message_id, function, given


def _route(head: Head) -> tuple[str, str | None, str]:
    _, queue, *rest = head.segments
    message_id = None
    if len(rest) > 1 and rest[:2] != ["messages", "pop"]:
        message_id, rest[1] = rest[1], "{id}"
    place = "/".join(rest)
    methods = {method: function for (method, path), function in ROUTES.items() if path == place}
    if not methods or not queue or message_id == "":
        raise UnknownPath
    if head.method not in methods:
        raise MethodNotAllowed(
            f"Cannot use the {head.method} method on this path", list(methods), f"Use {' or '.join(methods)}."
        )
    return queue, message_id, methods[head.method]


def _messages(queue: str, body: bytes, delay: Mapping[str, str]) -> tuple[str, Arguments]:
    """The function and its arguments for a body: `{"messages": […]}` is a batch, any other JSON one message.

    json_to_record makes SQL NULL of null, and a matrix of an array of arrays, of which pgmq sends each element. Such
    messages are passed as text instead.
    """
    try:
        message = body.decode().strip()
        _json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidBody("Empty or invalid json") from None
    batch = _batch(body)
    if batch is None:
        given = _as_text if message == "null" else _as_json
        return "send", given(queue, {"message": message, **delay})
    if _has_array_or_null(batch):
        texts = (bytes(member).decode() for member in _array.decode(batch))
        return "send_batch", _as_text(queue, {"messages": _array_literal(texts), **delay})
    return "send_batch", _as_json(queue, {"messages": batch.decode(), **delay})


def _batch(body: bytes) -> bytes | None:
    """The messages of a batch as a JSON array; None if the body is one message. Raises InvalidBody."""
    try:
        members = _object.decode(body)
    except msgspec.ValidationError:
        return None
    if members.keys() != {"messages"}:
        return None
    batch = bytes(members["messages"])
    if not batch.startswith(b"["):
        raise InvalidBody(
            "messages must be an array",
            "A body whose only member is messages is a batch.",
            'To send it as one message: {"messages": [{"messages": …}]}',
        )
    return batch


def _has_array_or_null(batch: bytes) -> bool:
    # Looking at each member takes as long as all else, and most batches have neither anywhere.
    if batch.count(b"[") == 1 and b"null" not in batch:
        return False
    return any(bytes(member)[:1] in (b"[", b"n") for member in _array.decode(batch))


def _array_literal(texts: Iterable[str]) -> str:
    """Texts as a Postgres array literal."""
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return f"""{{{",".join(f'"{text}"' for text in quoted)}}}"""


def _checked_id(message_id: str) -> str:
    """A message id as JSON. Postgres accepts other spellings too, such as `0x2`. Raises InvalidQuery."""
    if re.fullmatch("[0-9]{1,19}", message_id) and int(message_id) <= MAX_MESSAGE_ID:
        return str(int(message_id))
    raise InvalidQuery(
        "The message id must be an integer",
        f"The path has {message_id}.",
        f"Message ids have digits only, and are at most {MAX_MESSAGE_ID}.",
    )


def _numbers(head: Head, defaults: Mapping[str, str]) -> dict[str, str]:
    """The parameters of the query string, all integers. Raises InvalidQuery for any other parameter or value."""
    given = {**defaults, **dict(parameters_of(head)), **dict.fromkeys(head.bare_names, "")}
    for name, value in given.items():
        if name not in defaults:
            allowed = ", ".join(defaults) or "none"
            raise InvalidQuery(f"Unknown parameter {name}", hint=f"Allowed parameters: {allowed}.")
        if not re.fullmatch(r"-?[0-9]{1,10}", value):
            raise InvalidQuery(
                f"{name} must be an integer", f"The request has {name}={value}.", f"Example: ?{name}={defaults[name]}"
            )
    return {name: str(int(value)) for name, value in given.items()}


def _text(value: str) -> str:
    return msgspec.json.encode(value).decode()


def _as_json(queue: str, values: Mapping[str, str]) -> Arguments:
    """Arguments as members of a JSON object: JSON texts, copied byte for byte."""
    members = {"queue_name": _text(queue), **values}
    listed = ", ".join(f"{_text(name)}: {value}" for name, value in members.items())
    return Arguments(tuple(members), body=f"{{{listed}}}")


def _as_text(queue: str, values: Mapping[str, str]) -> Arguments:
    """Arguments as texts that Postgres converts to the argument's type."""
    members = {"queue_name": queue, **values}
    return Arguments(tuple(members), values={name: [text] for name, text in members.items()})
