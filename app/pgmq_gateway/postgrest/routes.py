"""The resources at `/queues/…`: the function that each method and path stands for, with its parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pgmq_gateway.schemas import LEASES, QUEUES

# Parts of a path that stand for a value. A message is named by its id, or by its receipt if there is a route for one.
QUEUE, MESSAGE_ID, RECEIPT = "{queue}", "{message_id}", "{receipt}"
# As pgmq_settings.delivery reads it, which checks the ranges of the first two numbers too.
RECEIPT_GRAMMAR = r"[1-9][0-9]{0,18}\.[1-9][0-9]{0,9}\.(0|[1-9][0-9]{0,17}|-[1-9][0-9]{0,16})"


class Type(StrEnum):
    """The type of a parameter, in the words of an error message."""

    INTEGER = "an integer"
    SECONDS = "a whole number from 0 to 9999"
    ID = "a message id"
    BOOLEAN = "true or false"
    TEXT = "text"
    TIME = "a time with a time zone"
    # Repeated for each member.
    TEXTS = "a name"
    IDS = "a list of message ids"


class Member(StrEnum):
    """The type of a member of a body, in the words of an error message."""

    STRING = "a string"
    BOOLEAN = "true or false"
    INTEGER = "an integer"
    NUMBER = "a number"
    OBJECT = "an object"
    STRINGS = "an array of strings"
    # Of receipts, or of objects with one.
    ENTRIES = "an array"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a query string.

    example   a value, for error messages and documentation
    default   as JSON; None: without the parameter the argument is left out, so that the function's default applies
    argument  the function's argument, if it has another name
    bounds    those of an integer, which the function checks
    """

    type: Type
    example: str
    default: str | None = None
    argument: str = ""
    bounds: tuple[int, int] | None = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """The function that a method and a path stand for.

    parameters  of the query string, by name; WAIT_SECONDS is no argument of the function
    members     the arguments in the body, a JSON object, by name; all of them are optional
    batches     members that make a body a batch of messages; the body of a route without any is not a message
    receipts    the argument that receives the receipt in the path as a list of one
    streams     whether the response is a stream of its messages; the gateway checks the bounds of its parameters
    """

    method: str
    path: str
    function: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    members: Mapping[str, Member] = field(default_factory=dict)
    batches: Sequence[str] = ()
    receipts: str = ""
    status: int = 200
    streams: bool = False

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(self.path.split("/")[1:])


N = Parameter(Type.INTEGER, "1", "1")
DELAY_SECONDS, LEASE_SECONDS = (0, 31_536_000), (0, 604_800)
# null: the lease in the queue's settings.
LEASE = Parameter(Type.INTEGER, "30", "null", bounds=LEASE_SECONDS)
REASON = Parameter(Type.TEXT, "timeout")
IDS = Parameter(Type.IDS, "in.(1,2)", argument="message_ids", required=True)
# The time for which the request waits for messages.
WAIT_SECONDS = "wait_seconds"
WAIT = {WAIT_SECONDS: Parameter(Type.SECONDS, "20")}
MAX_MESSAGES = Parameter(Type.INTEGER, "1000", bounds=(1, 10_000))
NAMES = Parameter(Type.TEXTS, "urgent", argument="queue_names", required=True)
SEND = {
    "sleep_seconds": Parameter(Type.INTEGER, "0", "0", bounds=DELAY_SECONDS),
    "send_at": Parameter(Type.TIME, "2026-12-31T23:00:00Z"),
    "expires_at": Parameter(Type.TIME, "2026-12-31T23:59:59Z"),
    "group_id": Parameter(Type.TEXT, "customer-7"),
    "deduplication_id": Parameter(Type.TEXT, "order-17"),
}
STREAM = {
    "n": Parameter(Type.INTEGER, "10", "10", bounds=(1, 1000)),
    "sleep_seconds": Parameter(Type.INTEGER, "30", "null", bounds=(1, 604_800)),
    "renew": Parameter(Type.BOOLEAN, "true", "false"),
    "renew_seconds": Parameter(Type.INTEGER, "3600", "3600", bounds=(1, 604_800)),
}
SETTLE = {
    "acks": Member.STRINGS,
    "archives": Member.STRINGS,
    "retries": Member.ENTRIES,
    "rejects": Member.ENTRIES,
    "extensions": Member.ENTRIES,
    "strict": Member.BOOLEAN,
}
REPLAY = {"max_messages": Member.INTEGER, "per_second": Member.NUMBER, "filter": Member.OBJECT}
REDRIVE = {"to_queue": Member.STRING, **REPLAY}

