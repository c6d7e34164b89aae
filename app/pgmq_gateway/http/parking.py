"""Turns of connections: one client with many of them must not keep the event loop busy for all others.

A flow (a caller, or the address of an anonymous client) has a limited number of requests in process while other flows
are active. Beyond that, the next request of a connection is not parsed until another one of the flow has ended.
"""

from collections import deque
from collections.abc import Callable, Hashable
from time import monotonic
from typing import Protocol
from weakref import WeakValueDictionary

from pgmq_gateway.activity import Activity

# A full shared transaction. Beside others, a caller with 128 connections then sends at 0.6 of its rate; with twice as
# many, another caller's p50 beside 2,000 connections doubles.
MAX_IN_PROCESS = 32
# Requests of which none ends for this time wait in Postgres, and cost the event loop nothing: then as many again start.
# Otherwise those on a locked queue would stop all other requests of their flow.
STALL_SECONDS = 1.0
WIDENED_SECONDS = 5.0
# The key of the FlowRequests that count a request, in its ASGI scope. At first they are those of the connection's last
# request.
FLOW_REQUESTS = "pgmq_gateway.flow_requests"


class Parkable(Protocol):
    """A connection."""

    def resume(self) -> None:
        """Continue, unless it has been closed."""


class FlowRequests:
    """The requests of one flow in process, and its connections that wait for their turn.

    in_process  their number; the code that starts a request increments it
    """

    __slots__ = ("__weakref__", "_limit", "_parked", "_parking", "_progress", "_widened_until", "flow", "in_process")

    def __init__(self, parking: "Parking", flow: Hashable) -> None:
        self.flow = flow
        self.in_process = 0
        self._parking = parking
        self._parked: deque[Parkable] = deque()
        # Requests in process before others must wait, and the time until which they are more than MAX_IN_PROCESS.
        self._limit, self._widened_until = MAX_IN_PROCESS, float("-inf")
        # The time at which a request ended last, or the first connection was parked.
        self._progress = 0.0

    @property
    def full(self) -> bool:
        """True if further requests of the flow must wait."""
        if self.in_process < MAX_IN_PROCESS or not self._parking.others_are_active(self.flow):
            return False
        return self.in_process >= self._limit or self._parking.now() >= self._widened_until

    def widen_if_stalled(self) -> None:
        """Allow further requests for a while if none has ended for a while."""
        now = self._parking.now()
        if now - self._progress >= STALL_SECONDS and self.full:
            self._limit, self._widened_until = self.in_process + MAX_IN_PROCESS, now + WIDENED_SECONDS
            self._progress = now

    def end_one(self) -> None:
        """End a request. The connection that has waited longest continues."""
        self.in_process -= 1
        if self._parked:
            self._progress = self._parking.now()
        while self._parked and not self.full:
            self._parked.popleft().resume()

    def park(self, connection: Parkable) -> None:
        """Let a connection wait for its turn."""
        if not self._parked:
            self._progress = self._parking.now()
        self._parked.append(connection)


class Parking:
    """The requests in process of all flows. Those of a flow are kept while a request or a connection refers to them."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.now = clock
        self._activity = Activity()
        self._by_flow: WeakValueDictionary[Hashable, FlowRequests] = WeakValueDictionary()

    def enter(self, flow: Hashable, expected: FlowRequests | None) -> FlowRequests:
        """The requests of a flow, which counts as active now, with one that has begun.

        expected  those that count it already, because its flow was not yet known
        """
        self._activity.seen(flow, self.now())
        if expected is not None:
            if expected.flow == flow:
                return expected
            expected.end_one()
        flow_requests = self._by_flow.get(flow)
        if flow_requests is None:
            flow_requests = self._by_flow[flow] = FlowRequests(self, flow)
        flow_requests.in_process += 1
        return flow_requests

    def others_are_active(self, flow: Hashable) -> bool:
        return self._activity.others_until(flow) > self.now()
