"""Credit of streams: the messages that a client has and has not settled, of which it may have so many at once."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

import msgspec

from pgmq_gateway.calls.call import Answer, Call
from pgmq_gateway.schemas import LEASES, QUEUES

# A message: the key of its queue, which is the name in lower case, and its id.
Message = tuple[str, int]


class Credit:
    """The credit of one stream.

    returned  called when a message was settled
    """

    __slots__ = ("_limit", "_returned", "_settlements", "held")

    def __init__(self, limit: int, settlements: "Settlements", returned: Callable[[], object]) -> None:
        self._limit = limit
        self._settlements = settlements
        self._returned = returned
        # Receipts of delivered messages.
        self.held: dict[Message, str] = {}

    @property
    def left(self) -> int:
        """Messages that may be delivered now."""
        return self._limit - len(self.held)

    @property
    def is_low(self) -> bool:
        """True if less than half is left."""
        return 2 * len(self.held) > self._limit

    def use(self, queue: str, receipt: str) -> bool:
        """Deliver a message. An earlier delivery of it is over; returns whether that was one of this stream."""
        message = queue.lower(), _id_of(receipt)
        repeated = message in self.held
        self._settlements.give_back(message)
        self.held[message] = receipt
        self._settlements.held_by[message] = self
        return repeated

    def give_back(self, message: Message) -> None:
        """The delivery of a message is over: it was settled, or its lease has ended."""
        del self.held[message]
        self._returned()

    def receipts(self) -> Mapping[str, list[str]]:
        """The receipts of delivered messages, by queue."""
        by_queue: dict[str, list[str]] = {}
        for (queue, _), receipt in self.held.items():
            by_queue.setdefault(queue, []).append(receipt)
        return by_queue

    def close(self) -> None:
        """Forget all messages: the stream has ended."""
        for message in self.held:
            del self._settlements.held_by[message]
        self.held.clear()


class Settlements:
    """The deliveries of all streams of this process, and the calls that settle them.

    held_by  the credit that a delivered message uses
    """

    def __init__(self) -> None:
        self.held_by: dict[Message, Credit] = {}

    def note(self, call: Call, answer: Answer, *, rollback: bool = False) -> None:
        """Return the credit for messages that a call has settled. Calls that are not recognized are left to the
        streams, which ask the database.

        rollback  whether calls without a preference are rolled back (db-tx-end)
        """
        if not self.held_by or call.body is None or call.preferences.rolls_back(otherwise=rollback):
            return
        read = _READERS.get((call.function.schema, call.function.name))
        if read is None:
            return
        # Postgres accepts bodies that this decoder refuses: the streams ask the database about those.
        with suppress(msgspec.DecodeError, ValueError, RecursionError):
            arguments = _arguments.decode(call.body)
            for one in read(arguments, (answer.body or "").encode()):
                if isinstance(one, str):
                    self.settle(arguments.queue_name, one)
                else:
                    self.give_back((arguments.queue_name.lower(), one))

    def keep(self, queue: str, asked: Iterable[str], kept: Iterable[str]) -> None:
        """Keep those of the receipts of a queue that still have their lease."""
        for receipt in set(asked).difference(kept):
            self.settle(queue, receipt)

    def settle(self, queue: str, receipt: str) -> None:
        """The delivery with this receipt is over."""
        message = queue.lower(), _id_of(receipt)
        credit = self.held_by.get(message)
        if credit is not None and credit.held[message] == receipt:
            self.give_back(message)

    def give_back(self, message: Message) -> None:
        """A message was settled, or delivered again."""
        if (credit := self.held_by.pop(message, None)) is not None:
            credit.give_back(message)


class _Arguments(msgspec.Struct):
    queue_name: str
    receipt: str = ""
    message_id: int = 0


class _Settled(msgspec.Struct):
    receipt: str
    outcome: str


_arguments = msgspec.json.Decoder(_Arguments, strict=False)
_ids = msgspec.json.Decoder(list[int])
_outcomes = msgspec.json.Decoder(list[_Settled])
# Outcomes after which the receipt is of no use.
_OVER = frozenset({"acked", "archived", "retried", "rejected"})
_WORDS = frozenset(f'"{word}"'.encode() for word in _OVER)


def _id_of(receipt: str) -> int:
    return int(receipt.partition(".")[0])


def extended(answer: Answer) -> list[str]:
    """The receipts whose leases a call of settle has extended."""
    return [row.receipt for row in _outcomes.decode(answer.body or "[]") if row.outcome == "extended"]


def _by_receipt(arguments: _Arguments, result: bytes) -> Iterable[str]:
    return [arguments.receipt] if result in _WORDS else []


def _by_id(arguments: _Arguments, result: bytes) -> Iterable[int]:
    return [arguments.message_id] if result == b"true" else []


def _by_ids(_: _Arguments, result: bytes) -> Iterable[int]:
    return _ids.decode(result)


def _by_outcomes(_: _Arguments, result: bytes) -> Iterable[str]:
    return [row.receipt for row in _outcomes.decode(result) if row.outcome in _OVER]


# The receipts or ids that a call has settled, by its arguments and its result.
_READERS: Mapping[tuple[str, str], Callable[[_Arguments, bytes], Iterable[str | int]]] = {
    **{(LEASES, name): _by_receipt for name in ("ack", "retry", "reject")},
    **{(schema, name): _by_id for schema in (QUEUES, LEASES) for name in ("delete", "archive")},
    **{(LEASES, name): _by_ids for name in ("delete_batch", "archive_batch")},
    (LEASES, "settle"): _by_outcomes,
}