# Read by clients that accept server-sent events. Their messages have receipts, so pgmq_public has none.
STREAMS = (
    Route("GET", "/queues/messages", "read_any", {"queue": NAMES, **STREAM}, streams=True),
    Route("GET", "/queues/{queue}/messages", "read", STREAM, streams=True),
)

# By schema. A route of pgmq_api replaces that of pgmq_public.
ROUTES: Mapping[str, Sequence[Route]] = {
    LEASES: (
        Route("GET", "/queues", "queues"),
        Route("GET", "/queues/messages", "read_any", {"queue": NAMES, "n": N, "sleep_seconds": LEASE, **WAIT}),
        Route("POST", "/queues/{queue}/messages", "send", SEND, batches=("messages", "entries"), status=201),
        Route("GET", "/queues/{queue}/messages", "read", {"n": N, "sleep_seconds": LEASE, **WAIT}),
        Route("DELETE", "/queues/{queue}/messages", "delete_batch", {"id": IDS}),
        Route("POST", "/queues/{queue}/messages/archive", "archive_batch", {"id": IDS}),
        Route("POST", "/queues/{queue}/messages/pop", "pop", {"n": N, **WAIT}),
        Route(
            "GET",
            "/queues/{queue}/messages/peek",
            "peek",
            {"n": Parameter(Type.INTEGER, "10", "10", bounds=(1, 1000)), "after": Parameter(Type.ID, "0", "0")},
        ),
        Route("DELETE", "/queues/{queue}/messages/{message_id}", "delete"),
        Route("POST", "/queues/{queue}/messages/{message_id}/archive", "archive"),
        Route("DELETE", "/queues/{queue}/messages/{receipt}", "ack"),
        Route("POST", "/queues/{queue}/messages/{receipt}/archive", "settle", receipts="archives"),
        Route(
            "POST",
            "/queues/{queue}/messages/{receipt}/retry",
            "retry",
            {"delay_seconds": Parameter(Type.INTEGER, "60", "null", bounds=DELAY_SECONDS), "reason": REASON},
        ),
        Route("POST", "/queues/{queue}/messages/{receipt}/reject", "reject", {"reason": REASON}),
        Route("POST", "/queues/{queue}/messages/{receipt}/extend", "extend", {"sleep_seconds": LEASE}),
        Route("POST", "/queues/{queue}/settle", "settle", members=SETTLE),
        Route("GET", "/queues/{queue}/metrics", "metrics"),
        Route("POST", "/queues/{queue}/purge", "purge", {"max_messages": MAX_MESSAGES}),
        Route("POST", "/queues/{queue}/redrive", "redrive", members=REDRIVE),
        Route("POST", "/queues/{queue}/replay", "replay", members=REPLAY),
    ),
    QUEUES: (
        Route(
            "POST",
            "/queues/{queue}/messages",
            "send",
            {"sleep_seconds": Parameter(Type.INTEGER, "0", "0")},
            batches=("messages",),
            status=201,
        ),
        Route(
            "GET",
            "/queues/{queue}/messages",
            "read",
            {"n": N, "sleep_seconds": Parameter(Type.INTEGER, "30", "30"), **WAIT},
        ),
        Route("POST", "/queues/{queue}/messages/pop", "pop", WAIT),
        Route("DELETE", "/queues/{queue}/messages/{message_id}", "delete"),
        Route("POST", "/queues/{queue}/messages/{message_id}/archive", "archive"),
    ),
}
