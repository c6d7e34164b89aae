"""Checks a history of queues with settings: receipts, dead letters, repeated sends and groups.

Violations are reported only if no call of unknown outcome can explain them.
"""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from bench.checker.deliveries import Attempt, Deliveries, Delivery, Place, held_until, released
from bench.checker.group_model import group_violations
from bench.checker.history import History, Json, Left, Outcome, mark_of
from bench.checker.leased import LETTERS, MAX_RECEIVES, TASKS
from bench.checker.model import CLOCK_TOLERANCE_SECONDS, Promise, Violation
from bench.checker.stream_model import stream_violations


def judge_leases(history: History) -> list[Violation]:
    """All proven violations."""
    index = Deliveries(history)
    return [*_Leases(index).violations(), *group_violations(index), *stream_violations(index)]


class _Leases:
    def __init__(self, index: Deliveries) -> None:
        self._index = index

    def violations(self) -> Iterator[Violation]:
        yield from self._strangers()
        yield from self._invented()
        yield from self._doubled()
        yield from self._repeated()
        yield from self._refused()
        yield from self._lost()
        yield from self._halved()
        yield from self._undead()
        for place, delivered in self._index.deliveries.items():
            attempts = self._index.attempts.get(place, [])
            yield from self._uncounted(delivered)
            yield from self._shared(delivered, attempts)
            yield from self._exhausted(delivered)
            yield from self._fenced(place, delivered, attempts)
            yield from self._gone(place, delivered, attempts)
        yield from self._buried()

    def _of(self, place: Place, promise: Promise, text: str) -> Violation:
        mark = self._index.marks.get(place, 0)
        return Violation(promise, f"message {place[1]} of {place[0]}, mark {mark}: {text}", self._index.about(mark))

    def _about(self, mark: int, promise: Promise, text: str) -> Violation:
        return Violation(promise, f"message with mark {mark}: {text}", self._index.about(mark))

    def _strangers(self) -> Iterator[Violation]:
        owners = {place: message["owner"] for place, _, message in self._index.seen if mark_of(message) is not None}
        for place, delivered in self._index.deliveries.items():
            for one in delivered:
                if owners.get(place) != one.call.owner:
                    text = f"{one.call.owner} received a message of {owners.get(place)}"
                    yield self._of(place, Promise.STRANGER, text)
        for place, attempts in self._index.attempts.items():
            for attempt in attempts:
                if attempt.settlement.done and owners.get(place, attempt.call.owner) != attempt.call.owner:
                    text = f"{attempt.call.owner} settled a message of {owners[place]}"
                    yield self._of(place, Promise.STRANGER, text)

    def _invented(self) -> Iterator[Violation]:
        for place, _, message in self._index.seen:
            sent = self._index.sent.get(mark_of(message) or 0)
            if sent != message:
                yield self._of(place, Promise.INVENTED, f"{str(sent)[:100]} was sent, this is {str(message)[:100]}")

    def _doubled(self) -> Iterator[Violation]:
        for mark, places in self._index.places.items():
            ids: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
            for queue, redrives, number in places:
                ids[queue, redrives].add(number)
            for (queue, redrives), numbers in ids.items():
                if len(numbers) > 1:
                    text = f"has the ids {sorted(numbers)} in {queue} after {redrives} redrives"
                    yield self._about(mark, Promise.DOUBLED, text)
        for mark, left in self._index.left.items():
            if len(left) > 1:
                yield self._about(mark, Promise.DOUBLED, f"is in {', '.join(table for table, _ in left)}")

    def _repeated(self) -> Iterator[Violation]:
        for key, calls in self._index.keyed.items():
            full = [call for call in calls if call.outcome is Outcome.OK and (call.ids or call.sights)]
            if any((call.ids, call.sights) != (full[0].ids, full[0].sights) for call in full):
                yield Violation(Promise.REPEATED, f"key {key!r}", tuple(calls))

    def _refused(self) -> Iterator[Violation]:
        for mark, calls in self._index.sends.items():
            if mark in self._index.places and all(call.outcome is Outcome.REFUSED for call in calls):
                yield self._about(mark, Promise.REFUSED, f"the response to its send: {calls[0].note}")

    def _lost(self) -> Iterator[Violation]:
        missing: defaultdict[str, list[int]] = defaultdict(list)
        for mark, calls in self._index.sends.items():
            acknowledged = [call for call in calls if call.outcome is Outcome.OK]
            if any(len(call.ids) != len(call.sent) for call in acknowledged):
                yield self._about(mark, Promise.LOST, "its batch was acknowledged with too few ids")
            if acknowledged and mark not in self._index.left.keys() | self._index.deleted:
                missing[calls[0].owner].append(mark)
        for owner, marks in missing.items():
            if len(marks) > self._index.lost_pops[owner]:
                yield self._about(marks[0], Promise.LOST, f"missing, with {len(marks) - 1} others of {owner}")
        for mark, left in self._index.left.items():
            archived = any(table.startswith("a_") and not _dead(one) for table, one in left)
            if archived and not self._archived(mark):
                yield self._about(mark, Promise.LOST, "is in the archive, but no client archived it")

    def _archived(self, mark: int) -> bool:
        """True if a call archived the message, or possibly did."""
        return any(
            attempt.settlement.operation == "archive" and attempt.possible
            for queue, _, number in self._index.places.get(mark, ())
            for attempt in self._index.attempts.get((queue, number), ())
        )

    def _halved(self) -> Iterator[Violation]:
        for calls in self._index.sends.values():
            for call in calls:
                stored = [mark in self._index.places for mark in call.sent]
                missing = stored.count(False)
                if any(stored) and missing > self._index.lost_pops[call.owner]:
                    yield Violation(Promise.HALVED, f"{missing} of {len(stored)} messages are nowhere", (call,))

    def _undead(self) -> Iterator[Violation]:
        for mark, removals in self._index.removals.items():
            if len(removals) > 1:
                yield self._about(mark, Promise.UNDEAD, f"removed {len(removals)} times")
            for table, _ in self._index.left.get(mark, ()):
                if removals and table.startswith("q_"):
                    yield self._about(mark, Promise.UNDEAD, f"its removal was acknowledged, and it is in {table}")
        for place, delivered in self._index.deliveries.items():
            gone = [call.returned for call in self._index.removals.get(self._index.marks[place], [])]
            if gone and any(one.call.invoked > min(gone) for one in delivered):
                yield self._of(place, Promise.UNDEAD, "its removal was acknowledged, then it was delivered")

    def _uncounted(self, delivered: list[Delivery]) -> Iterator[Violation]:
        reads = [one for one in delivered if not one.popped]
        for first, second in pairwise(reads):
            if first.reads == second.reads:
                yield self._of(first.place, Promise.UNCOUNTED, f"two reads are its {first.reads}.")
            elif second.read_at < first.read_at - CLOCK_TOLERANCE_SECONDS:
                yield self._of(
                    first.place, Promise.UNCOUNTED, f"its {first.reads}. read came after its {second.reads}."
                )
        left = self._index.waiting.get(delivered[0].place)
        if left is not None and reads and left.reads < reads[-1].reads:
            yield self._of(delivered[0].place, Promise.UNCOUNTED, f"{left.reads} reads are counted")

    def _shared(self, delivered: list[Delivery], attempts: list[Attempt]) -> Iterator[Violation]:
        for first, second in pairwise(delivered):
            # The time of a pop is unknown; at the latest that of its response.
            at = second.call.returned if second.popped else second.read_at
            until = held_until(first, attempts)
            if at < until - CLOCK_TOLERANCE_SECONDS and not released(attempts, first.reads, at):
                text = f"{first.call.owner} had it until {until:.6f}, {second.call.owner} got it at {at:.6f}"
                yield self._of(first.place, Promise.SHARED, text)

    def _exhausted(self, delivered: list[Delivery]) -> Iterator[Violation]:
        last = max(delivered, key=lambda one: (not one.popped, one.reads))
        if last.place[0] == TASKS and not last.popped and last.reads > MAX_RECEIVES:
            yield self._of(last.place, Promise.EXHAUSTED, f"{last.reads} times")

    def _fenced(self, place: Place, delivered: list[Delivery], attempts: list[Attempt]) -> Iterator[Violation]:
        left = self._index.waiting.get(place)
        for attempt in attempts:
            settlement = attempt.settlement
            later = [one for one in delivered if one.reads > settlement.reads and not one.popped]
            if settlement.done and any(one.call.returned < attempt.call.invoked for one in later):
                yield self._of(place, Promise.FENCED, f"{settlement.outcome} with the stale {settlement.receipt}")
            elif settlement.outcome == "stale" and left is not None and left.reads == settlement.reads:
                yield self._of(place, Promise.FENCED, f"{settlement.receipt} was stale without another read")

    def _gone(self, place: Place, delivered: list[Delivery], attempts: list[Attempt]) -> Iterator[Violation]:
        """Receipts of messages that are there, or whose lease cannot have ended, are not gone."""
        leases = {one.reads: one for one in delivered if not one.popped}
        possible = [one for one in attempts if one.possible and one.settlement.operation != "extend"]
        for attempt in attempts:
            lease = leases.get(attempt.settlement.reads)
            if attempt.settlement.outcome != "gone" or lease is None or lease.call.owner != attempt.call.owner:
                continue
            if place in self._index.waiting:
                yield self._of(place, Promise.LOST, f"{attempt.settlement.receipt} was gone, and it is there")
            released_early = released(attempts, lease.reads, attempt.call.returned)
            if attempt.call.returned < lease.until - CLOCK_TOLERANCE_SECONDS and not possible and not released_early:
                yield self._of(place, Promise.BURIED, f"{attempt.settlement.receipt} was gone within its lease")

    def _buried(self) -> Iterator[Violation]:
        """Dead letters of messages that were not dead. Without a dead-letter queue they are in the archive."""
        for queue, rest in self._index.rest.items():
            letters = [*(rest.waiting if queue == LETTERS else ()), *(one for one in rest.archived if _dead(one))]
            for one in letters:
                if wrong := self._wrong(one, TASKS if queue == LETTERS else queue):
                    yield self._of((queue, one.id), Promise.BURIED, wrong)

    def _wrong(self, letter: Left, origin: str) -> str:
        """The fault of a dead letter; empty if it has none."""
        dead = _dead(letter)
        if dead is None or dead["queue"] != origin:
            return f"its origin is {dead}"
        if dead["reason"] == "max_receives" and origin == TASKS and dead["read_ct"] >= MAX_RECEIVES:
            return ""
        attempts = self._index.attempts.get((origin, dead["msg_id"]), [])
        if dead["reason"] == "rejected" and any(
            one.possible and one.settlement.operation == "reject" for one in attempts
        ):
            return ""
        return f"{dead['reason']} after {dead['read_ct']} receives"


def _dead(left: Left) -> Json:
    """Why a message was buried, if it was."""
    return (left.headers or {}).get("x-pgmq-dead")
