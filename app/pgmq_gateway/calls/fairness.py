"""Selects the waiting call that gets the next free connection: start-time fair queueing (Goyal, Vin and Cheng, 1996).

Each flow has a virtual time, up to which it has used the database. The next connection goes to the waiting flow with
the least; its calls are charged what they are expected to take when they start, and corrected when they end. A flow
that was idle starts at the virtual time of the last call that was started, so it gains no credit.

Two limits keep connections for others: a flow beside other active ones, and a queue always, use at most `share` of
them. As `share` is more than half, at most one flow and one queue are at their limit while a connection is free.

A third limit makes groups large (`running_groups.py`).
"""

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from pgmq_gateway.activity import Activity
from pgmq_gateway.calls.running_groups import RunningGroups

if TYPE_CHECKING:
    from pgmq_gateway.calls.waiting import WaitingCall

# The first estimate of the time that a call takes, and the longest: a call that takes longer than its estimate is
# charged the rest at its end, but a charge that was too high has ordered its flow behind others already.
FIRST_ESTIMATE_SECONDS = 0.001
MAX_ESTIMATE_SECONDS = 0.01
# The weight of the latest call in the estimate.
LATEST_WEIGHT = 0.125
# A flow may have this many times as many waiting calls as there are free places (dynamic thresholds, Choudhury and
# Hahne, 1998): one flow alone fills three quarters of the admission queue.
WAITING_PER_FREE_PLACE = 3
# Flows without calls that are remembered because they used the database lately.
MAX_RESTING = 10_000
# Entries of closed backlogs in a heap before they are removed.
MAX_STALE_ENTRIES = 64

# Virtual time, arrival of the backlog's first call, number of the entry, backlog.
Entry = tuple[float, int, int, "Backlog"]


class Flow:
    """A caller, or the address of an anonymous client: flows share the database fairly.

    calls       its calls that wait or run
    waiting     those that wait
    running     connections in use
    used        its virtual time in seconds
    estimate    seconds that one of its calls probably takes
    backlogs    its waiting calls by lane
    blocked     backlogs that wait because the flow uses its share of the connections
    """

    __slots__ = ("backlogs", "blocked", "calls", "estimate", "key", "running", "used", "waiting")

    def __init__(self, key: Hashable, estimate: float) -> None:
        self.key = key
        self.estimate = estimate
        self.calls = self.waiting = self.running = 0
        self.used = 0.0
        self.backlogs: dict[Lane, Backlog] = {}
        self.blocked: list[Entry] = []


class Lane:
    """The calls on one queue, or all calls on none.

    running   connections in use
    share     the most that it may use
    groups    those that run several calls, by function
    backlogs  the number of its backlogs
    blocked   backlogs that wait because the lane uses its share, or for a running group
    """

    __slots__ = ("backlogs", "blocked", "groups", "queue", "running", "share")

    def __init__(self, queue: str | None, share: int) -> None:
        self.queue = queue
        self.share = share
        self.running = self.backlogs = 0
        self.groups: dict[str, RunningGroups] = {}
        self.blocked: list[Entry] = []

    @property
    def full_until(self) -> float:
        """The time at which one more group may start, unless one ends before."""
        return min((groups.full_until for groups in self.groups.values()), default=float("-inf"))


class Backlog:
    """The waiting calls of one flow in one lane, in order. It is in one heap: ready, or blocked by either."""

    __slots__ = ("calls", "flow", "lane")

    def __init__(self, flow: Flow, lane: Lane) -> None:
        self.flow = flow
        self.lane = lane
        self.calls: deque[WaitingCall] = deque()


