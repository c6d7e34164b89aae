"""A history of queues with settings by message: what was sent, delivered and settled, and what is left.

A message is identified by its mark: redriving gives it another id.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from bench.checker.history import Call, History, Json, Left, Outcome, Settlement, mark_of, redrives_of
from bench.checker.leased import LETTERS

# A queue, and the id of a message in it.
Place = tuple[str, int]
# Messages of a pop at most.
MAX_POPPED = 2


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message in the response of a read or pop."""

    call: Call
    place: Place
    reads: int
    read_at: float
    until: float
    message: Json
    redrives: int

    @property
    def popped(self) -> bool:
        return self.call.function == "pop"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call that settled one delivery, or possibly did."""

    call: Call
    place: Place
    settlement: Settlement

    @property
    def possible(self) -> bool:
        return self.settlement.done or self.call.outcome is Outcome.UNKNOWN

    @property
    def removes(self) -> bool:
        return self.settlement.operation in ("ack", "archive")

    @property
    def releases(self) -> bool:
        """True if it ends the lease and keeps the message."""
        operation = self.settlement.operation
        return operation in ("retry", "reject") or (operation == "extend" and not self.settlement.seconds)


class Deliveries:
    """The history, indexed."""

    def __init__(self, history: History) -> None:
        self.sent = history.messages
        self.rest = history.rest
        self.keyed = _by_key(history.calls)
        # Of the calls with one key, a single one that lasts from the first to the first response.
        self.calls = [call for call in history.calls if not call.key]
        self.calls += [_merged(calls) for calls in self.keyed.values()]

    @cached_property
    def sends(self) -> dict[int, list[Call]]:
        """The calls that sent each mark."""
        found: defaultdict[int, list[Call]] = defaultdict(list)
        for call in self.calls:
            for mark in call.sent:
                found[mark].append(call)
        return dict(found)

    @cached_property
    def deliveries(self) -> dict[Place, list[Delivery]]:
        """Deliveries of each place, in the order of read_ct."""
        found: defaultdict[Place, list[Delivery]] = defaultdict(list)
        for call in self.calls:
            for sight in call.sights:
                place = (call.queue, sight.id)
                until = max(sight.visible_at, sight.read_at + call.lease)
                found[place].append(
                    Delivery(call, place, sight.reads, sight.read_at, until, sight.message, sight.redrives)
                )
        for delivered in found.values():
            delivered.sort(key=lambda one: (one.reads, one.popped))
        return dict(found)

    @cached_property
    def attempts(self) -> dict[Place, list[Attempt]]:
        """The calls that tried to settle each place."""
        found: defaultdict[Place, list[Attempt]] = defaultdict(list)
        for call in self.calls:
            for settlement in call.settled:
                place = (call.queue, settlement.id)
                found[place].append(Attempt(call, place, settlement))
        return dict(found)

    @cached_property
    def left(self) -> dict[int, list[tuple[str, Left]]]:
        """The tables and rows that each mark is left in."""
        found: defaultdict[int, list[tuple[str, Left]]] = defaultdict(list)
        for queue, rest in self.rest.items():
            for table, rows in ((f"q_{queue}", rest.waiting), (f"a_{queue}", rest.archived)):
                for one in rows:
                    found[mark_of(one.message) or 0].append((table, one))
        return dict(found)

    @cached_property
    def waiting(self) -> dict[Place, Left]:
        return {(queue, one.id): one for queue, rest in self.rest.items() for one in rest.waiting}

    @cached_property
    def seen(self) -> list[tuple[Place, int, Json]]:
        """Every message delivered or left in a queue or archive, with its number of redrives."""
        delivered = [(one.place, one.redrives, one.message) for places in self.deliveries.values() for one in places]
        left = [
            ((queue, one.id), redrives_of(one.headers), one.message)
            for queue, rest in self.rest.items()
            for one in (*rest.waiting, *rest.archived)
        ]
        return delivered + left

    @cached_property
    def places(self) -> dict[int, set[tuple[str, int, int]]]:
        """The queues, numbers of redrives and ids under which each mark was known."""
        found: defaultdict[int, set[tuple[str, int, int]]] = defaultdict(set)
        for call in self.calls:
            for mark, number in zip(call.sent, call.ids, strict=False):
                found[mark].add((call.queue, 0, number))
        for (queue, number), redrives, message in self.seen:
            found[mark_of(message) or 0].add((queue, redrives, number))
        return dict(found)

    @cached_property
    def marks(self) -> dict[Place, int]:
        """The mark of each place."""
        return {(queue, number): mark for mark, places in self.places.items() for queue, _, number in places}

    @cached_property
    def removals(self) -> dict[int, list[Call]]:
        """Calls that certainly removed each mark: acknowledged, archived, popped."""
        found: defaultdict[int, list[Call]] = defaultdict(list)
        for place, attempts in self.attempts.items():
            done = [one.call for one in attempts if one.removes and one.settlement.done]
            found[self.marks.get(place, 0)] += done
        for delivered in self.deliveries.values():
            for one in delivered:
                if one.popped:
                    found[mark_of(one.message) or 0].append(one.call)
        return dict(found)

    @cached_property
    def deleted(self) -> set[int]:
        """Marks that a call acknowledged or popped, or possibly acknowledged."""
        acknowledged = {
            self.marks.get(place, 0)
            for place, attempts in self.attempts.items()
            if any(one.settlement.operation == "ack" and one.possible for one in attempts)
        }
        popped = {mark_of(one.message) or 0 for all_ in self.deliveries.values() for one in all_ if one.popped}
        return acknowledged | popped

    @cached_property
    def lost_pops(self) -> dict[str, int]:
        """Number of messages of each owner that were possibly popped in calls without a response."""
        found: defaultdict[str, int] = defaultdict(int)
        for calls in self.keyed.values():
            if calls[0].function == "pop" and not any(call.sights for call in calls):
                found[calls[0].owner] += MAX_POPPED * any(call.outcome is Outcome.UNKNOWN for call in calls)
        return found

    def about(self, mark: int) -> tuple[Call, ...]:
        """All calls that concern a message."""
        places = {(queue, number) for queue, _, number in self.places.get(mark, ())}
        return tuple(
            call
            for call in self.calls
            if mark in call.sent
            or places & {(call.queue, sight.id) for sight in call.sights}
            or places & {(call.queue, one.id) for one in call.settled}
        )


def _by_key(calls: list[Call]) -> dict[str, list[Call]]:
    found: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        if call.key:
            found[call.key].append(call)
    return dict(found)


def _merged(calls: list[Call]) -> Call:
    """The calls with one key as one call: of the outcome that says most, from the first to the first such response."""
    answered = [call for call in calls if call.outcome is Outcome.OK]
    # An empty response is not stored, so a later one can have messages.
    full = [call for call in answered if call.ids or call.sights] or answered
    unknown = [call for call in calls if call.outcome is Outcome.UNKNOWN]
    best = min(full or unknown or calls, key=lambda call: call.returned)
    return replace(best, invoked=min(call.invoked for call in calls))


def released(attempts: Iterable[Attempt], reads: int, at: float) -> bool:
    """True if a call possibly ended the lease of a delivery before a time."""
    return any(
        one.possible and one.settlement.reads == reads and one.releases and one.call.invoked <= at for one in attempts
    )


def held_until(delivery: Delivery, attempts: Iterable[Attempt]) -> float:
    """The end of a lease that no call released: that of the read, or of its last extension."""
    extended = [
        one.call.invoked + one.settlement.seconds
        for one in attempts
        if one.settlement.reads == delivery.reads and one.settlement.outcome == "extended"
    ]
    return max(delivery.until, *extended) if extended else delivery.until


def counts(history: History) -> Counter[str]:
    """Outcomes of receipts, and what happened to messages."""
    index = Deliveries(history)
    outcomes = Counter(one.outcome for call in history.calls for one in call.settled if one.outcome)
    return outcomes + Counter(
        {
            "dead letters": len(history.rest[LETTERS].waiting) if LETTERS in history.rest else 0,
            "redriven": sum(redrives > 0 for places in index.places.values() for _, redrives, _ in places),
            "sent again with a deduplication id": sum(len(calls) - 1 for calls in index.sends.values()),
            "repeated with a key": sum(len(calls) - 1 for calls in index.keyed.values()),
        }
    )
