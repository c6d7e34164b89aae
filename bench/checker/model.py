"""Checks a history against a model of a queue. Violations are reported only if no call of unknown outcome can explain
them."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import pairwise

from bench.checker.history import Call, History, Json, Left, Outcome, Rest, Sight, mark_of

# Tolerance between readings of two clocks.
CLOCK_TOLERANCE_SECONDS = 0.001


class Promise(StrEnum):
    """Promises of a queue, by their violation."""

    LOST = "an acknowledged message is lost"
    SHARED = "delivered to two consumers within one visibility timeout"
    STRANGER = "delivered to or finished by another identity"
    UNDEAD = "delivered after its deletion was acknowledged"
    INVENTED = "delivered or stored, but never sent"
    DOUBLED = "stored more than once"
    HALVED = "a batch is stored in part"
    REFUSED = "executed although the response was an error"
    UNCOUNTED = "read_ct does not grow"
    NOTICED = "a call found what another one had left behind"
    DEADLOCKED = "calls that lock one row each deadlocked"
    DELAYED = "a call waited for calls that it should have overtaken"
    FENCED = "settled with a stale receipt, or not with a valid one"
    EXHAUSTED = "delivered more often than max_receives"
    BURIED = "buried although it was not dead"
    CROWDED = "more messages of a group in flight than its limit"
    DISORDERED = "a message overtook one of its group"
    STALLED = "parked although its group has room"
    REPEATED = "a call repeated with its key had another response"
    UNSERVED = "a waiting call got no message, though one was visible for long"
    OVERDRAWN = "a stream delivered more messages than its credit"


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise, with the calls that prove it."""

    promise: Promise
    text: str
    calls: tuple[Call, ...] = ()


def judge(history: History) -> list[Violation]:
    """All proven violations."""
    queues = {call.queue for call in history.calls} | set(history.rest)
    found = [violation for queue in sorted(queues) for violation in _Queue(history, queue).violations()]
    return (
        found
        + [
            Violation(Promise.STRANGER, f"a forged token was accepted: {call.note}", (call,))
            for call in history.calls
            if call.forged and call.outcome is Outcome.OK
        ]
        + [*_neighbours(history)]
    )


def _neighbours(history: History) -> Iterator[Violation]:
    """Calls that noticed other calls, or were delayed by them."""
    transactions: dict[str, Call] = {}
    for call in history.calls:
        if call.visit is None:
            continue
        if call.visit.local:
            yield Violation(Promise.NOTICED, f"in its transaction: {', '.join(call.visit.local)}", (call,))
        if others := set(call.visit.session) - {call.caller}:
            yield Violation(Promise.NOTICED, f"in its session: {', '.join(sorted(others))}", (call,))
        other = transactions.setdefault(call.visit.transaction, call)
        if other is not call:
            yield Violation(Promise.NOTICED, "two calls of a user's function had one transaction", (other, call))
    for text in history.departures:
        yield Violation(Promise.NOTICED, text)
    if history.deadlocks:
        yield Violation(Promise.DEADLOCKED, f"{history.deadlocks} times")
    for text in history.delays:
        yield Violation(Promise.DELAYED, text)


