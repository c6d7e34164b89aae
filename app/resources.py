"""Queues as resources, for people who do not think in functions: each path is one of the functions of pgmq_public."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from app.arguments import Arguments
from app.errors import GatewayError, InvalidBody, InvalidQuery, MethodNotAllowed, UnknownPath
from app.request import Request

SCHEMA = "pgmq_public"

# Method and path after /queues/{queue}/messages, and the function that they mean.
ROUTES: Mapping[tuple[str, str], str] = {
    ("POST", ""): "send",
    ("GET", ""): "read",
    ("POST", "/pop"): "pop",
    ("DELETE", "/{id}"): "delete",
    ("POST", "/{id}/archive"): "archive",
}
PATH = re.compile(r"/queues/([^/]+)/messages((?:/[^/]*){0,2})")

_json = msgspec.json.Decoder(msgspec.Raw)
_batch = msgspec.json.Decoder(dict[str, msgspec.Raw])


class MessageNotFound(GatewayError):
    """A message that is not there to be deleted or archived, or not for this caller."""

    status, code = 404, "PGMQ404"

    def __init__(self, queue: str, message_id: str) -> None:
        super().__init__(
            f'Message {message_id} is not in queue "{queue}"', hint="It may be deleted or archived already."
        )


@dataclass(frozen=True, slots=True)
class Resource:
    """A request to a queue as a call: of which function, with which arguments."""

    function: str
    queue: str
    arguments: Arguments
    message_id: str | None = None


async def read_resource(request: Request) -> Resource:
    """The call that a request to `/queues/…` means. Raises UnknownPath, MethodNotAllowed, InvalidQuery, InvalidBody."""
    found = PATH.fullmatch(request.path)
    if found is None:
        raise UnknownPath
    queue, rest = found.groups()
    message_id = re.search(r"(?<=^/)[^/]+", rest)
    place = rest
    if message_id is not None and rest != "/pop":
        place = rest.replace(message_id[0], "{id}", 1)
    function = ROUTES.get((request.method, place))
    if function is None:
        if allowed := [method for method, path in ROUTES if path == place]:
            raise MethodNotAllowed(f"Cannot use the {request.method} method here", allowed)
        raise UnknownPath
    values = {"queue_name": _text(queue)}
    if function in ("delete", "archive"):
        assert message_id is not None
        values["message_id"] = _text(message_id[0])
        return Resource(function, queue, _arguments(values), message_id[0])
    if function == "read":
        values |= _numbers(request, {"n": "1", "sleep_seconds": "30"})
    elif function == "send":
        function, given = _messages(await request.body())
        values |= {**given, **_numbers(request, {"sleep_seconds": "0"})}
    return Resource(function, queue, _arguments(values))


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
