"""Requests under observation: observers are told of the start and the end of each, for the log and for traces."""

from collections.abc import Callable, Sequence
from time import time_ns
from typing import Protocol

from pgmq_gateway.errors import Headers
from pgmq_gateway.http.asgi import Scope
from pgmq_gateway.http.request import Request
from pgmq_gateway.http.response import Response

MAX_PATH_LENGTH = 256

# Called at the end of a request with its response and the seconds since its start.
End = Callable[[Response, float], None]


class Observer(Protocol):
    """Observes requests."""

    def begun(self, observed: "Observed") -> End:
        """Take note of a new request."""


class Unobserved:
    """A request without observers. `headers` are added to its response."""

    __slots__ = ()

    headers: Headers = ()

    def ended(self, response: Response) -> None:
        """Tell the observers that the request is over."""


UNOBSERVED = Unobserved()


class Observed(Unobserved):
    """A request with observers.

    name      its id, from its client or from the gateway; empty unless an observer names requests
    began     nanoseconds since 1970
    scheme    http or https
    trace_id  the trace that it belongs to; empty without traces
    """

    __slots__ = ("_ends", "began", "headers", "name", "request", "scheme", "trace_id")

    def __init__(self, request: Request, scope: Scope, observers: Sequence[Observer]) -> None:
        self.request = request
        self.began = time_ns()
        self.scheme: str = scope.get("scheme", "http")
        self.name = ""
        self.trace_id = ""
        self.headers: Headers = ()
        self._ends = [observer.begun(self) for observer in observers]

    @property
    def path(self) -> str:
        """Its path without the query string, cut to MAX_PATH_LENGTH characters."""
        return self.request.path[:MAX_PATH_LENGTH] or "/"

    def ended(self, response: Response) -> None:
        seconds = self.request.timing.elapsed
        for end in self._ends:
            end(response, seconds)
