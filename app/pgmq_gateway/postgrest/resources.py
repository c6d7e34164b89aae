"""Requests to `/queues/…`, read: each method and path is a function of pgmq_public."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from pgmq_gateway.errors import InvalidBody, InvalidQuery, MethodNotAllowed, UnknownPath
from pgmq_gateway.http.request import Request
from pgmq_gateway.postgrest.arguments import Arguments

# Method and path behind /queues/{queue}/, and the function that they mean.
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
    """A request to a queue as a call: of which function, with which arguments."""

    function: str
    queue: str
    arguments: Arguments
    message_id: str | None = None


async def read_resource(request: Request) -> Resource:
    """The call that a request to `/queues/…` means. Raises UnknownPath, MethodNotAllowed, InvalidQuery, InvalidBody."""
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
    """The queue, the message and the function that a path and a method mean."""
    _, queue, *rest = request.segments
    message_id = None
    if len(rest) > 1 and rest[:2] != ["messages", "pop"]:
        message_id, rest[1] = rest[1], "{id}"
    place = "/".join(rest)
    methods = {method: function for (method, path), function in ROUTES.items() if path == place}
    if not methods or not queue or message_id == "":
        raise UnknownPath
    if request.method not in methods:
        raise MethodNotAllowed(f"Cannot use the {request.method} method here", list(methods))
    return queue, message_id, methods[request.method]


def _messages(body: bytes) -> tuple[str, dict[str, str]]:
    """The function that sends a body, and its argument: `{"messages": […]}` is a batch, all else one message."""
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
    """Whole numbers of the query string. Raises InvalidQuery for anything else there."""
    given = {**defaults, **dict(request.query)}
    for name, value in given.items():
        if name not in defaults:
            raise InvalidQuery(f"Unknown parameter {name}", hint=f"Known here: {', '.join(defaults)}.")
        if not re.fullmatch(r"-?[0-9]{1,10}", value):
            raise InvalidQuery(f"{name} must be a whole number")
    return {name: str(int(value)) for name, value in given.items()}


def _text(value: str) -> str:
    return msgspec.json.encode(value).decode()


def _arguments(values: Mapping[str, str]) -> Arguments:
    """Named values, each JSON already, as the body of a call: what came in goes on to the digit."""
    members = ", ".join(f"{_text(name)}: {value}" for name, value in values.items())
    return Arguments(tuple(values), body=f"{{{members}}}")
