"""Attempts while the database is away: one at a time for all waiters, because those of thousands would fail too."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from pgmq_gateway.errors import ConnectionLost, GatewayError, Unavailable
from pgmq_gateway.limits.throttle import TooMany, TooManyAtOnce

if TYPE_CHECKING:
    from pgmq_gateway.waiting.timers import Timers
    from pgmq_gateway.waiting.waiter_group import WaiterGroup

# One of the groups that are held tries after each pause.
PAUSE_SECONDS = 1.0
# Afterwards so many go on at a time: a thousand a second.
PART, PART_SECONDS = 20, 0.02
# Errors of calls to which no Postgres has responded. That of a full pool is none: its connections work.
NO_RESPONSE = (Unavailable, ConnectionLost, TooMany, TooManyAtOnce)


class Outage:
    """Holds the groups that are woken while the database cannot be reached, until it responds to a call.

    error  that of the last attempt; None: there is no outage
    """

    def __init__(self, timers: "Callable[[], Timers]" = asyncio.get_running_loop) -> None:
        self.error: GatewayError | None = None
        self._timers = timers
        self._held: OrderedDict[WaiterGroup, None] = OrderedDict()
        self._trying: WaiterGroup | None = None
        self._timer: asyncio.Handle | None = None

    def begin(self, error: GatewayError) -> None:
        """Note an attempt that could not reach the database."""
        self.error = error

    def end(self) -> None:
        """Note that the database responds. The groups that are held go on, but not all at once."""
        if self.error is not None:
            self.error = self._trying = None
            self._schedule(0.0)

    def failed(self, error: GatewayError) -> None:
        """Note the error of a call."""
        if not isinstance(error, NO_RESPONSE):
            self.end()

    def skip(self, group: "WaiterGroup") -> None:
        """Hold a group no more that is postponed by itself. If it was trying, the next one tries at once."""
        self._held.pop(group, None)
        if group is self._trying:
            self._trying = None
            self._stop()
            if self._held:
                self._schedule(0.0)

    def holds(self, group: "WaiterGroup") -> bool:
        """Hold a group that was woken. False if it can go on."""
        if self.error is None:
            self._held.pop(group, None)
            return False
        self._held[group] = None
        if self._timer is None:
            self._schedule(PAUSE_SECONDS)
        return True

    def error_of(self, group: "WaiterGroup") -> GatewayError | None:
        """The error of a group that is held."""
        return self.error if group in self._held else None

    def forget(self, group: "WaiterGroup") -> None:
        """Forget a group without waiters."""
        self._held.pop(group, None)
        if not self._held:
            self.error = self._trying = None
            self._stop()

    def _schedule(self, seconds: float) -> None:
        self._stop()
        timers = self._timers()
        self._timer = timers.call_at(timers.time() + seconds, self._go_on)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go_on(self) -> None:
        """Let one group try, or after the outage some go on."""
        self._timer = None
        if self.error is not None:
            group = self._trying = next(iter(self._held))
            self._held.move_to_end(group)
            self._schedule(PAUSE_SECONDS)
            group.attempt()
            return
        for _ in range(min(PART, len(self._held))):
            self._held.popitem(last=False)[0].go_on()
        if self._held:
            self._schedule(PART_SECONDS)
