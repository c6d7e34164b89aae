"""Requests to `/queues/…`: each method and path stands for a function of pgmq_public."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from pgmq_gateway.errors import InvalidBody, InvalidQuery, MethodNotAllowed, UnknownPath
from pgmq_gateway.http.request import Request
from pgmq_gateway.postgrest.arguments import Arguments

# Method and path below /queues/{queue}/ to a function.
ROUTES: Mapping[tuple[str, str], str] = {
    ("POST", "messages"): "send",
    ("GET", "messages"): "read",
    ("POST", "messages/pop"): "pop",
    ("DELETE", "messages/{id}"): "delete",
    ("POST", "messages/{id}/archive"): "archive",
}

_json = msgspec.json.Decoder(msgspec.Raw)
_batch = msgspec.json.Decoder(dict[str, msgspec.Raw])


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
    queue, message_id, function = _route(request)
    values = {"queue_name": _text(queue)}
    if message_id is not None:
        values["message_id"] = _text(message_id)
    elif function == "read":
        values |= _numbers(request, {"n": "1", "sleep_seconds": "30"})
    elif function == "send":
        function, given = _messages(await request.body())
        values |= {**given, **_numbers(request, {"sleep_seconds": "0"})}
    return Resource(function, queue, _arguments(values), message_id)


def _route(request: Request) -> tuple[str, str | None, str]:
    """The queue, the message id (if any) and the function."""
    _, queue, *rest = request.segments
    message_id = None
    if len(rest) > 1 and rest[:2] != ["messages", "pop"]:
        message_id, rest[1] = rest[1], "{id}"
    place = "/".join(rest)
    methods = {method: function for (method, path), function in ROUTES.items() if path == place}
    if not methods or not queue or message_id == "":
        raise UnknownPath
    if request.method not in methods:
        raise MethodNotAllowed(
            f"Cannot use the {request.method} method on this path", list(methods), f"Use {' or '.join(methods)}."
        )
    return queue, message_id, methods[request.method]


def _messages(body: bytes) -> tuple[str, dict[str, str]]:
    """The function and its argument for a body: `{"messages": […]}` is a batch, any other JSON one message."""
    try:
        message = body.decode()
        _json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidBody("Empty or invalid json") from None
    try:
        members = _batch.decode(body)
    except msgspec.ValidationError:
        members = {}
    if members.keys() == {"messages"}:
        return "send_batch", {"messages": bytes(members["messages"]).decode()}
    return "send", {"message": message}


def _numbers(request: Request, defaults: Mapping[str, str]) -> dict[str, str]:
    """The parameters of the query string, all integers. Raises InvalidQuery for any other parameter or value."""
    given = {**defaults, **dict(request.query)}
    for name, value in given.items():
        if name not in defaults:
            raise InvalidQuery(f"Unknown parameter {name}", hint=f"Allowed parameters: {', '.join(defaults)}.")
        if not re.fullmatch(r"-?[0-9]{1,10}", value):
            raise InvalidQuery(
                f"{name} must be an integer", f"The request has {name}={value}.", f"Example: ?{name}={defaults[name]}"
            )
    return {name: str(int(value)) for name, value in given.items()}


def _text(value: str) -> str:
    return msgspec.json.encode(value).decode()


def _arguments(values: Mapping[str, str]) -> Arguments:
    """A JSON object of JSON texts, copied byte for byte."""
    members = ", ".join(f"{_text(name)}: {value}" for name, value in values.items())
    return Arguments(tuple(values), body=f"{{{members}}}")