class FairQueue:
    """The waiting calls, and the use of the connections by flow and lane.

    places   calls that may wait
    waiting  calls that wait now
    """

    def __init__(self, size: int, places: int, clock: Callable[[], float]) -> None:
        self._size = size
        self._share = max(1, size - max(1, size // 4))
        self._places = places
        self._clock = clock
        self._activity = Activity()
        self._estimate = FIRST_ESTIMATE_SECONDS
        self._flows: dict[Hashable, Flow] = {}
        self._lanes: dict[str | None, Lane] = {}
        self._backlogs = 0
        self._ready: list[Entry] = []
        # Flows without calls whose virtual time is ahead, by that time; and those whose share blocks backlogs.
        self._resting: list[tuple[float, int, Flow]] = []
        self._limited: set[Flow] = set()
        # Lanes with backlogs that wait for running groups.
        self._grouped: set[Lane] = set()
        # The virtual time; connections in use; calls and entries so far.
        self._now = 0.0
        self._running = 0
        self._calls = self._entries = 0
        self.waiting = 0

    @property
    def ready(self) -> bool:
        """True if `take` may find a call."""
        return bool(self._ready)

    @property
    def limited_until(self) -> float | None:
        """The time at which `reconsider` may find calls of a flow at its limit, or that wait for groups; None without
        such calls."""
        flows = (self._activity.others_until(flow.key) for flow in self._limited)
        return min((*flows, *(lane.full_until for lane in self._grouped)), default=None)

    def flow(self, key: Hashable) -> Flow:
        """The flow, which counts as active now."""
        self._activity.seen(key, self._clock())
        flow = self._flows.get(key)
        if flow is None:
            flow = self._flows[key] = Flow(key, self._estimate)
        return flow

    def lane(self, queue: str | None) -> Lane:
        """The lane of a queue."""
        lane = self._lanes.get(queue)
        if lane is None:
            lane = self._lanes[queue] = Lane(queue, self._size if queue is None else self._share)
        return lane

    def has_place(self, flow: Flow) -> bool:
        """True if one more call of the flow may wait."""
        free = self._places - self.waiting
        return flow.waiting < WAITING_PER_FREE_PLACE * free

    def can_start(self, flow: Flow, lane: Lane) -> bool:
        """True if neither is at its limit."""
        return lane.running < lane.share and not self._at_limit(flow, lane)

    def beside_others(self, flow: Flow) -> bool:
        """True if other flows were active lately."""
        return self._activity.others_until(flow.key) > self._clock()

    def add(self, call: "WaitingCall", *, first: bool = False) -> None:
        """Add a call to its backlog, `first` before the others."""
        flow, lane = call.flow, call.lane
        if not call.number:
            self._calls += 1
            call.number = self._calls
        backlog = flow.backlogs.get(lane) or self._opened(flow, lane)
        if first:
            backlog.calls.appendleft(call)
        else:
            backlog.calls.append(call)
        if len(backlog.calls) == 1:
            self._push(self._ready, backlog)
        flow.calls += 1
        flow.waiting += 1
        self.waiting += 1

    def remove(self, call: "WaitingCall") -> None:
        """Forget a call that ended while it waited."""
        call.flow.waiting -= 1
        call.flow.calls -= 1
        self.waiting -= 1
        # No connection may come free for long, and the oldest calls end first.
        backlog = call.flow.backlogs.get(call.lane)
        if backlog is not None:
            while backlog.calls and not backlog.calls[0].pending:
                backlog.calls.popleft()
            if not backlog.calls:
                self._close(backlog)
        self.forget(call.flow, call.lane)

    def take(self) -> "WaitingCall | None":
        """Take the next call out of the queue; None if all wait for a limit."""
        while self._ready:
            used, number, _, backlog = heappop(self._ready)
            if not self._startable(backlog):
                continue
            flow, lane = backlog.flow, backlog.lane
            if flow.used > used or backlog.calls[0].number > number:
                self._push(self._ready, backlog)
            elif self._is_full(lane, backlog.calls[0]):
                self._push(lane.blocked, backlog)
                if lane.running < lane.share:
                    self._grouped.add(lane)
                self._resume(flow.blocked)
            elif self._at_limit(flow, lane):
                self._push(flow.blocked, backlog)
                self._limited.add(flow)
                self._resume(lane.blocked)
            else:
                call = backlog.calls.popleft()
                if backlog.calls:
                    self._push(self._ready, backlog)
                else:
                    self._close(backlog)
                self.took(call)
                return call
        return None

    def took(self, call: "WaitingCall") -> None:
        """Note that a connection takes a waiting call, which stays in its backlog until it is reached."""
        call.taken = True
        call.flow.waiting -= 1
        self.waiting -= 1

    def start(self, group: "Sequence[WaitingCall]") -> None:
        """Charge calls that start together on one connection. The connection is one of the first call's flow."""
        flow, lane = group[0].flow, group[0].lane
        self._running += 1
        flow.running += 1
        lane.running += 1
        if len(group) > 1 and group[0].group is not None:
            group[0].run = lane.groups.setdefault(group[0].group.function, RunningGroups(lane.share)).start(
                self._clock()
            )
        self._now = max(self._now, flow.used)
        for call in group:
            flow = call.flow
            if not call.taken:
                # It never waited.
                call.taken = True
                flow.calls += 1
            call.charged = flow.estimate
            flow.used = (flow.used if flow.used > self._now else self._now) + call.charged

    def end(self, group: "Sequence[WaitingCall]", seconds: float) -> None:
        """Charge calls what they took together in place of what was expected."""
        first, lane = group[0].flow, group[0].lane
        self._running -= 1
        first.running -= 1
        lane.running -= 1
        if (run := group[0].run) is not None:
            group[0].run = None
            run.groups.end(run, seconds, lane.share)
            # More may run at once than before.
            for _ in range(run.groups.at_once):
                self._resume(lane.blocked)
        each = seconds / len(group)
        self._estimate = first.estimate = _nearer(first.estimate, each)
        for call in group:
            flow = call.flow
            flow.used += each - call.charged
            flow.calls -= 1
            if not flow.calls:
                self._forget_flow(flow)
        if lane.blocked:
            self._resume(lane.blocked)
        if first.blocked:
            self._resume(first.blocked)
        if not lane.running:
            self._forget_lane(lane)

    def forget(self, flow: Flow, lane: Lane) -> None:
        """Forget what has no calls, a flow as soon as it has no debt."""
        self._forget_lane(lane)
        if not flow.calls:
            self._forget_flow(flow)

    def reconsider(self) -> None:
        """Make backlogs ready again that wait because of their flow's limit, or for groups."""
        for lane in self._grouped:
            while lane.blocked:
                self._resume(lane.blocked)
        self._grouped.clear()
        for flow in self._limited:
            for *_, backlog in flow.blocked:
                # The entries of closed backlogs stay until they are reached.
                if backlog.calls:
                    self._push(self._ready, backlog)
            flow.blocked.clear()
        self._limited.clear()

    def _at_limit(self, flow: Flow, lane: Lane) -> bool:
        """True if the flow must leave the next connection to others.

        The last one of its share is not for a queue that has all before: a lock on it must not stop the flow's calls on
        other queues.
        """
        reserved = lane.queue is not None and lane.running >= self._share - 1 > 0
        if flow.running + reserved < self._share or self._share == self._size:
            return False
        return self.beside_others(flow)

    def _is_full(self, lane: Lane, call: "WaitingCall") -> bool:
        """True if the call has to wait until a connection of the lane becomes free, or for running groups."""
        if lane.running >= lane.share:
            return True
        groups = None if call.group is None else lane.groups.get(call.group.function)
        return groups is not None and groups.full_until > self._clock()

    def _startable(self, backlog: Backlog) -> bool:
        """Drop the calls at the head of a backlog that no longer wait. False if none is left."""
        calls = backlog.calls
        while calls:
            if calls[0].startable():
                return True
            calls.popleft()
        self._close(backlog)
        self._resume_others(backlog)
        return False

    def _resume_others(self, backlog: Backlog) -> None:
        """Make backlogs ready that a closed one kept waiting, if it was the only ready one of its lane or its flow."""
        if backlog.lane.running < backlog.lane.share:
            self._resume(backlog.lane.blocked)
        if backlog.flow.running < self._share:
            self._resume(backlog.flow.blocked)

    def _resume(self, blocked: list[Entry]) -> None:
        """Make the first blocked backlog ready, and further ones while those meet the other limit."""
        while blocked:
            backlog = heappop(blocked)[-1]
            if backlog.calls:
                self._push(self._ready, backlog)
                if self.can_start(backlog.flow, backlog.lane) and not self._is_full(backlog.lane, backlog.calls[0]):
                    return

    def _push(self, heap: list[Entry], backlog: Backlog) -> None:
        self._entries += 1
        number = backlog.calls[0].number
        heappush(heap, (max(self._now, backlog.flow.used), number, self._entries, backlog))
        if len(heap) > 2 * self._backlogs + MAX_STALE_ENTRIES:
            self._compact(heap)

    def _compact(self, heap: list[Entry]) -> None:
        """Remove the entries of closed backlogs, which stay until they are reached."""
        closed = [entry[-1] for entry in heap if not entry[-1].calls]
        heap[:] = [entry for entry in heap if entry[-1].calls]
        heapify(heap)
        for backlog in closed:
            self._resume_others(backlog)

    def _opened(self, flow: Flow, lane: Lane) -> Backlog:
        backlog = flow.backlogs[lane] = Backlog(flow, lane)
        lane.backlogs += 1
        self._backlogs += 1
        return backlog

    def _close(self, backlog: Backlog) -> None:
        """Forget an empty backlog. The next call opens another one."""
        if backlog.flow.backlogs.get(backlog.lane) is backlog:
            del backlog.flow.backlogs[backlog.lane]
            backlog.lane.backlogs -= 1
            self._backlogs -= 1

    def _forget_lane(self, lane: Lane) -> None:
        if not lane.running and not lane.backlogs:
            self._lanes.pop(lane.queue, None)

    def _forget_flow(self, flow: Flow) -> None:
        """Forget a flow without calls once its virtual time is no longer ahead, and other such flows."""
        if not self._running and not self.waiting:
            # Without competing calls, earlier use does not count.
            self._flows.clear()
            self._resting.clear()
            return
        self._entries += 1
        heappush(self._resting, (flow.used, self._entries, flow))
        while self._resting and (self._resting[0][0] <= self._now or len(self._resting) > MAX_RESTING):
            used, _, rested = heappop(self._resting)
            if not rested.calls and rested.used <= used:
                self._flows.pop(rested.key, None)


def _nearer(estimate: float, seconds: float) -> float:
    return min(MAX_ESTIMATE_SECONDS, estimate + LATEST_WEIGHT * (seconds - estimate))
