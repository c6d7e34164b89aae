"""The Idempotency-Key header, as in the IETF's draft of that name."""

import hashlib
import re

import msgspec

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.catalog import Function
from pgmq_gateway.calls.idempotency import IdempotencyKey
from pgmq_gateway.errors import GatewayError
from pgmq_gateway.http.request import Request
from pgmq_gateway.queue_functions import Kind, queue_function

MAX_CHARACTERS = 255
# Of callers without sub, whose responses are protected from each other by their keys only.
MIN_SHARED_CHARACTERS = 16

# A claim that is not there.
ABSENT = msgspec.Raw(b"null")
# RFC 9651, section 3.3.3: a string; and the same without quotes, as many clients send it.
QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
ESCAPED = re.compile(r'\\(["\\])')
BARE = re.compile(r"[!#-~][ -~]*")
# Bodies of calls without an effect, as patterns of Postgres: JSON, and CSV without rows.
NOTHING_RECEIVED = r"^(\[\]|\n)$"
NOTHING_SETTLED = r'^(false|"gone"|"stale"|\[(\{"receipt":"[^"]*","outcome":"(gone|stale)"\}[, \n]*)*\])$'


class InvalidIdempotencyKey(GatewayError):
    """An Idempotency-Key header that is malformed, repeated, too short or too long."""

    status, code = 400, "PGMQ400"

    def __init__(self, details: str) -> None:
        super().__init__("Invalid Idempotency-Key", details, "Use a random UUID for each request.")


class Identity(msgspec.Struct, frozen=True):
    """The claims that name a caller, as JSON. A renewed token has the same ones."""

    iss: msgspec.Raw = ABSENT
    sub: msgspec.Raw = ABSENT


_identity = msgspec.json.Decoder(Identity)


def _unstored_bodies(function: Function, *, waits: bool) -> str | None:
    """A pattern of the bodies that are not stored for calls of this function, because a repeated call must look again.

    Those of a read without messages; and of a call that settles nothing, which can be 404 or 409 at `/queues/…`.
    """
    known = queue_function(function.schema, function.name)
    if waits:
        return NOTHING_RECEIVED
    if known is None or known.kind is Kind.SEND:
        return None
    return NOTHING_RECEIVED if known.kind is Kind.RECEIVE else NOTHING_SETTLED


def idempotency_key(caller: Caller, request: Request, function: Function, *, waits: bool) -> IdempotencyKey | None:
    """The key of a request for a function; None if it has none. Raises InvalidIdempotencyKey.

    waits  whether the request waits for messages
    """
    if not request.keys:
        return None
    key, identity = _key(request), _identity.decode(caller.claims)
    if bytes(identity.sub) in (b"null", b'""') and len(key) < MIN_SHARED_CHARACTERS:
        raise InvalidIdempotencyKey(
            f"It has {len(key)} characters, but needs {MIN_SHARED_CHARACTERS} if the caller has no claim sub."
        )
    scoped = msgspec.json.encode((caller.role, identity.iss, identity.sub, key))
    return IdempotencyKey(hashlib.sha256(scoped).digest(), _unstored_bodies(function, waits=waits))


def _key(request: Request) -> str:
    if len(request.keys) > 1:
        raise InvalidIdempotencyKey(f"The request has {len(request.keys)} Idempotency-Key headers.")
    value = request.keys[0].decode("latin-1").strip(" \t")
    if quoted := QUOTED.fullmatch(value):
        key = ESCAPED.sub(r"\1", quoted[1])
    elif BARE.fullmatch(value):
        key = value
    else:
        raise InvalidIdempotencyKey("It must be a string of printable ASCII characters, with or without quotes.")
    if not 1 <= len(key) <= MAX_CHARACTERS:
        raise InvalidIdempotencyKey(f"It has {len(key)} characters, and must have 1 to {MAX_CHARACTERS}.")
    return key
