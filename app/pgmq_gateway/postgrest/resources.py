"""Requests to `/queues/…` as calls of functions."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from pgmq_gateway.errors import InvalidBody, InvalidQuery, MethodNotAllowed, NotAcceptable, UnknownPath
from pgmq_gateway.http.request import HEAD_CACHE_SIZE, Head, Request
from pgmq_gateway.postgrest.arguments import Arguments
from pgmq_gateway.postgrest.media import negotiate, prefers_events
from pgmq_gateway.postgrest.messages import as_json, read_messages
from pgmq_gateway.postgrest.parameters import MAX_MESSAGE_ID, arguments_of, check_bounds, message_id_as_json
from pgmq_gateway.postgrest.routes import (
    MESSAGE_ID,
    QUEUE,
    RECEIPT,
    RECEIPT_GRAMMAR,
    ROUTES,
    STREAMS,
    WAIT_SECONDS,
    Member,
    Route,
)
from pgmq_gateway.schemas import LEASES

# Of a parameter's value, in heads whose addresses are cached.
MAX_CACHED_CHARACTERS = 128
# Functions with streams.
READS = frozenset({route.function for route in STREAMS})
# Shorter leases would be extended several times a second, of up to 1000 messages each time.
MIN_RENEWED_LEASE_SECONDS = 10
NEEDS_LEASES = f"Streams need the schema {LEASES} in db-schemas."
# Of a value, in an error.
MAX_SHOWN_BYTES = 100

Place = tuple[str, ...]

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MEMBERS: Mapping[Member, msgspec.json.Decoder[object]] = {
    Member.STRING: msgspec.json.Decoder(str),
    Member.BOOLEAN: msgspec.json.Decoder(bool),
    Member.INTEGER: msgspec.json.Decoder(int),
    Member.NUMBER: msgspec.json.Decoder(float),
    Member.OBJECT: msgspec.json.Decoder(dict[str, msgspec.Raw]),
    Member.STRINGS: msgspec.json.Decoder(list[str]),
    Member.ENTRIES: msgspec.json.Decoder(list[msgspec.Raw]),
}
_RECEIPT = re.compile(RECEIPT_GRAMMAR)


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """The parameters of a stream.

    credit         messages that its client may have at once and not have settled
    lease          seconds; None: as the settings of the queue say
    renew_seconds  how long after its delivery the lease of a message is extended; None: never
    """

    credit: int
    lease: int | None
    renew_seconds: int | None


@dataclass(frozen=True, slots=True)
class Address:
    """A head that stands for a call.

    message  the id or the receipt in its path
    given    the arguments in it, as JSON
    wait     seconds for which the client waits for messages, if its query string has them
    stream   None unless the client prefers a stream; then `given` has no number of messages
    """

    schema: str
    route: Route
    queue: str | None
    message: str | None
    given: Mapping[str, str]
    wait: int | None
    stream: StreamOptions | None


@dataclass(frozen=True, slots=True)
class Resource:
    """A request to a queue as a call of a function."""

    address: Address
    function: str
    arguments: Arguments


class Resources:
    """The routes of some schemas: of those with the same method and path, the first with a function that exists."""

    def __init__(self, schemas: Iterable[str], exists: Callable[[str, str], bool]) -> None:
        self._routes: dict[Place, dict[str, tuple[str, Route]]] = {}
        for schema in schemas:
            for route in ROUTES[schema]:
                found = self._routes.setdefault(route.segments, {})
                if route.method not in found or not exists(found[route.method][0], route.function):
                    found[route.method] = schema, route
        self._streams = {route.segments: route for route in STREAMS} if LEASES in schemas else {}
        self._cached_address = lru_cache(HEAD_CACHE_SIZE)(self._read_address)

    async def read(self, request: Request) -> Resource:
        """The call that a request stands for. Raises UnknownPath, MethodNotAllowed, InvalidQuery or InvalidBody."""
        address = self.address(request.head)
        route, given = address.route, address.given
        if route.batches:
            function, arguments = read_messages(await request.body(), given, route)
            return Resource(address, function, arguments)
        if route.method != "GET":
            given = {**given, **_members(await request.body(), route)}
        if address.stream is not None:
            given = {**given, "n": str(address.stream.credit)}
        return Resource(address, route.function, as_json(given))

    def address(self, head: Head) -> Address:
        """The call that a head stands for. Raises UnknownPath, MethodNotAllowed, InvalidQuery or NotAcceptable."""
        # Long values are lists of ids, and no two are alike.
        if head.query and any(len(value) > MAX_CACHED_CHARACTERS for _, value in head.query):
            return self._read_address(head)
        return self._cached_address(head)

    def _read_address(self, head: Head) -> Address:
        place = self._place(head.segments)
        schema, route = self._route(place, head)
        named = dict(zip(place, head.segments, strict=True))
        given = {"queue_name": _text(named[QUEUE])} if QUEUE in named else {}
        given |= arguments_of(head, route.parameters)
        wait = given.pop(WAIT_SECONDS, None)
        stream = _take_options(given, route) if route.streams else None
        if MESSAGE_ID in named:
            given["message_id"] = _message_id(named[MESSAGE_ID])
        if RECEIPT in named:
            receipt = _text(self._receipt(place, named[RECEIPT]))
            given |= {route.receipts: f"[{receipt}]"} if route.receipts else {"receipt": receipt}
        message = named.get(MESSAGE_ID) or named.get(RECEIPT)
        return Address(schema, route, named.get(QUEUE), message, given, None if wait is None else int(wait), stream)

    def _route(self, place: Place, head: Head) -> tuple[str, Route]:
        methods = self._routes[place]
        if head.method not in methods:
            raise MethodNotAllowed(
                f"Cannot use the {head.method} method on this path", list(methods), f"Use {' or '.join(methods)}."
            )
        schema, route = methods[head.method]
        accept = head.headers.get("accept")
        if head.method != "GET" or route.function not in READS or not prefers_events(accept):
            return schema, route
        if place in self._streams:
            return LEASES, self._streams[place]
        try:
            negotiate(accept)
        except NotAcceptable as error:
            error.hint = NEEDS_LEASES
            raise
        return schema, route

    def _place(self, segments: list[str]) -> Place:
        """The path of a route, whose parts in braces stand for values. Raises UnknownPath."""
        place = tuple(segments) if len(segments) < 3 else ("queues", QUEUE, *segments[2:])
        if place not in self._routes and len(place) > 3:
            first, second = (MESSAGE_ID, RECEIPT) if segments[3].isdecimal() else (RECEIPT, MESSAGE_ID)
            rest = place[4:]
            place = (*place[:3], first, *rest)
            if place not in self._routes:
                place = (*place[:3], second, *rest)
        if place not in self._routes or "" in segments:
            raise UnknownPath
        return place

    def _receipt(self, place: Place, text: str) -> str:
        """A receipt. Raises InvalidQuery."""
        if _RECEIPT.fullmatch(text):
            return text
        by_id = (*place[:3], MESSAGE_ID, *place[4:]) in self._routes
        raise InvalidQuery(
            f"The path must have a {'message id or a receipt' if by_id else 'receipt'}",
            f"The path has {text}.",
            f"Use the receipt of a message as read returned it{', or its msg_id' if by_id else ''}.",
        )


def _take_options(given: dict[str, str], route: Route) -> StreamOptions:
    """The parameters of a stream, which are then no longer in `given`, apart from the lease. Raises InvalidQuery."""
    check_bounds(given, route.parameters)
    credit, renew, seconds = int(given.pop("n")), given.pop("renew") == "true", int(given.pop("renew_seconds"))
    lease = None if given["sleep_seconds"] == "null" else int(given["sleep_seconds"])
    if renew and lease is not None and lease < MIN_RENEWED_LEASE_SECONDS:
        raise InvalidQuery(
            f"sleep_seconds must be at least {MIN_RENEWED_LEASE_SECONDS} with renew=true",
            f"The request has sleep_seconds={lease}.",
        )
    return StreamOptions(credit, lease, seconds if renew else None)


def _message_id(text: str) -> str:
    """A message id as JSON. Raises InvalidQuery."""
    message_id = message_id_as_json(text)
    if message_id is None:
        raise InvalidQuery(
            "The message id must be an integer",
            f"The path has {text}.",
            f"Message ids have digits only, and are at most {MAX_MESSAGE_ID}.",
        )
    return message_id


def _members(body: bytes, route: Route) -> Mapping[str, str]:
    """The arguments in a body: a JSON object, or nothing. Raises InvalidBody."""
    try:
        members = _object.decode(body) if body else {}
    except msgspec.ValidationError:
        raise InvalidBody("The body must be a JSON object", hint=_known(route)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidBody("Empty or invalid json") from None
    for name, value in members.items():
        if name not in route.members:
            raise InvalidBody(f"Unknown member {name}", hint=_known(route))
        _check(name, value, route.members[name])
    return {name: bytes(value).decode() for name, value in members.items()}


def _check(name: str, value: msgspec.Raw, member: Member) -> None:
    """Raises InvalidBody for a value of another type. json_to_record would make NULL of null, and true of "yes"."""
    try:
        _MEMBERS[member].decode(value)
    except msgspec.DecodeError:
        shown = bytes(value)[:MAX_SHOWN_BYTES].decode(errors="ignore")
        raise InvalidBody(f"{name} must be {member}", f"The body has {shown}.") from None


def _known(route: Route) -> str:
    if route.members:
        return f"Allowed members: {', '.join(route.members)}."
    return f"Send no body. Allowed parameters: {', '.join(route.parameters) or 'none'}."


def _text(value: str) -> str:
    return msgspec.json.encode(value).decode()
