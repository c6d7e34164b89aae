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
# The key of a request's crowd in its ASGI scope. A connection sets it to the crowd of its last request.
CROWD = "pgmq_gateway.crowd"


class Parkable(Protocol):
    """A connection."""

    def resume(self) -> None:
        """Continue, unless it has been closed."""


class Crowd:
    """The requests of one flow in process, and its connections that wait for their turn.

    requests  their number; the code that starts one increments it
    """

    __slots__ = ("__weakref__", "_limit", "_parked", "_parking", "_progress", "_widened_until", "flow", "requests")

    def __init__(self, parking: "Parking", flow: Hashable) -> None:
        self.flow = flow
        self.requests = 0
        self._parking = parking
        self._parked: deque[Parkable] = deque()
        # Requests in process before others must wait, and the time until which they are more than MAX_IN_PROCESS.
        self._limit, self._widened_until = MAX_IN_PROCESS, float("-inf")
        # When a request ended last, or the first connection was parked.
        self._progress = 0.0

    @property
    def full(self) -> bool:
        """True if further requests of the flow must wait."""
        if self.requests < MAX_IN_PROCESS or not self._parking.others_are_active(self.flow):
            return False
        return self.requests >= self._limit or self._parking.now() >= self._widened_until

    def widen_if_stalled(self) -> None:
        """Allow further requests for a while if none has ended for a while."""
        now = self._parking.now()
        if now - self._progress >= STALL_SECONDS and self.full:
            self._limit, self._widened_until = self.requests + MAX_IN_PROCESS, now + WIDENED_SECONDS
            self._progress = now

    def leave(self) -> None:
        """End a request. The connection that has waited longest continues."""
        self.requests -= 1
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
    """The crowds of all flows. A crowd lives as long as one of its requests or connections."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.now = clock
        self._activity = Activity()
        self._crowds: WeakValueDictionary[Hashable, Crowd] = WeakValueDictionary()

    def enter(self, flow: Hashable, expected: Crowd | None) -> Crowd:
        """The crowd of a flow, which counts as active now, with a request that has begun.

        expected  the crowd that the request was counted in before its flow was known
        """
        self._activity.seen(flow, self.now())
        if expected is not None:
            if expected.flow == flow:
                return expected
            expected.leave()
        crowd = self._crowds.get(flow)
        if crowd is None:
            crowd = self._crowds[flow] = Crowd(self, flow)
        crowd.requests += 1
        return crowd

    def others_are_active(self, flow: Hashable) -> bool:
        return self._activity.others_until(flow) > self.now()
