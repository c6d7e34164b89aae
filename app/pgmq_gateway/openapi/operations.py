"""Texts and examples of the resources at `/queues/…`, which the catalog does not have."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pgmq_gateway.openapi.examples import (
    ANSWERS,
    DONE,
    LEASED,
    NONE,
    POPPED_LEASED,
    QUEUE_NAME,
    READ,
    RECEIPT_EXAMPLES,
)
from pgmq_gateway.openapi.schemas import TEXT, Schema, Schemas

DELIVERED = "Delivery is at most once: if the response is lost, so are the messages."
UNFENCED = "even while another consumer has it. With a receipt only if it was not read again; otherwise 409."


@dataclass(frozen=True, slots=True)
class Operation:
    """The description of one resource in a document.

    answer    the description of its response
    examples  responses
    """

    id: str
    summary: str
    text: str
    answer: str
    examples: Schemas = field(default_factory=dict)


def _example(summary: str, value: object) -> Schema:
    return {"summary": summary, "value": value}


def _outcomes(*outcomes: str) -> list[Schema]:
    return [
        {"receipt": receipt, "outcome": outcome} for receipt, outcome in zip(RECEIPT_EXAMPLES, outcomes, strict=True)
    ]


def _redriven(moved: int, skipped: int, last: object, *refused: Schema) -> list[Schema]:
    return [{"moved": moved, "skipped": skipped, "last_visible_at": last, "refused": list(refused)}]


REFUSED: Schema = {"msg_id": 3, "code": "PT413", "message": "a message of 4012 bytes is too large for this queue"}
METRICS = {"visible": 1000, "in_flight": 12, "waiting": 3, "more": True, "oldest_seconds": 2.5}
NONE_LEFT = _example("There are no messages", [])
# Of `send`, where there is send_entries.
ENTRIES: Schemas = {
    "entries": _example(
        "Two messages with options of their own",
        {"entries": [{"message": {"n": 1}, "sleep_seconds": 60}, {"message": {"n": 2}, "headers": {"trace": "a1"}}]},
    )
}
SENT_ENTRIES: Schemas = {
    "entries": _example(
        "The ids of a batch of entries",
        [{"entry": 0, "msg_id": 2, "duplicate": False}, {"entry": 1, "msg_id": 3, "duplicate": False}],
    )
}


def _listed(function: str) -> str:
    """The limits of a list of ids in a query string."""
    return (
        "About 4,000 ids fit into the 32,768 bytes that the head of a request can have (`PGMQ_GATEWAY_MAX_HEAD`); "
        f"`/rpc/{function}` takes up to 10,000 in its body."
    )


# By the name of the function; one in the path of another describes both.
OPERATIONS: Mapping[str, Operation] = {
    "send": Operation(
        "send_message",
        "Sends a message or a batch",
        'Sends the body, any JSON, as a message. `{"messages": […]}`, without other members, is a batch: each member '
        "is a message, arrays and `null` too, and either all of them are sent or none.",
        "Sent: the ids, in order.",
        {**ANSWERS["send"], "batch": ANSWERS["send_batch"]["sent"]},
    ),
    "read": Operation(
        "read_messages",
        "Reads messages",
        "Reads up to `n` visible messages and makes them invisible to other consumers for `sleep_seconds`. Delete or "
        "archive them in that time. Unlike most GET requests it has an effect: responses are never cached, and a "
        "repeated request returns other messages.",
        "The messages.",
        {"message": _example("A message", [LEASED]), "none": NONE},
    ),
    "read_any": Operation(
        "read_messages_of_queues",
        "Reads messages of several queues",
        "Reads up to `n` visible messages of 1 to 10 queues, from the first one that has any, and so on. Name the "
        "queue of the highest priority first.",
        "The messages, by queue.",
        {"message": _example("A message", [LEASED]), "none": NONE},
    ),
    "pop": Operation(
        "pop_message",
        "Reads and deletes messages",
        f"Reads and deletes up to `n` visible messages. {DELIVERED}",
        "The messages.",
        {"message": _example("A message, which is now deleted", [POPPED_LEASED]), "none": NONE},
    ),
    "peek": Operation(
        "peek_messages",
        "Shows messages",
        "Shows up to `n` messages with ids above `after`, in any state, without reading them.",
        "The messages, by id.",
        {"message": _example("A message in flight", [{**READ, "state": "in_flight"}]), "none": NONE_LEFT},
    ),
    "delete": Operation(
        "delete_message",
        "Deletes a message",
        f"Deletes a message permanently. With its id, {UNFENCED}",
        "Deleted.",
        {"done": DONE},
    ),
    "archive": Operation(
        "archive_message",
        "Archives a message",
        f"Moves a message to the archive of its queue. With its id, {UNFENCED}",
        "Archived.",
        {"done": DONE},
    ),
    "delete_batch": Operation(
        "delete_messages",
        "Deletes messages",
        "Deletes messages permanently, even while consumers have them. The ids are required: no request without a "
        f"filter empties a queue. {_listed('delete_batch')}",
        "The ids of the messages that were there, ascending.",
        {"deleted": _example("One of two messages was there", [1])},
    ),
    "archive_batch": Operation(
        "archive_messages",
        "Archives messages",
        f"Moves messages to the archive of their queue, even while consumers have them. {_listed('archive_batch')}",
        "The ids of the messages that were there, ascending.",
        {"archived": _example("One of two messages was there", [1])},
    ),
    "retry": Operation(
        "retry_message",
        "Returns a message to its queue",
        "Makes a message that was read visible after `delay_seconds`, or after the back-off of the queue's settings. "
        "If its receives are used up, it is rejected.",
        "`retried` or `rejected`.",
        {"retried": _example("It will be read again", "retried"), "rejected": _example("It is dead", "rejected")},
    ),
    "reject": Operation(
        "reject_message",
        "Rejects a message",
        "Moves a message that was read to the dead-letter queue, or to the archive if the queue has none.",
        "`rejected`.",
        {"rejected": _example("Rejected", "rejected")},
    ),
    "extend": Operation(
        "extend_lease",
        "Extends a lease",
        "Keeps a message that was read invisible for `sleep_seconds` from now, and its receipt valid. Only 0 shortens "
        "a lease: it ends it.",
        "`extended`.",
        {"extended": _example("Extended", "extended")},
    ),
    "settle": Operation(
        "settle_messages",
        "Settles many messages",
        "Settles up to 10,000 messages that were read, in one transaction. With `strict` nothing is done if any is "
        "stale or gone.",
        "An outcome for each receipt: `acked`, `archived`, `retried`, `rejected`, `extended`, `stale` or `gone`.",
        {
            "acked": _example("Acknowledged", _outcomes("acked", "acked")),
            "mixed": _example("Acknowledged, and returned to the queue", _outcomes("acked", "retried")),
            "lost": _example("Read again, and no longer there", _outcomes("stale", "gone")),
        },
    ),
    "queues": Operation(
        "list_queues",
        "Lists queues",
        "Lists the queues that the caller's role has any permission on.",
        "The queues.",
        {"queues": _example("A queue", [{"queue_name": "tasks", "operations": ["send", "read"]}])},
    ),
    "metrics": Operation(
        "queue_metrics",
        "Counts messages",
        "Counts the messages that policies show to the caller, up to 1,000 of each state.",
        "One row.",
        {"busy": _example("A busy queue", [METRICS])},
    ),
    "purge": Operation(
        "purge_messages",
        "Deletes messages in any state",
        "Deletes up to `max_messages` messages that the caller's policies select. Repeat it until it returns 0.",
        "The number of deleted messages.",
        {"some": _example("Some messages", 17), "none": _example("There were none", 0)},
    ),
    "redrive": Operation(
        "redrive_messages",
        "Returns dead messages to their queues",
        "Moves messages of a dead-letter queue to `to_queue`, or to the queue that each came from, oldest first. "
        "Repeat until `moved` is 0. Messages that their queue refuses stay: `refused` has up to 100 of them.",
        "One row.",
        {
            "moved": _example("Messages were moved", _redriven(17, 0, READ["vt"])),
            "skipped": _example("A message has no queue to return to", _redriven(0, 1, None)),
            "refused": _example("A message is too large for its queue", _redriven(16, 1, READ["vt"], REFUSED)),
        },
    ),
    "replay": Operation(
        "replay_messages",
        "Sends archived messages again",
        "Sends copies of messages in the archive of a queue, oldest first. The archive is kept: a second call sends "
        "them again, unless `filter` leaves them out.",
        "One row.",
        {
            "sent": _example("Messages were sent", [{"sent": 17, "last_visible_at": READ["vt"]}]),
            "none": _example("There were none", [{"sent": 0, "last_visible_at": None}]),
        },
    ),
}
# As a media type of the response it would make its type a union in generated clients, and as parameters, `renew` and
# `renew_seconds` would be accepted without it.
STREAMED = (
    "With `Accept: text/event-stream` the response is a stream of messages as they become visible: `n`, 1 to 1000 and "
    "by default 10, is then the most messages that are unsettled at once, and `sleep_seconds` is at least 1, "
    "or 10 with `renew=true`, which extends their leases while it is open, each for `renew_seconds`, 1 to 604800 and "
    "by default 3600."
)
# With pgmq_api, the texts are longer.
LEASE_TEXTS: Mapping[str, str] = {
    "send": '`{"entries": [{"message": …, "group_id": …}]}` is a batch of messages with options of their own, which '
    "returns a row for each. The parameters of the query string, but `sleep_seconds`, belong to a single message.",
    "read": f"Each message has a `receipt`, which settles this delivery and no later one. {STREAMED}",
    "read_any": STREAMED,
}

PARAMETERS: Mapping[str, str] = {
    "n": "Maximum number of messages.",
    "wait_seconds": "Seconds for which the request waits if there are no messages; the response's "
    "Preference-Applied has those that the gateway allows.",
    "queue": "The name of a queue; repeated for each queue.",
    "id": "PostgREST's filter for a list of message ids: `in.(1,2)`.",
    "after": "Only messages with greater ids.",
    "send_at": "When the message becomes visible.",
    "expires_at": "When the message expires.",
    "group_id": "The group of the message: of each group, a queue with a `group_limit` delivers some at a time.",
    "deduplication_id": "A message with the id of an earlier one is not stored again: its id is returned.",
    "delay_seconds": "Seconds until the message becomes visible.",
    "reason": "A text that is kept with the message, up to 1,000 characters.",
    "max_messages": "Maximum number of messages.",
}
SECONDS: Mapping[str, str] = {
    "send": "Delay in seconds before the message becomes visible.",
    "extend": "Seconds from now.",
}
# Without control characters, and of a length that is checked.
_ID: Schema = {"minLength": 1, "maxLength": 128, "pattern": r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"}
# Of texts.
FORMS: Schemas = {
    "group_id": _ID,
    "deduplication_id": _ID,
    "reason": {"maxLength": 1000, "pattern": r"^[^\x00]*$"},
}


# A digit less of each number than RECEIPT_GRAMMAR allows, and no time before 1970: a pattern cannot state a range.
RECEIPT_PATTERN = r"[1-9][0-9]{0,17}\.[1-9][0-9]{0,8}\.[1-9][0-9]{0,16}"
RECEIPT: Schema = {**TEXT, "pattern": f"^{RECEIPT_PATTERN}$"}


def _entries(**members: Schema) -> Schema:
    """A list of receipts, or of objects with one."""
    entry = {
        "type": "object",
        "required": ["receipt"],
        "properties": {"receipt": RECEIPT, **members},
        "additionalProperties": False,
    }
    return {"type": "array", "items": {"anyOf": [RECEIPT, entry]}}


_COUNT: Schema = {"type": "integer", "minimum": 1, "maximum": 10000}
_DELAY: Schema = {"type": ["integer", "null"], "minimum": 0, "maximum": 31536000}
_LEASE: Schema = {"type": ["integer", "null"], "minimum": 0, "maximum": 604800}
_REASON: Schema = {"type": ["string", "null"], **FORMS["reason"]}
MEMBERS: Schemas = {
    "acks": {"type": "array", "items": RECEIPT, "description": "Receipts of messages to delete."},
    "archives": {"type": "array", "items": RECEIPT, "description": "Receipts of messages to archive."},
    "retries": {
        **_entries(delay_seconds=_DELAY, reason=_REASON),
        "description": "Receipts of messages to return to the queue.",
    },
    "rejects": {**_entries(reason=_REASON), "description": "Receipts of messages to reject."},
    "extensions": {**_entries(sleep_seconds=_LEASE), "description": "Receipts of leases to extend."},
    "strict": {"type": "boolean", "description": "Do nothing if any of the messages is stale or gone."},
    "to_queue": {
        **QUEUE_NAME,
        "description": "Another queue to move to; without it, the one that each message came from.",
        "examples": ["other_queue"],
    },
    "max_messages": {**_COUNT, "description": "Maximum number of messages."},
    "per_second": {
        "type": "number",
        "minimum": 0.001,
        "maximum": 1000000,
        "description": "How many become visible each second.",
    },
    "filter": {"type": "object", "description": "As of `pgmq_admin.list_messages`, without `state`."},
}
BODIES: Mapping[str, Schemas] = {
    "settle": {
        "acks": _example("Acknowledge two messages", {"acks": RECEIPT_EXAMPLES}),
        "mixed": _example(
            "Acknowledge one and retry another later",
            {
                "acks": RECEIPT_EXAMPLES[:1],
                "retries": [{"receipt": RECEIPT_EXAMPLES[1], "delay_seconds": 60, "reason": "timeout"}],
            },
        ),
    },
    "redrive": {"all": _example("100 messages, to the queues that they came from", {})},
    "replay": {"slowly": _example("100 messages, ten each second", {"per_second": 10})},
}
