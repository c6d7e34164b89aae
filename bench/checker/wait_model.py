"""Checks that no waiting call ended empty although a message of its caller was visible for long."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from bench.checker.history import Call, History, Left, Outcome, Sight
from bench.checker.model import Promise, Violation

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Moment:
    """A message became visible, or ceased to be visible, after this number of reads.

    visible_at  infinite if this is unknown
    taken_at    the earliest time at which it was read, popped or removed
    """

    reads: int
    visible_at: float
    taken_at: float = 0.0


def judge_waits(history: History) -> list[Violation]:
    """All proven violations."""
    return list(_unserved(history))


def _unserved(history: History) -> Iterator[Violation]:
    waits = [call for call in history.calls if _is_empty(call) and call.returned - call.invoked > history.served]
    if not waits:
        return
    moments, removals = _moments(history), _removals(history)
    for send in history.calls:
        for number in send.ids:
            place = (send.queue, number)
            for start, end in _visible(moments[place]):
                for wait in waits:
                    seconds = min(end, wait.returned, removals.get(place, end)) - max(start, wait.invoked)
                    if (wait.queue, wait.owner) == (send.queue, send.owner) and seconds > history.served:
                        text = f"message {number} of {send.queue} was visible for {seconds:.3f} s of its wait"
                        yield Violation(Promise.UNSERVED, text, (send, wait))


def _is_empty(call: Call) -> bool:
    return call.wait > 0 and call.outcome is Outcome.OK and not call.sights


def _moments(history: History) -> dict[Place, list[_Moment]]:
    """The known moments of each message, in the order of its reads."""
    found: defaultdict[Place, list[_Moment]] = defaultdict(list)
    for call in history.calls:
        for number in call.ids:
            found[call.queue, number].append(_Moment(0, call.returned + call.delay))
        for sight in call.sights:
            found[call.queue, sight.id].append(_moment(call, sight))
    for queue, rest in history.rest.items():
        for left in rest.waiting:
            found[queue, left.id].append(_remaining(left))
    for moments in found.values():
        moments.sort(key=lambda moment: (moment.reads, moment.taken_at))
    return dict(found)


def _removals(history: History) -> dict[Place, float]:
    """The time of the first call that removed a message, or possibly did."""
    found: dict[Place, float] = {}
    for call in history.calls:
        if call.target and call.outcome is not Outcome.REFUSED:
            place = (call.queue, call.target)
            found[place] = min(call.invoked, found.get(place, call.invoked))
    return found


def _moment(call: Call, sight: Sight) -> _Moment:
    # A pop takes the message at any time of the call, without counting a read.
    if call.function == "pop":
        return _Moment(sight.reads + 1, float("inf"), call.invoked)
    return _Moment(sight.reads, max(sight.visible_at, sight.read_at + call.lease), sight.read_at)


def _remaining(left: Left) -> _Moment:
    """The end of the history, as a read that never happened."""
    return _Moment(left.reads + 1, float("inf"), float("inf"))


def _visible(moments: list[_Moment]) -> Iterator[tuple[float, float]]:
    """The times at which a message was certainly visible."""
    for first, second in pairwise(moments):
        if second.reads == first.reads + 1:
            yield first.visible_at, second.taken_at
