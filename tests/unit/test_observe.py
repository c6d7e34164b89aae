"""Durations that observers receive."""

import pytest

from pgmq_gateway.http import timing
from pgmq_gateway.http.asgi import Message
from pgmq_gateway.http.asgi_exchange import AsgiExchange
from pgmq_gateway.http.memory import Memory
from pgmq_gateway.http.request import Request
from pgmq_gateway.http.response import CLIENT_GONE
from pgmq_gateway.http.timing import StageStopwatch
from pgmq_gateway.observe.observed import End, Observed

SCOPE = {"method": "GET", "raw_path": b"/", "query_string": b"", "headers": []}


class Elapsed:
    """An observer that records durations."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def begun(self, observed: Observed) -> End:  # noqa: ARG002
        return lambda _, seconds: self.seconds.append(seconds)


async def receive() -> Message:
    raise AssertionError("these requests have no body")


async def send(message: Message) -> None:
    raise AssertionError(f"these requests get no response: {message}")


def test_the_stages_of_a_request_never_take_longer_than_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    # The machine is busy while the request starts.
    moments = iter([100.0, 107.0, 108.0, 109.0])
    monkeypatch.setattr(timing, "perf_counter", lambda: next(moments))
    elapsed = Elapsed()
    request = Request(AsgiExchange(SCOPE, receive, send), 0, Memory(0), StageStopwatch())
    observed = Observed(request, "http", [elapsed])
    request.timing.lap("transaction")
    observed.ended(CLIENT_GONE)
    assert sum(seconds for _, seconds in request.timing.stages) <= elapsed.seconds[0]
