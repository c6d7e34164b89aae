"""All waiters on one message queue in this process."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable
from itertools import islice

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.waiting.waiter_group import MAX_ATTEMPTS, Timers, WaiterGroup

# A wake-up is passed on to further groups, which may not see the message either, at this rate.
IN_TURN_PER_SECOND = 50
# After a notification of the trigger of queues with `wake`, which is then silent for a while: usually for the first of
# these times, seldom longer than the second one.
LOOK_AGAIN_SECONDS = (0.1, 0.5)


class WaiterQueue:
    """The waiter groups of a message queue.

    A wake-up of several groups wakes as many of them as it reports messages, and then the others in turn until so many
    messages are found.

    groups     about in the order in which they were woken last
    callers    the number of groups of each caller
    announced  whether other processes know of it
    """

    def __init__(self, name: str, timers: Timers, look: Callable[["WaiterQueue"], object]) -> None:
        """look  asks for a look at the message queue, soon"""
        self.name = name
        self.groups: OrderedDict[WaiterGroup, None] = OrderedDict()
        self.callers: Counter[Caller] = Counter()
        self.announced = False
        self._timers = timers
        self._look = look
        # Messages for which no group has been found, and when the last of them was reported.
        self._messages, self._reported_at = 0, 0.0
        # Groups that may be woken now without messages found.
        self._allowance, self._allowance_at = float(MAX_ATTEMPTS), timers.time()
        self._turn: asyncio.TimerHandle | None = None
        self._due: asyncio.TimerHandle | None = None
        self._again: asyncio.TimerHandle | None = None
        self._again_until = 0.0

    def add(self, group: WaiterGroup) -> None:
        self.groups[group] = None
        self.callers[group.key.caller] += 1

    def remove(self, group: WaiterGroup) -> None:
        del self.groups[group]
        self.callers[group.key.caller] -= 1
        if not self.callers[group.key.caller]:
            del self.callers[group.key.caller]

    def wake(self, number: int = 1) -> None:
        """Wake waiters for so many messages."""
        if len(self.groups) == 1:
            next(iter(self.groups)).wake(number)
            return
        self._messages = min(self._messages + number, MAX_ATTEMPTS)
        self._reported_at = self._timers.time()
        self._wake_next(number)

    def wake_each(self) -> None:
        """Wake a waiter of each group."""
        for group in self.groups:
            group.wake()

    def wake_later(self, seconds: float) -> None:
        """Wake a waiter when a message becomes visible, and look when the next one does. Only the earliest is kept."""
        due = self._timers.time() + seconds
        if self._due is not None:
            if self._due.when() <= due:
                return
            self._due.cancel()
        self._due = self._timers.call_at(due, self._wake_due)

    def look_again(self) -> None:
        """Look twice for messages whose notification was suppressed."""
        now = self._timers.time()
        self._again_until = now + LOOK_AGAIN_SECONDS[1]
        if self._again is None:
            self._again = self._timers.call_at(now + LOOK_AGAIN_SECONDS[0], self._look_again)

    def found(self, number: int) -> None:
        """Note that an attempt found so many messages."""
        self._messages = max(self._messages - number, 0)
        self._allowance = min(self._allowance + 1, MAX_ATTEMPTS)

    def close(self) -> None:
        """End its timers."""
        for timer in (self._turn, self._due, self._again):
            if timer is not None:
                timer.cancel()

    def _wake_due(self) -> None:
        self._due = None
        self.wake()
        self._look(self)

    def _look_again(self) -> None:
        self._again = None
        self._look(self)
        if self._timers.time() < self._again_until:
            self._again = self._timers.call_at(self._again_until, self._look_again)

    def _wake_next(self, number: int) -> None:
        """Wake the next groups, and those after them later."""
        now = self._timers.time()
        earned = (now - self._allowance_at) * IN_TURN_PER_SECOND
        self._allowance, self._allowance_at = min(self._allowance + earned, MAX_ATTEMPTS), now
        heads = max(1, number // len(self.groups))
        for group in self._next_groups(min(number, int(self._allowance))):
            self._allowance -= 1
            group.wake(heads)
        if self._messages and self._turn is None:
            self._turn = self._timers.call_at(now + 1 / IN_TURN_PER_SECOND, self._pass_on)

    def _next_groups(self, number: int) -> list[WaiterGroup]:
        """The first `number` groups that were not woken since the last report. The report ends with the last one."""
        found = list[WaiterGroup]()
        for group in list(islice(self.groups, len(self.groups) if number else 0)):
            self.groups.move_to_end(group)
            if group.tried_at < self._reported_at:
                found.append(group)
                if len(found) == number:
                    return found
        if number:
            self._messages = 0
        return found

    def _pass_on(self) -> None:
        self._turn = None
        if self._messages and self.groups:
            self._wake_next(1)
