"""The history of a round: calls with their times, the messages sent, and those left at the end."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from bench.checker.visits import Visit

Json = Any

# Under any fault, a waiting call is repeated once in ten seconds. The polls in each second find most messages before.
SERVED_SECONDS = 15.0


class Outcome(StrEnum):
    """The outcome of a call, as far as its client knows.

    OK       executed
    REFUSED  not executed, now or later
    UNKNOWN  executed or not: no response arrived, or the response says that the outcome is unknown
    """

    OK = "ok"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Sight:
    """A message in a response of `read` or `pop`; times by the database's clock, in seconds.

    receipt   of a read of `pgmq_api`
    redrives  how often the message was redriven
    """

    id: int
    reads: int
    read_at: float
    visible_at: float
    message: Json
    receipt: str = ""
    redrives: int = 0

    @classmethod
    def of(cls, row: Mapping[str, Json]) -> "Sight":
        """Parse a row of a response. Raises KeyError, TypeError and ValueError."""
        last = row["last_read_at"]
        return cls(
            row["msg_id"],
            row["read_ct"],
            seconds(last) if last else 0.0,
            seconds(row["vt"]),
            row["message"],
            row.get("receipt") or "",
            redrives_of(row["headers"]),
        )


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end or the extension of a lease. `outcome` is empty without a response."""

    operation: str
    receipt: str
    seconds: int = 0
    outcome: str = ""

    @property
    def done(self) -> bool:
        return self.outcome not in ("", "stale", "gone")

    @property
    def id(self) -> int:
        return int(self.receipt.split(".")[0])

    @property
    def reads(self) -> int:
        return int(self.receipt.split(".")[1])


@dataclass(slots=True)
class Call:
    """A call and its outcome. Times in seconds of this machine's clock, which the database shares.

    owner     the caller, who has access to its own messages only
    sent      marks of the messages to send
    lease     visibility timeout of a read, in seconds
    target    id of the message to delete or archive
    returned  time at which the outcome was known
    note      status and code of an error response, or the failure of the connection
    ids       ids of the messages that `send` stored
    found     whether the message to delete or archive existed
    caller    name of the caller, which identities that differ by a header share
    visit     what a call of the user's function found
    forged    whether the token is forged, so that the call must have no effect
    settled   the leases to end or to extend, by their receipts
    key       the Idempotency-Key
    delay     seconds until the sent messages are visible
    wait      seconds for which the call waits for messages
    stream    the number of the stream that delivered an event, and its credit
    """

    function: str
    queue: str
    owner: str
    invoked: float
    sent: tuple[int, ...] = ()
    lease: int = 0
    target: int = 0
    forged: bool = False
    returned: float = 0.0
    outcome: Outcome = Outcome.UNKNOWN
    note: str = ""
    ids: tuple[int, ...] = ()
    sights: tuple[Sight, ...] = ()
    found: bool | None = None
    caller: str = ""
    visit: Visit | None = None
    settled: tuple[Settlement, ...] = ()
    key: str = ""
    delay: int = 0
    wait: int = 0
    stream: int = 0
    credit: int = 0

    def __str__(self) -> str:
        parts = [f"{self.invoked:.6f} to {self.returned:.6f}", self.owner, self.function, self.queue]
        parts += [f"marks {list(self.sent)}"] if self.sent else []
        parts += [f"id {self.target}"] if self.target else []
        parts += [f"for {self.lease} s"] if self.lease else []
        parts += [f"visible after {self.delay} s"] if self.delay else []
        parts += [f"waiting {self.wait} s"] if self.wait else []
        parts += [f"stream {self.stream} with credit {self.credit}"] if self.stream else []
        parts += [f"-> {self.outcome}", self.note] if self.note else [f"-> {self.outcome}"]
        parts += [f"ids {list(self.ids)}"] if self.ids else []
        parts += [str(self.found).lower()] if self.found is not None else []
        parts += [str(self.visit)] if self.visit is not None else []
        parts += [f"key {self.key!r}"] if self.key else []
        parts += [f"[{one.operation} {one.receipt} {one.seconds} s: {one.outcome}]" for one in self.settled]
        parts += [
            f"[id {s.id}, mark {mark_of(s.message)}, read {s.reads}. at {s.read_at:.6f}, visible at {s.visible_at:.6f}]"
            for s in self.sights
        ]
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Left:
    """A message in a queue or its archive at the end; `reads` is its read_ct. `parked`: it waits for its group."""

    id: int
    reads: int
    message: Json
    headers: Json = None
    parked: bool = False


@dataclass(frozen=True, slots=True)
class Rest:
    """The contents of a queue at the end, without running clients."""

    waiting: Sequence[Left] = ()
    archived: Sequence[Left] = ()


@dataclass(slots=True)
class History:
    """All calls of a round, the sent messages by mark, and the remaining ones by queue.

    departures  what triggers found of other identities
    deadlocks   deadlocks that Postgres detected
    delays      calls that other calls delayed
    served      seconds within which a waiting call gets a message that is visible
    """

    calls: list[Call] = field(default_factory=list)
    messages: dict[int, Json] = field(default_factory=dict)
    rest: dict[str, Rest] = field(default_factory=dict)
    departures: list[str] = field(default_factory=list)
    deadlocks: int = 0
    delays: list[str] = field(default_factory=list)
    served: float = SERVED_SECONDS

    def counts(self) -> Counter[tuple[str, Outcome]]:
        """Number of calls by function and outcome."""
        return Counter((call.function, call.outcome) for call in self.calls)


def mark_of(message: Json) -> int | None:
    """The unique mark of a message, or None."""
    mark = message.get("mark") if isinstance(message, dict) else None
    return mark if isinstance(mark, int) else None


def redrives_of(headers: Json) -> int:
    """The number of times that a message was redriven."""
    return int((headers or {}).get("x-pgmq-redrives", 0))


def seconds(time: str) -> float:
    """Parse a time that Postgres wrote to JSON."""
    return datetime.fromisoformat(time).timestamp()
