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

    __slots__ = ("__weakref__", "_parked", "_parking", "flow", "requests")

    def __init__(self, parking: "Parking", flow: Hashable) -> None:
        self.flow = flow
        self.requests = 0
        self._parking = parking
        self._parked: deque[Parkable] = deque()

    @property
    def full(self) -> bool:
        """True if further requests of the flow must wait."""
        return self.requests >= MAX_IN_PROCESS and self._parking.others_are_active(self.flow)

    def leave(self) -> None:
        """End a request. The connection that has waited longest continues."""
        self.requests -= 1
        while self._parked and not self.full:
            self._parked.popleft().resume()

    def park(self, connection: Parkable) -> None:
        """Let a connection wait for its turn."""
        self._parked.append(connection)


class Parking:
    """The crowds of all flows. A crowd lives as long as one of its requests or connections."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._activity = Activity()
        self._crowds: WeakValueDictionary[Hashable, Crowd] = WeakValueDictionary()

    def enter(self, flow: Hashable, expected: Crowd | None) -> Crowd:
        """The crowd of a flow, which counts as active now, with a request that has begun.

        expected  the crowd that the request was counted in before its flow was known
        """
        self._activity.seen(flow, self._clock())
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
        return self._activity.others_until(flow) > self._clock()
