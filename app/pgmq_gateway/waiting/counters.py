"""Counts of the room `waiting`, for metrics."""

from bisect import bisect_left
from collections import Counter

# Upper bounds of the histogram's buckets.
WAKEUP_BUCKETS_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Counters:
    """Counts since the start of a process. A reload keeps them.

    waiting, streams       requests that wait now and open streams; open streams
    wakeups                by source: process, gateway, sql, clock
    attempts               of waiting calls, by outcome: messages, empty, error
    deliveries             by seconds from a wake-up to the messages that its attempt found, for each bucket
    delivery_seconds       the sum of these
    policy_probes          round trips, and their seconds
    dropped_notifications  unreadable ones, those above the budget, and names above the bound
    """

    def __init__(self) -> None:
        self.waiting = self.streams = 0
        self.wakeups: Counter[str] = Counter()
        self.attempts: Counter[str] = Counter()
        self.deliveries = [0] * (len(WAKEUP_BUCKETS_SECONDS) + 1)
        self.delivery_seconds = 0.0
        self.policy_probes = 0
        self.policy_probe_seconds = 0.0
        self.dropped_notifications = 0

    def delivered(self, seconds: float) -> None:
        """Count messages that were found so many seconds after the wake-up."""
        self.deliveries[bisect_left(WAKEUP_BUCKETS_SECONDS, seconds)] += 1
        self.delivery_seconds += seconds
