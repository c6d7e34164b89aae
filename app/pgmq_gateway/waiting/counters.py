"""Counts of the room `waiting`, for metrics."""

from collections import Counter


class Counters:
    """Counts since the start of a process. A reload keeps them.

    wakeups                by source: process, gateway, sql, clock
    dropped_notifications  unreadable ones, those above the budget, and names above the bound
    """

    def __init__(self) -> None:
        self.wakeups: Counter[str] = Counter()
        self.dropped_notifications = 0
