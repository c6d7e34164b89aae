"""Which waiting call gets the next free connection: start-time fair queueing (Goyal, Vin and Cheng, 1996).

Each flow has a virtual time, up to which it has used the database. The next connection goes to the waiting flow with
the least; its calls are charged what they are expected to take when they start, and corrected when they end. A flow
that was idle starts at the virtual time of the last call that was started, so it gains no credit.

Two limits keep connections for others: a flow beside other active ones, and a queue always, use at most `share` of
them. As `share` is more than half, at most one flow and one queue are at their limit while a connection is free.
"""

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from pgmq_gateway.activity import Activity

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
# Entries of closed lines in a heap before they are removed.
MAX_STALE_ENTRIES = 64

# Virtual time, arrival of the line's first call, number of the entry, line.
Entry = tuple[float, int, int, "Line"]


class Flow:
    """A caller, or the address of an anonymous client: flows share the database fairly.

    calls       its calls that wait or run
    waiting     those that wait
    running     connections in use
    used        its virtual time in seconds
    estimate    seconds that one of its calls probably takes
    lines       its waiting calls by lane
    held        lines that wait because the flow uses its share of the connections
    """

    __slots__ = ("calls", "estimate", "held", "key", "lines", "running", "used", "waiting")

    def __init__(self, key: Hashable, estimate: float) -> None:
        self.key = key
        self.estimate = estimate
        self.calls = self.waiting = self.running = 0
        self.used = 0.0
        self.lines: dict[Lane, Line] = {}
        self.held: list[Entry] = []


class Lane:
    """The calls on one queue, or all calls on none.

    running  connections in use
    share    the most that it may use
    lines    the number of its lines
    held     lines that wait because the lane uses its share
    """

    __slots__ = ("held", "lines", "queue", "running", "share")

    def __init__(self, queue: str | None, share: int) -> None:
        self.queue = queue
        self.share = share
        self.running = self.lines = 0
        self.held: list[Entry] = []


