"""The headers that the gateway sets, in words."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pgmq_gateway.dashboard.parts.quantities import count

# Added to the receives of a message that was rejected.
REJECTED = 1_000_000
REASONS = {"max_receives": "Received too often", "rejected": "Rejected", "expired": "Expired"}
# Anyone who can send can write these headers. A retry's reason can be as long.
MAX_CHARACTERS = 1000

Headers = Mapping[str, Any]


@dataclass(frozen=True)
class Fact:
    """A line of the message panel. The text of a time is as in JSON; that of a queue is its name."""

    name: str
    text: str
    kind: Literal["text", "time", "queue"] = "text"


@dataclass(frozen=True)
class Death:
    """The header x-pgmq-dead. A member that is missing or of another type is empty."""

    queue: str
    msg_id: str
    receives: str
    reason: str
    note: str
    at: str
    sent_at: str
    expired_at: str


def receives(read_ct: int) -> str:
    """How often a message was received, which a rejection does not change."""
    return count(read_ct % REJECTED) + (", rejected" if read_ct >= REJECTED else "")


def death(header: object) -> Death | None:
    """None when the header is not that of a dead letter."""
    if not isinstance(header, dict):
        return None
    members = ("queue", "msg_id", "read_ct", "reason", "note", "at", "enqueued_at", "expires")
    queue, msg_id, read_ct, reason, *others = (_text(header.get(member)) for member in members)
    return Death(queue, msg_id, read_ct, REASONS.get(reason, reason), *others)


def parsed(headers: str | None) -> Headers:
    """The headers as an object; empty when they are none."""
    try:
        # Integers as text: Python refuses those of more than 4,300 digits.
        value = json.loads(headers or "{}", parse_int=str)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def facts(headers: Headers) -> Iterator[Fact]:
    """The facts in the headers, but for those of a death."""
    for name, member in (("Group", "x-pgmq-group"), ("Rejection note", "x-pgmq-rejected")):
        if text := _text(headers.get(member)):
            yield Fact(name, text)
    if expires := _text(headers.get("x-pgmq-expires")):
        yield Fact("Expires", expires, "time")
    if not_before := _moment(headers.get("x-pgmq-not-before")):
        yield Fact("Not before", not_before, "time")
    retry = headers.get("x-pgmq-retry")
    if isinstance(retry, dict):
        yield Fact("Retry reason", _text(retry.get("reason")) or "None was given.")
        yield Fact("Retried", _text(retry.get("at")), "time")
    if times := _text(headers.get("x-pgmq-redrives")):
        yield Fact("Redrives", times)
    if code := _text(headers.get("x-pgmq-dead-failed")):
        yield Fact("Burial", f"Failed with SQLSTATE {code[:5]}. It is tried again every hour.")


def facts_of_death(death: Death) -> Iterator[Fact]:
    yield Fact("Reason", death.reason)
    yield Fact("Note", death.note)
    yield Fact("Died", death.at, "time")
    yield Fact("Origin", death.queue, "queue")
    yield Fact("Id there", death.msg_id)
    yield Fact("Receives there", death.receives)
    yield Fact("Sent there", death.sent_at, "time")
    yield Fact("Expired", death.expired_at, "time")


def _text(value: object) -> str:
    """The text of a string or a number."""
    return str(value)[:MAX_CHARACTERS] if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _moment(seconds: object) -> str:
    """A time in seconds since 1970."""
    try:
        return datetime.fromtimestamp(float(_text(seconds)), UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return ""
