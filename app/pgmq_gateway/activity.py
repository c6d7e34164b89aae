"""Recent activity of callers: one without others beside it may use everything."""

from collections.abc import Hashable

# How long a caller counts as active after a call. With a longer time, one call of another caller would make a burst of
# slow calls wait while connections are idle.
RECENT_SECONDS = 0.25


class Activity:
    """The last two flows that were seen. A flow is a caller, or an address of an anonymous client."""

    __slots__ = ("_before", "_flow", "_seen")

    def __init__(self) -> None:
        self._flow: Hashable = None
        # When it was seen last, and when another one was.
        self._seen = self._before = float("-inf")

    def seen(self, flow: Hashable, now: float) -> None:
        if flow is not self._flow and flow != self._flow:
            self._before, self._flow = self._seen, flow
        self._seen = now

    def others_until(self, flow: Hashable) -> float:
        """The time until which another flow than this one counts as active."""
        return (self._before if flow == self._flow else self._seen) + RECENT_SECONDS
