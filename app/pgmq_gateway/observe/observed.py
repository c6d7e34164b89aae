"""Requests that somebody watches: what is known of one when it is over, for the log and for traces."""

from collections.abc import Callable, Mapping, Sequence
from time import time_ns
from typing import Protocol

from pgmq_gateway.errors import Headers
from pgmq_gateway.http.asgi import Receive, Scope
from pgmq_gateway.http.request import Described, Request
from pgmq_gateway.http.response import Response
from pgmq_gateway.http.timing import Timing

# Characters of a path that are told.
LONGEST_PATH = 256

# What is to be done when a request is over, after so many seconds; without a response, its client went before.
End = Callable[[Response | None, float], None]


class Observer(Protocol):
    """Who watches requests."""

    def begun(self, request: "Observed") -> End:
        """A request has come in."""


class Observed(Request):
    """A request that is watched.

    name      what it is called, by its client or by the gateway; empty unless somebody names requests
    began     nanoseconds since 1970
    scheme    http or https
    received  bytes of its body
    trace_id  of the trace that it belongs to; empty without traces
    carried   headers that SQL is shown in place of the client's; an empty one is left out
    shown     headers that go back with its answer
    """

    __slots__ = ("_ends", "began", "carried", "name", "received", "scheme", "shown", "trace_id")

    def __init__(self, scope: Scope, receive: Receive, longest: int, observers: Sequence[Observer]) -> None:
        super().__init__(scope, receive, longest, timed=True)
        self.began = time_ns()
        self.scheme: str = scope.get("scheme", "http")
        self.name = ""
        self.received = 0
        self.trace_id = ""
        self.carried: Mapping[str, str] = {}
        self.shown: Headers = ()
        self._ends = [observer.begun(self) for observer in observers]

    @property
    def place(self) -> str:
        """Its path as it is told: without the query string, and not endless."""
        return self.path[:LONGEST_PATH] or "/"

    @property
    def stopwatch(self) -> Timing:
        """What times it and its stages."""
        assert isinstance(self.timing, Timing)
        return self.timing

    @property
    def stages(self) -> Sequence[tuple[str, float]]:
        """What it has gone through, each with its seconds."""
        return self.stopwatch.stages

    async def body(self) -> bytes:
        """The whole body. Raises what a request's does."""
        body = await super().body()
        self.received = len(body)
        return body

    def described(self) -> Described:
        """The request for SQL."""
        described = super().described()
        return described.carrying(self.carried) if self.carried else described

    def ended(self, response: Response | None) -> None:
        """It is over; without a response, its client went before."""
        seconds = self.stopwatch.elapsed
        for end in self._ends:
            end(response, seconds)
