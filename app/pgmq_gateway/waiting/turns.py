"""Waiter groups of one message queue, woken in turn."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable

from pgmq_gateway.waiting.waiter_group import MAX_ATTEMPTS, Timers, WaiterGroup

# A wake-up is passed on to further groups, which may not see the message either, at this rate.
IN_TURN_PER_SECOND = 50


class Turns:
    """Wakes as many groups as there are messages, and then further ones until so many messages are found.

    groups  those of the queue, about in the order in which they were woken last
    """

    def __init__(self, groups: OrderedDict[WaiterGroup, None], timers: Timers) -> None:
        self._groups = groups
        self._timers = timers
        # Messages that no attempt has found yet.
        self._messages = 0
        # Groups to wake for them; then, if `_all_again`, all groups once more.
        self._due: OrderedDict[WaiterGroup, None] = OrderedDict()
        self._all_again = False
        # Groups that may be woken now although no messages are found.
        self._allowance, self._allowance_at = float(MAX_ATTEMPTS), timers.time()
        self._timer: asyncio.TimerHandle | None = None

    def wake_all(self, messages: int) -> None:
        """Wake any groups for so many messages."""
        self._all_again = True
        self._begin(messages, len(self._groups))

    def wake(self, messages: int, groups: Iterable[WaiterGroup]) -> None:
        """Wake these groups for so many messages; if there are more groups, some of them."""
        # A probe may have taken a while.
        present = [group for group in groups if group in self._groups]
        if len(present) > messages:
            self._due.update(dict.fromkeys(present))
            self._begin(messages, len(present))
            return
        for group in present:
            # Each sees a message of its own, perhaps: what others find must not take its turn.
            self._due.pop(group, None)
            self._groups.move_to_end(group)
            group.wake(messages // len(present))

    def found(self, messages: int) -> None:
        """Note that an attempt has found messages."""
        self._messages = max(self._messages - messages, 0)
        self._allowance = min(self._allowance + 1, MAX_ATTEMPTS)

    def remove(self, group: WaiterGroup) -> None:
        """Forget a group."""
        self._due.pop(group, None)

    def close(self) -> None:
        """End the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _begin(self, messages: int, groups: int) -> None:
        self._messages = min(self._messages + messages, MAX_ATTEMPTS)
        self._wake_next(min(messages, MAX_ATTEMPTS), max(1, messages // groups))

    def _wake_next(self, number: int, waiters: int = 1) -> None:
        """Wake the next groups, so many waiters of each, and further groups later."""
        now = self._timers.time()
        earned = (now - self._allowance_at) * IN_TURN_PER_SECOND
        self._allowance, self._allowance_at = min(self._allowance + earned, MAX_ATTEMPTS), now
        for _ in range(min(number, int(self._allowance))):
            group = self._next()
            if group is None:
                self._messages = 0
                break
            self._allowance -= 1
            self._groups.move_to_end(group)
            group.wake(waiters)
        if self._messages and self._timer is None:
            self._timer = self._timers.call_at(now + 1 / IN_TURN_PER_SECOND, self._pass_on)

    def _next(self) -> WaiterGroup | None:
        if not self._due and self._all_again:
            self._all_again = False
            self._due.update(self._groups)
        return self._due.popitem(last=False)[0] if self._due else None

    def _pass_on(self) -> None:
        self._timer = None
        if self._messages:
            self._wake_next(1)
