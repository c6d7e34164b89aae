"""Checks that no stream has more unsettled messages than its credit."""

from collections import defaultdict
from collections.abc import Iterator

from bench.checker.deliveries import Deliveries, Delivery
from bench.checker.group_model import certain_end
from bench.checker.model import Promise, Violation


def stream_violations(index: Deliveries) -> Iterator[Violation]:
    """All proven violations: messages of one stream that were certainly unsettled at the read of another."""
    streams: defaultdict[int, list[Delivery]] = defaultdict(list)
    for delivered in index.deliveries.values():
        for one in delivered:
            if one.call.stream:
                streams[one.call.stream].append(one)
    for number, events in streams.items():
        for last in events:
            held = [one for one in events if one.read_at <= last.read_at < _end(index, one)]
            if len(held) > last.call.credit:
                text = f"{len(held)} of stream {number} at {last.read_at:.6f}"
                yield Violation(Promise.OVERDRAWN, text, tuple(one.call for one in held))
                break


def _end(index: Deliveries, one: Delivery) -> float:
    """The time until which the stream had to count a message as unsettled: without an extension by its client."""
    return min(one.until, certain_end(index, one))
