"""Waiter groups of one message queue, woken in turn."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.waiting.timers import Timers
from pgmq_gateway.waiting.waiter_group import MAX_ATTEMPTS, WaiterGroup

# A wake-up is passed on to further groups, which may not see the message either, at this rate.
IN_TURN_PER_SECOND = 50


class Turns:
    """Wakes as many groups as there are messages, and then further ones until so many messages are found.

    Callers take turns, so one with many groups delays no other.

    groups   those of the queue
    callers  with their groups; both about in the order in which they were woken last
    """

    def __init__(self, groups: Collection[WaiterGroup], timers: Timers) -> None:
        self._groups = groups
        self.callers: OrderedDict[Caller, OrderedDict[WaiterGroup, None]] = OrderedDict()
        self._timers = timers
        # Messages that no attempt has found yet, and the groups to wake for them.
        self._messages = 0
        self._due: Iterator[WaiterGroup] = iter(())
        # True if there is a message for each of these groups; true if some of them were not woken at once.
        self._exact = self._undecided = False
        # Groups that may be woken now although no messages are found.
        self._allowance, self._allowance_at = float(MAX_ATTEMPTS), timers.time()
        self._timer: asyncio.Handle | None = None

    def add(self, group: WaiterGroup) -> None:
        """Add a group."""
        self.callers.setdefault(group.key.caller, OrderedDict())[group] = None

    def remove(self, group: WaiterGroup) -> None:
        """Forget a group."""
        groups = self.callers[group.key.caller]
        del groups[group]
        if not groups:
            del self.callers[group.key.caller]

    def wake_all(self, messages: int, *, exact: bool) -> None:
        """Wake any groups for so many messages."""
        self._exact = exact or (self._exact and self._messages > 0)
        self._undecided = False
        self._messages = min(self._messages + messages, MAX_ATTEMPTS)
        self._due = _in_turn(self.callers.values())
        self._wake_next(messages, max(1, messages // max(1, len(self._groups))))

    def wake(self, messages: int, groups: Iterable[WaiterGroup], *, exact: bool) -> None:
        """Wake these groups, which see so many messages in all, and no others. A probe may have taken a while."""
        present = sorted((group for group in groups if group in self._groups), key=lambda group: group.tried_at)
        by_caller: dict[Caller, list[WaiterGroup]] = {}
        for group in present:
            by_caller.setdefault(group.key.caller, []).append(group)
        lines = sorted(by_caller.values(), key=lambda line: line[-1].tried_at)
        # Each caller sees a message of its own, perhaps.
        at_once = len(lines) if len(lines) <= messages else 0
        self._exact, self._undecided = exact, len(present) > at_once
        self._messages, self._due = min(messages, MAX_ATTEMPTS), _in_turn(lines)
        waiters = max(1, messages // max(1, len(present)))
        for group in islice(self._due, at_once):
            self._wake(group, waiters)
        self._wake_next(messages - at_once, waiters)

    def found(self, messages: int) -> bool:
        """Note that an attempt has found messages. True if other groups may no longer see any."""
        self._messages = max(self._messages - messages, 0)
        self._allowance = min(self._allowance + 1, MAX_ATTEMPTS)
        if not self._messages:
            self._due = iter(())
        return self._undecided and self._messages > 0

    def unwoken(self) -> list[WaiterGroup]:
        """The groups that see a message, and were not woken for it."""
        due = list(self._due) if self._undecided else []
        self._due = iter(due) if due else self._due
        return due

    def close(self) -> None:
        """End the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _wake_next(self, number: int, waiters: int = 1) -> None:
        """Wake the next groups, so many waiters of each, and further groups later."""
        now = self._timers.time()
        earned = (now - self._allowance_at) * IN_TURN_PER_SECOND
        self._allowance, self._allowance_at = min(self._allowance + earned, MAX_ATTEMPTS), now
        for _ in range(min(number, int(self._allowance))):
            group = next(self._due, None)
            if group is None:
                self._messages = 0
                break
            self._allowance -= 1
            self._wake(group, waiters)
        if self._messages and self._timer is None:
            self._timer = self._timers.call_at(now + 1 / IN_TURN_PER_SECOND, self._pass_on)

    def _wake(self, group: WaiterGroup, waiters: int) -> None:
        # It may have been removed since it became due.
        if group in self._groups:
            self.callers.move_to_end(group.key.caller)
            self.callers[group.key.caller].move_to_end(group)
            group.wake(waiters, exact=self._exact)

    def _pass_on(self) -> None:
        self._timer = None
        if self._messages:
            self._wake_next(1)


def _in_turn(callers: Iterable[Iterable[WaiterGroup]]) -> Iterator[WaiterGroup]:
    """A group of each caller, then another one of each."""
    lines = deque(callers)
    while lines:
        if line := deque(lines.popleft()):
            yield line.popleft()
            lines.append(line)
