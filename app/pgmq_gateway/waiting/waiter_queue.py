"""All waiters on one message queue in this process."""

import asyncio
from collections.abc import Mapping
from itertools import islice
from math import ceil
from typing import NamedTuple

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.call import Call
from pgmq_gateway.schemas import LEASES, QUEUES
from pgmq_gateway.waiting.clock import Clock
from pgmq_gateway.waiting.policy_probe import PolicyProbe
from pgmq_gateway.waiting.queue_names import UNKNOWN
from pgmq_gateway.waiting.queue_probe import QueueState
from pgmq_gateway.waiting.timers import Alarm, Timers
from pgmq_gateway.waiting.turns import Turns
from pgmq_gateway.waiting.waiter_group import WaiterGroup
from pgmq_gateway.waiting.wakeups import Wakeups

# A send that was not notified can be committed later than the throttle of `wake` ends.
COMMIT_SECONDS = 0.4
# Groups that are woken by each look that shows a visible message, even if it has shown the same one before.
MAX_WOKEN_BY_LOOK = 32
# Each group is woken once in this time, because a look shows neither late commits nor changed policies.
LONGEST_SLEEP_SECONDS = 10.0


class Sources(NamedTuple):
    """The sources of wake-ups, apart from the calls of this process."""

    clock: Clock
    wakeups: Wakeups
    policies: PolicyProbe


