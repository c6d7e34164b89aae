"""A cell of the benchmark matrix: operation, connections, payload, callers and depth of the queue."""

import random
import re
import string
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

BATCH = 100
UNITS = {"": 1, "k": 1_000, "m": 1_000_000}
BYTES = {"": 1, "b": 1, "kb": 1024, "mb": 1024 * 1024}


class Operation(StrEnum):
    """The operation that each client repeats."""

    SEND = "send"
    SEND_BATCH = "send_batch"
    READ = "read"
    POP = "pop"
    DELETE = "delete"
    ARCHIVE = "archive"
    READ_BATCH = "read_100"
    LEASE = "lease"

    @property
    def messages(self) -> int:
        """Messages sent or consumed by one operation."""
        return BATCH if self in {Operation.SEND_BATCH, Operation.READ_BATCH} else 1

    @property
    def deletes(self) -> int:
        """Number of deletes after the first call, each a call of its own."""
        return self.messages if self in {Operation.READ, Operation.READ_BATCH} else 0

    @property
    def by_id(self) -> bool:
        """True if each call names a message whose id is known before the run."""
        return self in {Operation.DELETE, Operation.ARCHIVE}

    @property
    def removes(self) -> bool:
        """True if the operation removes messages from the queue."""
        return self.consumes and self is not Operation.LEASE

    @property
    def calls(self) -> int:
        """Calls of one operation, each a request or a transaction."""
        return 1 + self.deletes

    @property
    def consumes(self) -> bool:
        """True if the operation hides messages from other readers, by consuming or leasing them."""
        return self not in {Operation.SEND, Operation.SEND_BATCH}

    @property
    def label(self) -> str:
        """The name in tables."""
        return LABELS.get(self.value, self.value)


LABELS = {
    "send_batch": f"send_batch of {BATCH}",
    "read": "read 1 + delete",
    "read_100": f"read {BATCH} + delete {BATCH}",
    "lease": "read 1",
}


@dataclass(frozen=True, slots=True)
class Depth:
    """Messages in the queue besides those sent or consumed: waiting and in flight."""

    waiting: int = 0
    in_flight: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `0`, `1m` or `400k-in-flight`. Raises ValueError."""
        found = re.fullmatch(r"(\d+)([km]?)(-in-flight)?", text.strip().lower())
        if not found:
            raise ValueError(f"{text} is no depth: write 0, 50k, 1m or 400k-in-flight")
        number = int(found[1]) * UNITS[found[2]]
        return cls(in_flight=number) if found[3] else cls(waiting=number)

    def __str__(self) -> str:
        return f"{_short(self.in_flight)}-in-flight" if self.in_flight else _short(self.waiting)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the matrix. `payload` is in bytes."""

    operation: Operation = Operation.SEND
    connections: int = 32
    payload: int = 100
    callers: int = 1
    depth: Depth = Depth()

    def __str__(self) -> str:
        parts = [self.operation.label, f"{self.connections} connection{'s' if self.connections > 1 else ''}"]
        parts.append(size(self.payload))
        if self.callers > 1:
            parts.append(f"{self.callers} callers")
        if self.depth != Depth():
            parts.append(f"depth {self.depth}")
        return ", ".join(parts)

    @property
    def message(self) -> str:
        """An incompressible message of the cell's size, as JSON text."""
        letters = string.ascii_letters + string.digits
        filling = random.Random(4).choices(letters, k=max(0, self.payload - len('{"data":""}')))  # noqa: S311
        return '{"data":"' + "".join(filling) + '"}'


def parse_size(text: str) -> int:
    """Parse a size such as `100`, `100B` or `1KB`. Raises ValueError."""
    found = re.fullmatch(r"(\d+)([km]?b?)", text.strip().lower())
    if not found or (found[2] and found[2] not in BYTES):
        raise ValueError(f"{text} is no size: write 100B, 1KB or 64KB")
    return int(found[1]) * BYTES[found[2]]


def size(count: int) -> str:
    """Format a number of bytes."""
    return f"{count // 1024} KB" if count >= 1024 and count % 1024 == 0 else f"{count} B"


def _short(number: int) -> str:
    for unit, factor in (("m", UNITS["m"]), ("k", UNITS["k"])):
        if number and number % factor == 0:
            return f"{number // factor}{unit}"
    return str(number)
