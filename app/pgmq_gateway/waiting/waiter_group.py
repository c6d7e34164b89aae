"""Waiters with the same caller, function, statement and body: they find the same messages."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from pgmq_gateway.calls.call import Answer, Call
from pgmq_gateway.errors import GatewayError
from pgmq_gateway.waiting.timers import Alarm, Timers
from pgmq_gateway.waiting.waiter import Waiter

if TYPE_CHECKING:
    from pgmq_gateway.waiting.outage import Outage
    from pgmq_gateway.waiting.waiter_queue import WaiterQueue
    from pgmq_gateway.waiting.waiters import GroupKey

# Attempts of one group at a time: about half of a full shared transaction.
MAX_ATTEMPTS = 32
# After the first wake-up in vain; doubled with each further one, except for messages that the group sees.
FIRST_REST_SECONDS, LONGEST_REST_SECONDS = 0.05, 1.0
# After attempts for which no connection became free.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 8.0
# Of attempts that are not counted.
NO_ROUND = -1


class WaiterGroup:
    """Waiters in the order of their arrival. One that was woken in vain returns to the head.

    A group that is woken in vain rests, longer each time, so that messages that it cannot see cause few attempts.

    key       equal for the calls of the group
    queues    the waiter queues that it is in
    tried_at  when it was woken last
    """

    def __init__(self, key: "GroupKey", queues: Sequence["WaiterQueue"], timers: Timers, outage: "Outage") -> None:
        self.key = key
        self.queues = queues
        self.tried_at = timers.time()
        self._timers = timers
        self._outage = outage
        # All, and those without an attempt. A waiter whose attempt has ended can still return messages.
        self._present: dict[Waiter, None] = {}
        self._idle: OrderedDict[Waiter, None] = OrderedDict()
        self._attempting = 0
        # Wake-ups that no attempt has followed yet.
        self._wakeups = 0
        self._exact = False
        # A round ends with a wake-up in vain, or with messages: the other attempts of a round are not counted.
        self._round = 0
        # The rest after the last wake-up in vain; 0: a message was found since.
        self._rest = self._missed_at = self._postponed_until = 0.0
        # The pause after the last attempt without a connection; 0: one was served since.
        self._pause = 0.0
        self._alarm = Alarm(timers, self._continue)
        # Of the last attempt that did not end a wait: that of waiters without an answer of their own.
        self._outcome: Answer | GatewayError | None = None

    @property
    def empty(self) -> bool:
        return not self._present

    @property
    def call(self) -> Call:
        """The call of the waiter that arrived first. A request is not kept when its waiter has left."""
        return next(iter(self._present)).call

    @property
    def resting(self) -> bool:
        """True if it was woken in vain last."""
        return self._rest > 0

    def enter(self, call: Call) -> Waiter:
        """Add a waiter. It waits without an attempt if those before it have found nothing, unless requests are read."""
        waiter = Waiter(call, self)
        self._present[waiter] = None
        if self._idle and self.key.request is None:
            self._idle[waiter] = None
        else:
            self._start(waiter)
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Remove a waiter. Unless its attempt found messages, it passes its turn on."""
        if waiter.attempting:
            self._stop(waiter)
            self.wake(exact=waiter.exact)
        self._idle.pop(waiter, None)
        del self._present[waiter]

    def wake(self, number: int = 1, *, exact: bool = False) -> None:
        """Let so many waiters attempt their calls; `exact`: for messages that they see."""
        self._exact = self._exact or exact
        self._wakeups = min(self._wakeups + number, MAX_ATTEMPTS)
        self.tried_at = self._timers.time()
        self._continue()

    def found(self, waiter: Waiter, number: int, *, more: bool) -> None:
        """End an attempt that found so many messages; `more`: perhaps not all."""
        self._stop(waiter)
        # Of several queues, it is not known whose messages these were. What another one has must be passed on.
        counted = number if len(self.queues) == 1 else 0
        for queue in self.queues:
            queue.found(counted)
        self._rest = self._pause = self._postponed_until = 0.0
        self._round += 1
        if more:
            self._try_next()
        self._continue()

    def missed(self, waiter: Waiter, outcome: Answer | GatewayError) -> None:
        """End an attempt that found nothing. It is repeated at once if it was woken meanwhile."""
        self._stop(waiter)
        self._return(waiter, outcome)
        self._pause = 0.0
        for queue in self.queues:
            queue.missed()
        if waiter.woken_at and waiter.round == self._round:
            self._round += 1
            if self._rest or not self._wakeups:
                self._missed_at = self._timers.time()
            if not (self._rest and waiter.exact):
                self._rest = min(max(FIRST_REST_SECONDS, 2 * self._rest), LONGEST_REST_SECONDS)
        self._continue()

    def postpone(self, waiter: Waiter, outcome: GatewayError, seconds: float) -> None:
        """End an attempt that is repeated after so many seconds."""
        self._stop(waiter)
        self._return(waiter, outcome)
        self._postponed_until = max(self._postponed_until, self._timers.time() + seconds)
        self._outage.skip(self)
        self.wake(exact=waiter.exact)

    def pause(self, waiter: Waiter, outcome: GatewayError) -> None:
        """End an attempt for which no connection became free. One is repeated, after a longer pause each time."""
        seconds = 0.0
        # Attempts that fail during the pause began before it.
        if self._timers.time() >= self._postponed_until:
            seconds = self._pause = min(max(FIRST_PAUSE_SECONDS, 2 * self._pause), LONGEST_PAUSE_SECONDS)
        self.postpone(waiter, outcome, seconds)

    def hold(self, waiter: Waiter, outcome: GatewayError) -> None:
        """End an attempt that could not reach the database. It is repeated after the outage."""
        self._stop(waiter)
        self._return(waiter, outcome)
        self._outage.begin(outcome)
        self.wake(exact=waiter.exact)

    def attempt(self) -> None:
        """Let a waiter find out whether the outage has ended."""
        if self._idle:
            self._wakeups = max(self._wakeups - 1, 0)
            self._wake_first()

    def go_on(self) -> None:
        """Start the attempts of wake-ups during the outage."""
        self._continue()

    def result(self, waiter: Waiter) -> Answer:
        """The answer to a waiter whose time is up: its last one, or else its group's. Raises an error of the group."""
        error = self._outage.error_of(self)
        if error is None and isinstance(waiter.outcome, Answer):
            return waiter.outcome
        outcome = error or self._outcome
        assert outcome is not None
        if isinstance(outcome, GatewayError):
            raise outcome.with_traceback(None)
        # These were set for the request of another waiter.
        return msgspec.structs.replace(outcome, headers=None, status=None)

    def close(self) -> None:
        """End its timers."""
        self._outage.forget(self)
        self._alarm.cancel()

    def _start(self, waiter: Waiter) -> None:
        self._attempting += 1
        waiter.round = self._round
        waiter.start()

    def _stop(self, waiter: Waiter) -> None:
        self._attempting -= 1
        waiter.attempting = False

    def _return(self, waiter: Waiter, outcome: Answer | GatewayError) -> None:
        """Let a waiter wait again, unless its time is up."""
        self._outcome = waiter.outcome = outcome
        if waiter.over:
            return
        self._idle[waiter] = None
        if waiter.woken_at:
            self._idle.move_to_end(waiter, last=False)

    def _rests_until(self) -> float:
        rest = min(self._rest, FIRST_REST_SECONDS) if self._exact else self._rest
        return max(self._missed_at + rest, self._postponed_until)

    def _continue(self) -> None:
        """Start the attempts of the wake-ups so far: at most MAX_ATTEMPTS at a time, and one after a rest."""
        if not self._wakeups:
            return
        rests_until = self._rests_until()
        if self._timers.time() < rests_until:
            self._alarm.set(rests_until)
            return
        if self._outage.holds(self):
            return
        # After a rest or a pause, one attempt stands for all wake-ups.
        one = self._rest > 0 or self._pause > 0
        places = (1 if one else MAX_ATTEMPTS) - self._attempting
        number = min(self._wakeups, places, len(self._idle))
        if number <= 0:
            return
        for _ in range(number):
            self._wake_first()
        self._wakeups = self._wakeups - number if self._idle and not one else 0
        self._exact = self._exact and self._wakeups > 0

    def _try_next(self) -> None:
        """Let the next waiter look for more messages. If there are none, that is no wake-up in vain."""
        if self._idle and self._attempting < MAX_ATTEMPTS:
            self._wake_first().round = NO_ROUND

    def _wake_first(self) -> Waiter:
        waiter, _ = self._idle.popitem(last=False)
        waiter.woken_at, waiter.exact = self._timers.time(), self._exact
        self._start(waiter)
        return waiter
