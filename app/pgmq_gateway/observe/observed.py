"""Observers of requests: the request log and tracing, called at the start and the end of each request."""

from collections.abc import Callable, Sequence
from time import time_ns
from typing import Protocol

from pgmq_gateway.errors import Headers
from pgmq_gateway.http.request import Request
from pgmq_gateway.http.response import Response

MAX_PATH_LENGTH = 256

# Called at the end of a request with its response and the seconds since its start.
End = Callable[[Response, float], None]


class Observer(Protocol):
    """Observes requests."""

    def begun(self, observed: "Observed") -> End:
        """Called at the start of a request."""


class Unobserved:
    """A request without observers. `headers` are added to its response."""

    __slots__ = ()

    headers: Headers = ()

    def ended(self, response: Response) -> None:
        """Call the observers at the end of the request."""


UNOBSERVED = Unobserved()


class Observed(Unobserved):
    """A request with observers.

    name      request ID, from the client or generated; empty without the request log
    began     nanoseconds since the epoch
    scheme    http or https
    trace_id  empty without tracing
    """

    __slots__ = ("_ends", "began", "headers", "name", "request", "scheme", "trace_id")

    def __init__(self, request: Request, scheme: str, observers: Sequence[Observer]) -> None:
        self.request = request
        self.began = time_ns()
        self.scheme = scheme
        self.name = ""
        self.trace_id = ""
        self.headers: Headers = ()
        self._ends = [observer.begun(self) for observer in observers]

    @property
    def path(self) -> str:
        """The path without the query string, truncated to MAX_PATH_LENGTH characters."""
        return self.request.path[:MAX_PATH_LENGTH] or "/"

    def ended(self, response: Response) -> None:
        seconds = self.request.timing.elapsed
        for end in self._ends:
            end(response, seconds)
