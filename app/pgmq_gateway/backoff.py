"""Exponential back-off between the attempts at something that fails."""


class Backoff:
    """Delays in seconds: the first, then twice the one before, at most `longest`."""

    __slots__ = ("_first", "_longest", "_next")

    def __init__(self, first: float, longest: float) -> None:
        self._first = self._next = first
        self._longest = longest

    def delay(self) -> float:
        """Take the delay before the next attempt. The one after it is twice as long."""
        delay, self._next = self._next, min(2 * self._next, self._longest)
        return delay

    def reset(self) -> None:
        """Start again from the first delay, after a success."""
        self._next = self._first
