"""Random calls of a few callers over one connection, compared with a model of a queue.

Which of them share a transaction, and in which order they run, depends on time. Some order must explain the responses
and the tables.
"""

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.gateways import Bearer, RunningGateway
from tests.integration.crowd import crowd_of
from tests.integration.jobs import Asked, empty, prepare

GATEWAY = {"PGRST_DB_POOL": "1"}

Json = Any

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


@dataclass
class Model:
    """The state of a queue for calls one after the other: ids of messages with owners and numbers."""

    messages: dict[int, tuple[str, int]] = field(default_factory=dict)
    archived: frozenset[int] = frozenset()
    leased: frozenset[int] = frozenset()
    last: int = 0

    def run(self, call: Asked, response: Json) -> Json:
        """The predicted response of the call. Ids of messages are taken from the response, and must ascend."""
        if call.function == "complain":
            return call.arguments["marker"]
        if call.function == "send":
            (number,) = response
            if number <= self.last:
                return None
            self.last = number
            message = call.arguments["message"]
            self.messages[number] = message["owner"], message["number"]
            return response
        if call.function in ("delete", "archive"):
            return self._finish(call)
        seen = [n for n in self._of(call.sub) if n not in self.leased][: call.arguments.get("n", 1)]
        numbers = [self.messages[n][1] for n in seen]
        if call.function == "pop":
            for number in seen:
                del self.messages[number]
        else:
            self.leased |= set(seen)
        return numbers

    @property
    def state(self) -> Hashable:
        return frozenset(self.messages), self.archived, self.leased, self.last

    def _of(self, sub: str) -> list[int]:
        return sorted(number for number, (owner, _) in self.messages.items() if owner == sub)

    def _finish(self, call: Asked) -> bool:
        number = call.arguments["message_id"]
        if number not in self._of(call.sub):
            return False
        del self.messages[number]
        if call.function == "archive":
            self.archived |= {number}
        return True


def explained(calls: Sequence[Asked], responses: Sequence[Json], left: Model) -> bool:
    """True if an order of the calls has these responses and leaves these tables."""
    failed: set[Hashable] = set()

    def explain(remaining: tuple[int, ...], model: Model) -> bool:
        if not remaining:
            return (model.messages, model.archived) == (left.messages, left.archived)
        if (key := (remaining, model.state)) in failed:
            return False
        for place in remaining:
            tried = replace(model, messages=dict(model.messages))
            others = tuple(other for other in remaining if other != place)
            if tried.run(calls[place], responses[place]) == responses[place] and explain(others, tried):
                return True
        failed.add(key)
        return False

    return explain(tuple(range(len(calls))), Model())


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


def predicted_part(answer: httpx.Response) -> Json:
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
def test_calls_that_wait_together_have_the_effects_of_calls_one_after_the_other(
    gateway: RunningGateway, bearer: Bearer, moves: Sequence[tuple[str, str, int]]
) -> None:
    calls = asked(moves)
    asyncio.run(_compare(gateway, bearer, calls))


async def _compare(gateway: RunningGateway, bearer: Bearer, calls: Sequence[Asked]) -> None:
    empty(gateway)
    callers = {sub: bearer("authenticated", sub=sub) for sub in SUBS}
    async with crowd_of(gateway) as crowd:
        async with crowd.busy():
            tasks = await crowd.in_turn(*(call.send(crowd, callers) for call in calls))
        answers = await asyncio.gather(*tasks)
    rows = gateway.sql("select msg_id, message->>'owner', (message->>'number')::int from pgmq.q_jobs")
    archived = gateway.sql("select msg_id from pgmq.a_jobs")
    left = Model({number: (owner, sent) for number, owner, sent in rows}, frozenset(number for (number,) in archived))
    responses = [predicted_part(answer) for answer in answers]
    assert explained(calls, responses, left), (calls, responses, left)