class Line:
    """The waiting calls of one flow in one lane, in order. It is in one of the heaps: ready, or held by either."""

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
        self._lines = 0
        self._ready: list[Entry] = []
        # Flows without calls whose virtual time is ahead, by that time; and those with held lines.
        self._resting: list[tuple[float, int, Flow]] = []
        self._limited: set[Flow] = set()
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
        """The time at which `reconsider` may find calls of a flow at its limit; None without such calls."""
        return min((self._activity.others_until(flow.key) for flow in self._limited), default=None)

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

    def add(self, call: "WaitingCall", *, first: bool = False) -> None:
        """Let a call wait, `first` before the others of its line."""
        flow, lane = call.flow, call.lane
        if not call.number:
            self._calls += 1
            call.number = self._calls
        line = flow.lines.get(lane) or self._opened(flow, lane)
        if first:
            line.calls.appendleft(call)
        else:
            line.calls.append(call)
        if len(line.calls) == 1:
            self._push(self._ready, line)
        flow.calls += 1
        flow.waiting += 1
        self.waiting += 1

    def remove(self, call: "WaitingCall") -> None:
        """Forget a call that ended while it waited."""
        call.flow.waiting -= 1
        call.flow.calls -= 1
        self.waiting -= 1
        # No connection may come free for long, and the oldest calls end first.
        line = call.flow.lines.get(call.lane)
        if line is not None:
            while line.calls and not line.calls[0].pending:
                line.calls.popleft()
            if not line.calls:
                self._close(line)
        self.forget(call.flow, call.lane)

    def take(self) -> "WaitingCall | None":
        """Take the next call out of the queue; None if all wait for a limit."""
        while self._ready:
            used, number, _, line = heappop(self._ready)
            if not self._startable(line):
                continue
            flow, lane = line.flow, line.lane
            if flow.used > used or line.calls[0].number > number:
                self._push(self._ready, line)
            elif lane.running >= lane.share:
                self._push(lane.held, line)
                self._resume(flow.held)
            elif self._at_limit(flow, lane):
                self._push(flow.held, line)
                self._limited.add(flow)
                self._resume(lane.held)
            else:
                call = line.calls.popleft()
                if line.calls:
                    self._push(self._ready, line)
                else:
                    self._close(line)
                self.took(call)
                return call
        return None

    def took(self, call: "WaitingCall") -> None:
        """Note that a connection takes a waiting call, which stays in its line until it is reached."""
        call.taken = True
        call.flow.waiting -= 1
        self.waiting -= 1

    def start(self, group: "Sequence[WaitingCall]") -> None:
        """Charge calls that start together on one connection. The connection is one of the first call's flow."""
        flow, lane = group[0].flow, group[0].lane
        self._running += 1
        flow.running += 1
        lane.running += 1
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
        each = seconds / len(group)
        self._estimate = first.estimate = _nearer(first.estimate, each)
        for call in group:
            flow = call.flow
            flow.used += each - call.charged
            flow.calls -= 1
            if not flow.calls:
                self._forget_flow(flow)
        if lane.held:
            self._resume(lane.held)
        if first.held:
            self._resume(first.held)
        if not lane.running:
            self._forget_lane(lane)

    def forget(self, flow: Flow, lane: Lane) -> None:
        """Forget what has no calls, a flow as soon as it has no debt."""
        self._forget_lane(lane)
        if not flow.calls:
            self._forget_flow(flow)

    def reconsider(self) -> None:
        """Make lines of flows that were at their limit ready again."""
        for flow in self._limited:
            for *_, line in flow.held:
                # The entries of closed lines stay until they are reached.
                if line.calls:
                    self._push(self._ready, line)
            flow.held.clear()
        self._limited.clear()

    def _at_limit(self, flow: Flow, lane: Lane) -> bool:
        """True if the flow must leave the next connection to others.

        The last one of its share is not for a queue that has all before: a lock on it must not stop the flow's calls on
        other queues.
        """
        crowded = lane.queue is not None and lane.running >= self._share - 1 > 0
        if flow.running + crowded < self._share or self._share == self._size:
            return False
        return self._activity.others_until(flow.key) > self._clock()

    def _startable(self, line: Line) -> bool:
        """Drop the calls at the head of a line that no longer wait. False if none is left."""
        calls = line.calls
        while calls:
            if calls[0].startable():
                return True
            calls.popleft()
        self._close(line)
        self._resume_others(line)
        return False

    def _resume_others(self, line: Line) -> None:
        """Let held lines take the place of a closed one, if it was the only ready one of its lane or its flow."""
        if line.lane.running < line.lane.share:
            self._resume(line.lane.held)
        if line.flow.running < self._share:
            self._resume(line.flow.held)

    def _resume(self, held: list[Entry]) -> None:
        """Make the first held line ready, and further ones while those meet the other limit."""
        while held:
            line = heappop(held)[-1]
            if line.calls:
                self._push(self._ready, line)
                if self.can_start(line.flow, line.lane):
                    return

    def _push(self, heap: list[Entry], line: Line) -> None:
        self._entries += 1
        number = line.calls[0].number
        heappush(heap, (max(self._now, line.flow.used), number, self._entries, line))
        if len(heap) > 2 * self._lines + MAX_STALE_ENTRIES:
            self._compact(heap)

    def _compact(self, heap: list[Entry]) -> None:
        """Remove the entries of closed lines, which stay until they are reached."""
        closed = [entry[-1] for entry in heap if not entry[-1].calls]
        heap[:] = [entry for entry in heap if entry[-1].calls]
        heapify(heap)
        for line in closed:
            self._resume_others(line)

    def _opened(self, flow: Flow, lane: Lane) -> Line:
        line = flow.lines[lane] = Line(flow, lane)
        lane.lines += 1
        self._lines += 1
        return line

    def _close(self, line: Line) -> None:
        """Forget an empty line. The next call opens another one."""
        if line.flow.lines.get(line.lane) is line:
            del line.flow.lines[line.lane]
            line.lane.lines -= 1
            self._lines -= 1

    def _forget_lane(self, lane: Lane) -> None:
        if not lane.running and not lane.lines:
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
