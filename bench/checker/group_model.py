"""Checks the limit of groups, and their order where the limit is 1."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.checker.deliveries import Deliveries, Delivery, held_until
from bench.checker.history import Call, Left, Outcome
from bench.checker.leased import GROUP_LIMITS
from bench.checker.model import CLOCK_TOLERANCE_SECONDS, Promise, Violation


@dataclass(frozen=True, slots=True)
class _Member:
    """A message of a group, as far as it is known.

    after, before  it was sent between these times
    first          when it was delivered first, at the latest
    last           when it was certainly there, at the latest
    """

    mark: int
    after: float
    before: float
    first: float
    last: float


def group_violations(index: Deliveries) -> Iterator[Violation]:
    """All proven violations of groups."""
    for queue, limit in GROUP_LIMITS.items():
        yield from _crowded(index, queue, limit)
        yield from _left(index, queue, limit)
        if limit == 1:
            yield from _disordered(index, queue)


def _crowded(index: Deliveries, queue: str, limit: int) -> Iterator[Violation]:
    """Leases that certainly ran at the same time."""
    leases: defaultdict[str, list[tuple[float, float, Delivery]]] = defaultdict(list)
    for place, delivered in index.deliveries.items():
        if place[0] == queue:
            for one in delivered:
                if not one.popped:
                    leases[one.message["group"]].append((one.read_at, certain_end(index, one), one))
    for group, held in leases.items():
        held.sort(key=lambda lease: lease[:2])
        for at, _, one in held:
            places = {other.place for start, end, other in held if start <= at < end} | {one.place}
            if len(places) > limit:
                calls = tuple(other.call for start, end, other in held if start <= at < end)
                yield Violation(Promise.CROWDED, f"{len(places)} of {group} in {queue} at {at:.6f}", calls)
                break


def certain_end(index: Deliveries, one: Delivery) -> float:
    """The time until which a lease ran, or until which no call can have ended it."""
    attempts = index.attempts.get(one.place, [])
    ended = [
        attempt.call.invoked
        for attempt in attempts
        if attempt.possible and attempt.settlement.reads == one.reads and (attempt.removes or attempt.releases)
    ]
    return min([held_until(one, attempts), *ended]) - CLOCK_TOLERANCE_SECONDS


def _left(index: Deliveries, queue: str, limit: int) -> Iterator[Violation]:
    """Messages that are neither parked nor read, of which there are as many as the limit while any is parked."""
    groups: defaultdict[str, list[Left]] = defaultdict(list)
    for one in index.rest[queue].waiting if queue in index.rest else ():
        groups[one.message["group"]].append(one)
    for group, left in groups.items():
        parked = sum(one.parked for one in left)
        free = len(left) - parked
        calls = tuple(call for one in left[:1] for call in index.about(one.message["mark"]))
        if free > limit:
            yield Violation(Promise.CROWDED, f"{free} of {group} in {queue} are not parked", calls)
        elif parked and free < limit:
            yield Violation(Promise.STALLED, f"{parked} of {group} in {queue} are parked, and {free} are not", calls)


def _disordered(index: Deliveries, queue: str) -> Iterator[Violation]:
    """Messages that were delivered while one that was certainly sent before them was there."""
    groups: defaultdict[str, list[_Member]] = defaultdict(list)
    for mark, calls in index.sends.items():
        if calls[0].queue == queue:
            groups[index.sent[mark]["group"]].append(_member(index, mark, calls))
    for members in groups.values():
        for one in members:
            for other in members:
                if one.before < other.after and one.last > other.first + CLOCK_TOLERANCE_SECONDS:
                    text = f"mark {other.mark} was delivered before mark {one.mark}"
                    yield Violation(Promise.DISORDERED, text, (*index.about(one.mark), *index.about(other.mark)))


def _member(index: Deliveries, mark: int, calls: Sequence[Call]) -> _Member:
    answered = [call.returned for call in calls if call.outcome is Outcome.OK]
    places = {(queue, number) for queue, _, number in index.places.get(mark, ())}
    delivered = [one for place in places for one in index.deliveries.get(place, ())]
    # A pop took it at a time between the call and its response.
    first = [one.call.returned if one.popped else one.read_at for one in delivered]
    last = [one.call.invoked if one.popped else one.read_at for one in delivered]
    waits = any(place in index.waiting for place in places)
    return _Member(
        mark,
        after=min(call.invoked for call in calls),
        before=min(answered, default=float("inf")),
        first=min(first, default=float("inf")),
        last=float("inf") if waits else max(last, default=0.0),
    )
