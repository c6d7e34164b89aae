"""Random calls of a few callers over one connection, compared with a model of a queue."""

import asyncio
from collections.abc import Sequence
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.gateways import Bearer, RunningGateway
from tests.integration.crowd import crowd_of
from tests.integration.jobs import Asked, empty, prepare

GATEWAY = {"PGRST_DB_POOL": "1"}

SUBS = ("ann", "bob", "eve")
FUNCTIONS = ("send", "send", "read", "pop", "delete", "archive", "complain")
MOVES = st.tuples(
    st.sampled_from(SUBS),
    st.sampled_from(FUNCTIONS),
    st.integers(1, 4),
)


@pytest.fixture(scope="module")
def gateway(gateway: RunningGateway) -> RunningGateway:
    """A gateway with one connection and the queue."""
    prepare(gateway)
    return gateway


class Model:
    """The behaviour of a queue for calls one after the other."""

    def __init__(self) -> None:
        self.messages: dict[int, dict[str, Any]] = {}
        self.archived: list[int] = []
        self.leased: set[int] = set()
        self._numbers = count(1)

    def run(self, call: Asked) -> Any:  # noqa: ANN401 as JSON has it
        """The predicted response of the call."""
        if call.function == "complain":
            return call.arguments["marker"]
        if call.function == "send":
            number = next(self._numbers)
            self.messages[number] = call.arguments["message"]
            return [number]
        if call.function in ("delete", "archive"):
            return self._finish(call)
        seen = [n for n in self._of(call.sub) if n not in self.leased][: call.arguments.get("n", 1)]
        if call.function == "pop":
            return [self.messages.pop(number)["number"] for number in seen]
        self.leased.update(seen)
        return [self.messages[number]["number"] for number in seen]

    def _of(self, sub: str) -> list[int]:
        return sorted(number for number, message in self.messages.items() if message["owner"] == sub)

    def _finish(self, call: Asked) -> bool:
        number = call.arguments["message_id"]
        if number not in self._of(call.sub):
            return False
        del self.messages[number]
        if call.function == "archive":
            self.archived.append(number)
        return True


def asked(moves: Sequence[tuple[str, str, int]]) -> list[Asked]:
    """The calls, each with its number."""
    calls = []
    for number, (sub, function, value) in enumerate(moves):
        arguments: dict[str, Any] = {"queue_name": "jobs"}
        if function == "send":
            arguments["message"] = {"owner": sub, "number": number}
        elif function == "read":
            arguments |= {"sleep_seconds": 600, "n": value}
        elif function in ("delete", "archive"):
            arguments["message_id"] = value
        elif function == "complain":
            arguments = {"marker": f"number {number}"}
        calls.append(Asked(sub, function, arguments))
    return calls


def turns(calls: Sequence[Asked]) -> list[int]:
    """The positions of calls in the order in which they run: by caller and function; calls that settle, by body too."""
    subs = list(dict.fromkeys(call.sub for call in calls))

    def key(place: int) -> tuple[int, str, str]:
        call = calls[place]
        return subs.index(call.sub), call.function, call.body if call.function in ("delete", "archive") else ""

    return sorted(range(len(calls)), key=key)


def predicted_part(answer: httpx.Response) -> Any:  # noqa: ANN401 as JSON has it
    """The parts of a response that the model predicts."""
    body = answer.json()
    if answer.is_error:
        return body["message"]
    return (
        [row["message"]["number"] if isinstance(row, dict) else row for row in body] if isinstance(body, list) else body
    )


EVERYTHING = [(sub, function, 1) for function in FUNCTIONS for sub in SUBS]


@given(moves=st.lists(MOVES, min_size=2, max_size=14))
@example(moves=EVERYTHING)
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_shared_calls_have_the_effects_of_calls_one_after_the_other(
    gateway: RunningGateway, bearer: Bearer, moves: Sequence[tuple[str, str, int]]
) -> None:
    calls = asked(moves)
    asyncio.run(_compare(gateway, bearer, calls))


async def _compare(gateway: RunningGateway, bearer: Bearer, calls: Sequence[Asked]) -> None:
    empty(gateway)
    model, callers = Model(), {sub: bearer("authenticated", sub=sub) for sub in SUBS}
    async with crowd_of(gateway) as crowd:
        async with crowd.busy():
            tasks = await crowd.in_turn(*(call.send(crowd, callers) for call in calls))
        answers = await asyncio.gather(*tasks)
    expected = {place: model.run(calls[place]) for place in turns(calls)}
    assert [predicted_part(answer) for answer in answers] == [expected[place] for place in range(len(calls))]
    left = gateway.sql("select msg_id, message from pgmq.q_jobs order by 1")
    assert left == sorted(model.messages.items())
    assert gateway.sql("select msg_id from pgmq.a_jobs order by 1") == [(number,) for number in sorted(model.archived)]
