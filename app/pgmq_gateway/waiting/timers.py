"""Timers of waiters."""

import asyncio
import math
from collections.abc import Callable
from typing import Protocol


class Timers(Protocol):
    """The part of an event loop that is replaced in tests."""

    def time(self) -> float: ...

    def call_at(self, when: float, callback: Callable[[], object]) -> asyncio.Handle: ...


class Alarm:
    """Calls a function at the earliest of the times for which it is set.

    It remembers the time itself: uvloop's handle of a time that has nearly come has none.
    """

    __slots__ = ("_callback", "_handle", "_timers", "_when")

    def __init__(self, timers: Timers, callback: Callable[[], object]) -> None:
        self._timers = timers
        self._callback = callback
        self._handle: asyncio.Handle | None = None
        self._when = math.inf

    def set(self, when: float) -> None:
        if when < self._when:
            self.cancel()
            self._when = when
            self._handle = self._timers.call_at(when, self._go_off)

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle, self._when = None, math.inf

    def _go_off(self) -> None:
        self._handle, self._when = None, math.inf
        self._callback()