class _Queue:
    """One queue's part of a history, indexed."""

    def __init__(self, history: History, name: str) -> None:
        self.name = name
        self.messages = history.messages
        self.rest = history.rest.get(name, Rest())
        self.calls = [call for call in history.calls if call.queue == name]

    def violations(self) -> Iterator[Violation]:
        """The violations of this queue."""
        yield from self._strangers()
        yield from self._invented()
        yield from self._doubled()
        yield from self._refused()
        yield from self._lost()
        yield from self._halved()
        for number in self._deliveries:
            yield from self._undead(number)
            yield from self._shared(number)
            yield from self._uncounted(number)
        yield from self._gone_twice()
        yield from self._overcounted()

    @cached_property
    def _deliveries(self) -> dict[int, list[tuple[Call, Sight]]]:
        """Deliveries by message id, in the order of read_ct; a pop follows the read before it."""
        found: defaultdict[int, list[tuple[Call, Sight]]] = defaultdict(list)
        for call in self.calls:
            for sight in call.sights:
                found[sight.id].append((call, sight))
        for delivered in found.values():
            delivered.sort(key=lambda pair: (pair[1].reads, pair[0].function == "pop", pair[1].read_at))
        return dict(found)

    @cached_property
    def _ids(self) -> dict[int, set[int]]:
        """The known ids of each mark."""
        found: defaultdict[int, set[int]] = defaultdict(set)
        for call in self.calls:
            for mark, number in zip(call.sent, call.ids, strict=False):
                found[mark].add(number)
        for number, message in self._seen:
            if (seen := mark_of(message)) is not None:
                found[seen].add(number)
        return dict(found)

    @cached_property
    def _seen(self) -> list[tuple[int, Json]]:
        """Every message delivered, or left at the end."""
        left = [(one.id, one.message) for one in (*self.rest.waiting, *self.rest.archived)]
        return [(sight.id, sight.message) for call in self.calls for sight in call.sights] + left

    @cached_property
    def _waiting(self) -> dict[int, Left]:
        return {one.id: one for one in self.rest.waiting}

    @cached_property
    def _archived(self) -> dict[int, Left]:
        return {one.id: one for one in self.rest.archived}

    @cached_property
    def _removals(self) -> dict[int, list[Call]]:
        """Calls that certainly removed a message, by its id."""
        found: defaultdict[int, list[Call]] = defaultdict(list)
        for call in self.calls:
            if call.found:
                found[call.target].append(call)
            if call.function == "pop":
                for sight in call.sights:
                    found[sight.id].append(call)
        return dict(found)

    @cached_property
    def _tries(self) -> dict[int, list[Call]]:
        """Calls that possibly deleted or archived a message, by its id."""
        found: defaultdict[int, list[Call]] = defaultdict(list)
        for call in self.calls:
            if call.target and call.outcome is Outcome.UNKNOWN:
                found[call.target].append(call)
        return dict(found)

    @cached_property
    def _lost_pops(self) -> Counter[str]:
        """Number of messages of each owner possibly popped in calls whose response was lost."""
        return Counter(c.owner for c in self.calls if c.function == "pop" and c.outcome is Outcome.UNKNOWN)

    @cached_property
    def _sends(self) -> dict[int, Call]:
        return {mark: call for call in self.calls for mark in call.sent}

    def _about(self, number: int) -> tuple[Call, ...]:
        """All calls that concern a message."""
        sent = {mark for mark, ids in self._ids.items() if number in ids}
        return tuple(
            call
            for call in self.calls
            if call.target == number or sent & set(call.sent) or any(sight.id == number for sight in call.sights)
        )

    def _of(self, number: int, promise: Promise, text: str) -> Violation:
        return Violation(promise, f"message {number} of {self.name}: {text}", self._about(number))

    def _strangers(self) -> Iterator[Violation]:
        owners = {number: message["owner"] for number, message in self._seen if mark_of(message) is not None}
        for call in self.calls:
            for sight in call.sights:
                owner = sight.message.get("owner") if isinstance(sight.message, dict) else None
                if owner != call.owner:
                    yield self._of(sight.id, Promise.STRANGER, f"{call.owner} received a message of {owner}")
            if call.found and owners.get(call.target, call.owner) != call.owner:
                yield self._of(
                    call.target,
                    Promise.STRANGER,
                    f"{call.owner} could {call.function} a message of {owners[call.target]}",
                )

    def _invented(self) -> Iterator[Violation]:
        for number, message in self._seen:
            mark = mark_of(message)
            sent = self.messages.get(mark) if mark in self._sends and mark is not None else None
            if sent is None:
                yield self._of(number, Promise.INVENTED, f"no client sent {str(message)[:100]}")
            elif sent != message:
                yield self._of(number, Promise.INVENTED, f"{str(sent)[:100]} was sent, this is {str(message)[:100]}")

    def _doubled(self) -> Iterator[Violation]:
        for mark, ids in self._ids.items():
            if len(ids) > 1:
                yield self._of(min(ids), Promise.DOUBLED, f"what was sent once, as {mark}, has the ids {sorted(ids)}")
        for number in sorted(self._waiting.keys() & self._archived.keys()):
            yield self._of(number, Promise.DOUBLED, "is in the queue and in the archive")

    def _refused(self) -> Iterator[Violation]:
        for mark, ids in self._ids.items():
            call = self._sends.get(mark)
            if call is not None and call.outcome is Outcome.REFUSED:
                yield self._of(min(ids), Promise.REFUSED, f"the response to its send: {call.note}")

    def _lost(self) -> Iterator[Violation]:
        missing: defaultdict[str, list[int]] = defaultdict(list)
        for call in self.calls:
            if call.sent and call.outcome is Outcome.OK and len(call.ids) != len(call.sent):
                yield Violation(Promise.LOST, f"{len(call.sent)} were sent, {len(call.ids)} acknowledged", (call,))
            for number in call.ids:
                if number not in self._waiting and number not in self._archived and not self._explained(number):
                    missing[call.owner].append(number)
        for owner, numbers in missing.items():
            # Each pop whose response was lost can have taken any one of them.
            if len(numbers) > self._lost_pops[owner]:
                yield self._of(numbers[0], Promise.LOST, f"missing, with {len(numbers) - 1} others of {owner}")
        for number in sorted(self._archived):
            if not any(call.function == "archive" for call in self._ended(number)):
                yield self._of(number, Promise.LOST, "is in the archive, but no client archived it")
        yield from self._not_found()

    def _explained(self, number: int) -> bool:
        """True if a call removed the message from the queue, or possibly did; the archive keeps it."""
        return any(call.function != "archive" for call in self._ended(number))

    def _ended(self, number: int) -> list[Call]:
        return self._removals.get(number, []) + self._tries.get(number, [])

    def _not_found(self) -> Iterator[Violation]:
        """A delete of a message that exists returns true."""
        acknowledged = {number: call for call in self.calls for number in call.ids}
        for call in self.calls:
            send = acknowledged.get(call.target)
            if (
                call.found is False
                and send is not None
                and send.owner == call.owner
                and send.returned < call.invoked
                and not self._ended(call.target)
                and not self._lost_pops[call.owner]
            ):
                yield self._of(call.target, Promise.LOST, f"{call.function} did not find it")

    def _halved(self) -> Iterator[Violation]:
        for call in self.calls:
            stored = [mark in self._ids for mark in call.sent]
            missing = stored.count(False)
            if any(stored) and missing > self._lost_pops[call.owner]:
                text = f"{missing} of {len(stored)} messages are in {self.name} nowhere"
                yield Violation(Promise.HALVED, text, (call,))

    def _undead(self, number: int) -> Iterator[Violation]:
        for gone in self._removals.get(number, []):
            for call, _ in self._deliveries[number]:
                if call.invoked > gone.returned:
                    yield self._of(number, Promise.UNDEAD, f"{gone.function} was acknowledged, then {call.function}")

    def _gone_twice(self) -> Iterator[Violation]:
        for number, calls in self._removals.items():
            if len(calls) > 1:
                yield self._of(number, Promise.UNDEAD, f"taken {len(calls)} times")
            if number in self._waiting:
                yield self._of(number, Promise.UNDEAD, f"{calls[0].function} was acknowledged, and it is still there")

    def _shared(self, number: int) -> Iterator[Violation]:
        until, holder = 0.0, ""
        for call, sight in self._deliveries[number]:
            popped = call.function == "pop"
            # The time of a pop is unknown; at the latest that of its response.
            at = call.returned if popped else sight.read_at
            if at < until - CLOCK_TOLERANCE_SECONDS:
                text = f"{holder} had it until {until:.6f}, {call.owner} got it at {at:.6f}"
                yield self._of(number, Promise.SHARED, text)
            if not popped:
                until, holder = max(until, sight.visible_at, sight.read_at + call.lease), call.owner

    def _uncounted(self, number: int) -> Iterator[Violation]:
        reads = [(call, sight) for call, sight in self._deliveries[number] if call.function == "read"]
        for (before, first), (after, second) in pairwise(reads):
            if first.reads == second.reads:
                yield self._of(number, Promise.UNCOUNTED, f"two reads are its {first.reads}.")
            elif after.returned < before.invoked or second.read_at < first.read_at - CLOCK_TOLERANCE_SECONDS:
                yield self._of(number, Promise.UNCOUNTED, f"its {first.reads}. read came after its {second.reads}.")
        left = self._waiting.get(number) or self._archived.get(number)
        if left is not None and left.reads < (most := max(sight.reads for _, sight in self._deliveries[number])):
            yield self._of(number, Promise.UNCOUNTED, f"read {most} times, and {left.reads} are counted")

    def _overcounted(self) -> Iterator[Violation]:
        """Each counted read has a response or an unknown outcome."""
        known = Counter(sight.id for call in self.calls if call.function == "read" for sight in call.sights)
        unknown = Counter(c.owner for c in self.calls if c.function == "read" and c.outcome is Outcome.UNKNOWN)
        for number, left in (self._archived | self._waiting).items():
            owner = str(left.message.get("owner")) if isinstance(left.message, dict) else ""
            if left.reads > known[number] + unknown[owner]:
                text = f"{left.reads} reads are counted, and only {known[number]} were answered"
                yield self._of(number, Promise.REFUSED, text)
