"""The functions that send, receive or settle messages, in tables that all rooms read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pgmq_gateway.schemas import LEASES, QUEUES


class Kind(StrEnum):
    """The effect on messages (`messaging.operation.type` of OpenTelemetry's semantic conventions)."""

    SEND = "send"
    RECEIVE = "receive"
    SETTLE = "settle"


@dataclass(frozen=True, slots=True)
class QueueFunction:
    """One function.

    required       arguments without a default
    optional       arguments with a default
    example        example arguments, besides the queue's name
    permission     the operation to grant, where functions share one
    counted_by     the argument that shows the number of messages before the call runs
    by_default     their number without that argument
    counted_in     the column of its result that has their number; without, each row is a message
    locks_message  the call locks the message that its body names: in a shared transaction such calls run in the order
                   of the messages' ids, so that two transactions cannot deadlock
    plain          the arguments, besides the queue's name, of each call of a function of pgmq_api for which
                   `pgmq_gateway.plain_call` has a statement
    """

    name: str
    kind: Kind
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    example: Mapping[str, object] = field(default_factory=dict)
    permission: str = ""
    counted_by: str = ""
    by_default: int = 1
    counted_in: str = ""
    locks_message: bool = False
    plain: tuple[tuple[str, ...], ...] = ()

    @property
    def operation(self) -> str:
        """The operation that `queue grant` grants."""
        return self.permission or self.name

    @property
    def signatures(self) -> tuple[str, ...]:
        """The argument lists for which `pgmq_gateway.plain_call` has a statement: only the required ones, or all."""
        given = dict.fromkeys((self.required, self.required + self.optional))
        return tuple(signature(QUEUES, self.name, names) for names in given)


def signature(schema: str, name: str, arguments: Iterable[str]) -> str:
    """The name of a plain call: those of pgmq_public have no schema."""
    prefix = "" if schema == QUEUES else f"{schema}."
    return f"{prefix}{name}({','.join(sorted(arguments))})"


# Supabase Queues' Data API (schema pgmq_public).
FUNCTIONS: Mapping[str, QueueFunction] = {
    function.name: function
    for function in (
        QueueFunction(
            "send",
            Kind.SEND,
            ("queue_name", "message"),
            ("sleep_seconds",),
            {"message": {"hello": "world"}},
        ),
        QueueFunction(
            "send_batch",
            Kind.SEND,
            ("queue_name", "messages"),
            ("sleep_seconds",),
            {"messages": [{"hello": "world"}, {"hello": "again"}]},
            permission="send",
            counted_by="messages",
        ),
        QueueFunction(
            "read",
            Kind.RECEIVE,
            ("queue_name", "sleep_seconds", "n"),
            (),
            {"sleep_seconds": 30, "n": 1},
            counted_by="n",
        ),
        QueueFunction("pop", Kind.RECEIVE, ("queue_name",)),
        QueueFunction("archive", Kind.SETTLE, ("queue_name", "message_id"), (), {"message_id": 1}, locks_message=True),
        QueueFunction("delete", Kind.SETTLE, ("queue_name", "message_id"), (), {"message_id": 1}, locks_message=True),
    )
}
# The functions of pgmq_api.
LEASE_FUNCTIONS: Mapping[str, QueueFunction] = {
    function.name: function
    for function in (
        QueueFunction("send", Kind.SEND, ("queue_name", "message"), plain=(("message",), ("message", "sleep_seconds"))),
        QueueFunction("send_batch", Kind.SEND, ("queue_name", "messages"), counted_by="messages"),
        QueueFunction("send_entries", Kind.SEND, ("queue_name", "entries"), counted_by="entries"),
        QueueFunction(
            "read",
            Kind.RECEIVE,
            ("queue_name",),
            ("sleep_seconds", "n", "conditional"),
            counted_by="n",
            plain=((), ("sleep_seconds",), ("n",), ("sleep_seconds", "n")),
        ),
        QueueFunction("read_any", Kind.RECEIVE, ("queue_names",), ("sleep_seconds", "n"), counted_by="n"),
        QueueFunction("pop", Kind.RECEIVE, ("queue_name",), ("n",), counted_by="n", plain=((), ("n",))),
        *(
            QueueFunction(name, Kind.SETTLE, ("queue_name", "message_id"), locks_message=True, plain=(("message_id",),))
            for name in ("delete", "archive")
        ),
        *(
            QueueFunction(name, Kind.SETTLE, ("queue_name", "message_ids"))
            for name in ("delete_batch", "archive_batch")
        ),
        *(QueueFunction(name, Kind.SETTLE, ("queue_name", "receipt")) for name in ("retry", "reject", "extend")),
        QueueFunction("ack", Kind.SETTLE, ("queue_name", "receipt"), locks_message=True, plain=(("receipt",),)),
        QueueFunction("settle", Kind.SETTLE, ("queue_name",), plain=(("acks",),)),
        *(
            QueueFunction(
                name, Kind.SEND, ("queue_name",), counted_by="max_messages", by_default=100, counted_in=column
            )
            for name, column in (("redrive", "moved"), ("replay", "sent"))
        ),
    )
}
BY_SCHEMA: Mapping[str, Mapping[str, QueueFunction]] = {QUEUES: FUNCTIONS, LEASES: LEASE_FUNCTIONS}
# Operations that `queue grant` and the dashboard grant one by one.
OPERATIONS = tuple(dict.fromkeys(function.operation for function in FUNCTIONS.values()))
# The calls for which `pgmq_gateway.plain_call` has a statement. They can share a transaction.
PLAIN_CALLS = frozenset(one for function in FUNCTIONS.values() for one in function.signatures) | {
    signature(LEASES, function.name, ("queue_name", *arguments))
    for function in LEASE_FUNCTIONS.values()
    for arguments in function.plain
}


def queue_function(schema: str, name: str) -> QueueFunction | None:
    """The row of a function; None for functions of other schemas, and those that do nothing to messages."""
    return BY_SCHEMA[schema].get(name) if schema in BY_SCHEMA else None