class WaiterQueue:
    """The waiter groups of a message queue, and the timers of its wake-ups.

    known  true once an attempt has shown that the queue exists, and that a caller may read it
    """

    def __init__(self, name: str, timers: Timers, sources: Sources) -> None:
        self.name = name
        self.groups: dict[WaiterGroup, None] = {}
        self.known = False
        self._timers = timers
        self._sources = sources
        self._turns = Turns(self.groups, timers)
        self._state: QueueState | None = None
        # The newest visible time of the last look that woke waiters, unless messages were found since then.
        self._newest: float | None = None
        self._due = Alarm(timers, self._wake_due)
        self._again: asyncio.Handle | None = None
        self._again_until = 0.0
        # Asks for the groups that see a message, and the messages reported meanwhile.
        self._asking: asyncio.Task[None] | None = None
        self._messages = 0

    @property
    def reads_requests(self) -> bool:
        """False if it is known that neither the pre-request nor a policy of the queue reads headers or path."""
        return self._state is None or self._sources.policies.reads_requests(self.name, policies=self._state.policies)

    def add(self, group: WaiterGroup) -> None:
        """Add a group with its first waiter."""
        self.groups[group] = None
        self._turns.add(group)

    def remove(self, group: WaiterGroup) -> None:
        """Remove a group without waiters."""
        del self.groups[group]
        self._turns.remove(group)

    def wake(self, messages: int = 1, *, sent: bool = False) -> None:
        """Wake waiters for so many messages; `sent`: they are certainly there."""
        policies = self._state is not None and self._state.policies
        if policies and self._selects():
            self._seek(messages)
        else:
            self._wake_any(messages, exact=sent and self._readable() and not policies)

    def wake_each(self) -> None:
        """Wake a waiter of each group."""
        for group in self.groups:
            if not self._paused(group):
                group.wake()

    def wake_later(self, seconds: float) -> None:
        """Wake a waiter when a message becomes visible, and look when the next one does. Only the earliest is kept."""
        self._due.set(self._timers.time() + seconds)

    def look_again(self) -> None:
        """Look twice for messages that were sent soon after a notification, and are not notified."""
        throttled_until = self._timers.time() + (self._state.throttle if self._state is not None else 0)
        self._again_until = throttled_until + COMMIT_SECONDS
        if self._again is None:
            self._again = self._timers.call_at(throttled_until, self._look_again)

    def found(self, messages: int) -> None:
        """Note that an attempt has found messages."""
        self._newest = None
        if self._turns.found(messages):
            self._seek(1)

    def missed(self) -> None:
        """Note that an attempt has found nothing. The first one announces the queue and asks for a look."""
        if not self.known and self.name != UNKNOWN:
            self.known = True
            self._sources.wakeups.wanted(self.name)
            self._sources.clock.look(self.name)

    def observe(self, state: QueueState) -> bool:
        """Wake waiters for what a look has shown. False if it shows no reason."""
        before, self._state = self._state, state
        if before is None and state.throttle:
            # The last notification may have been earlier than the first waiter.
            self.look_again()
        if not state.exists:
            # Their attempts fail.
            dropped = before is None or before.exists
            return dropped and self._woke_each()
        if before is not None and before.paused and not state.paused:
            self._newest = None
        if all(map(self._paused, self.groups)):
            return False
        if not state.probed:
            self.wake()
            return True
        if state.next_at is not None:
            self.wake_later(state.next_at)
        if not state.visible:
            return False
        if state.newest != self._newest:
            self._newest = state.newest
            self.wake(state.visible)
            return True
        return len(self.groups) <= MAX_WOKEN_BY_LOOK and self._woke_each()

    def wake_sleeping(self, interval: float) -> None:
        """Wake groups that were not woken for long. Called at each interval: not all in the same one."""
        since = self._timers.time() - LONGEST_SLEEP_SECONDS
        sleeping = [group for group in self.groups if group.tried_at <= since and self._may_see(group)]
        for group in islice(sleeping, ceil(len(self.groups) * interval / LONGEST_SLEEP_SECONDS)):
            group.wake()

    def close(self) -> None:
        """End the timers, and forget the queue."""
        self._sources.wakeups.unwanted(self.name)
        self._sources.policies.forget(self.name)
        self._turns.close()
        self._due.cancel()
        for timer in (self._again, self._asking):
            if timer is not None:
                timer.cancel()

    def _may_see(self, group: WaiterGroup) -> bool:
        """False if the queue is empty, unless a function of the user reads something else."""
        state = self._state
        empty = state is not None and state.probed and not state.visible
        return not self._paused(group) and (not empty or group.key.function.schema not in (QUEUES, LEASES))

    def _paused(self, group: WaiterGroup) -> bool:
        """True if the queue is paused for this group. The functions of pgmq_public ignore that, a user's may."""
        return self._state is not None and self._state.paused and group.key.function.schema == LEASES

    def _selects(self) -> bool:
        """True if the policies are worth a probe: the first group to be woken may not see the messages.

        Groups of one caller that differ in headers only can become one if the policies are known not to read them.
        """
        if len(self._turns.callers) > 1 or any(group.resting for group in self.groups):
            return True
        return len(self.groups) > 1 and self._sources.policies.judged(self.name) is None

    def _readable(self) -> bool:
        """True if those who see a visible message can read it."""
        return self._state is not None and not self._state.paused and not self._state.grouped

    def _wake_any(self, messages: int, *, exact: bool) -> None:
        if len(self.groups) == 1:
            next(iter(self.groups)).wake(messages, exact=exact)
        else:
            self._turns.wake_all(messages, exact=exact)

    def _seek(self, messages: int) -> None:
        self._messages += messages
        if self._asking is None:
            self._asking = asyncio.create_task(self._wake_seeing())

    def _woke_each(self) -> bool:
        self.wake_each()
        return True

    async def _wake_seeing(self) -> None:
        """Wake the groups whose caller sees a message."""
        try:
            while self._messages or self._sources.policies.unfinished(self.name):
                messages, self._messages = max(self._messages, 1), 0
                # Others may have found messages meanwhile: groups that see another one are asked about again.
                self._sources.policies.ask_again(self.name, self._turns.unwoken())
                sighting = await self._sources.policies.seeing(self.name, self._waiting)
                if sighting is None or not (sighting.groups or len(self._turns.callers) > 1):
                    # A function of a user may read with other rights.
                    self._wake_any(messages, exact=False)
                else:
                    # Not the messages reported: a probe also finds those whose report comes later.
                    self._turns.wake(sighting.messages, sighting.groups, exact=self._readable())
        finally:
            self._asking = None

    def _waiting(self) -> Mapping[WaiterGroup, tuple[Caller, Call]]:
        return {group: (group.key.caller, group.call) for group in self.groups}

    def _wake_due(self) -> None:
        self.wake()
        self._sources.clock.look(self.name)

    def _look_again(self) -> None:
        self._again = None
        self._sources.clock.look(self.name)
        if self._timers.time() < self._again_until:
            self._again = self._timers.call_at(self._again_until, self._look_again)
