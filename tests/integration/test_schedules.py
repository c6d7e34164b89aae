"""Concurrent callers under row-level security never reach messages of others."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest

from tests.gateways import Bearer, RunningGateway
from tests.integration.crowd import PATIENT, Crowd, crowd_of
from tests.integration.jobs import Asked, empty, prepare

GATEWAY = PATIENT | {"PGRST_DB_POOL": "2", "PGMQ_GATEWAY_TRUSTED_PROXIES": "127.0.0.1"}


@pytest.fixture(scope="module")
def gateway(gateway: RunningGateway) -> RunningGateway:
    """A gateway with two connections, and a queue on which each `sub` owns the messages with its name."""
    prepare(gateway)
    return gateway


@pytest.fixture
async def crowd(gateway: RunningGateway) -> AsyncIterator[Crowd]:
    """Its callers, and an empty queue."""
    empty(gateway)
    async with crowd_of(gateway, connections=2) as crowd:
        yield crowd
        await crowd.waiting(0)


def some_call(chance: random.Random, sub: str, number: int) -> Asked:
    """A call of a random kind."""
    function = chance.choice(["send", "send", "send", "read", "pop", "delete", "archive", "complain"])
    arguments: dict[str, Any] = {"queue_name": "jobs"}
    if function == "send":
        arguments["message"] = {"owner": sub, "number": number}
    elif function == "read":
        arguments |= {"sleep_seconds": 0, "n": 3}
    elif function in ("delete", "archive"):
        arguments["message_id"] = chance.randrange(1, 120)
    elif function == "complain":
        arguments = {"marker": f"number {number}"}
    return Asked(sub, function, arguments)


@pytest.mark.parametrize("seed", range(4))
async def test_many_callers_see_and_touch_only_their_own(crowd: Crowd, bearer: Bearer, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    callers = {f"user{n}": bearer("authenticated", sub=f"user{n}") for n in range(6)}
    calls = [some_call(chance, chance.choice(list(callers)), number) for number in range(300)]
    async with crowd.busy():
        tasks = [asyncio.create_task(call.send(crowd, callers)) for call in calls[:120]]
        await crowd.waiting(120)
    tasks += [asyncio.create_task(call.send(crowd, callers)) for call in calls[120:]]
    done = list(zip(calls, await asyncio.gather(*tasks), strict=True))
    for call, answer in done:
        if call.function == "complain":
            told = answer.json()
            assert (told["message"], told["details"]) == (call.arguments["marker"], call.sub)
        else:
            assert answer.status_code == 200, answer.text
    assert_each_owns(crowd, done)


def assert_each_owns(crowd: Crowd, done: Sequence[tuple[Asked, httpx.Response]]) -> None:
    """Assert that responses equal the effects, that each happened once, and to the caller's own messages."""
    sent = {a.json()[0]: c.arguments["message"] for c, a in done if c.function == "send"}
    taken: Counter[int] = Counter()
    for call, answer in done:
        if call.function in ("read", "pop"):
            rows = {row["msg_id"]: row["message"] for row in answer.json()}
            assert all(sent[number] == message for number, message in rows.items())
            assert {message["owner"] for message in rows.values()} <= {call.sub}
            taken.update(list(rows) if call.function == "pop" else [])
        elif call.function in ("delete", "archive") and answer.json():
            assert sent[call.arguments["message_id"]]["owner"] == call.sub
            taken[call.arguments["message_id"]] += 1
    assert len(sent) == sum(call.function == "send" for call, _ in done)
    assert set(taken.values()) <= {1}
    left = crowd.sql("select msg_id, message from pgmq.q_jobs order by 1")
    assert left == [(number, sent[number]) for number in sorted(sent) if number not in taken]
    archived = [c.arguments["message_id"] for c, a in done if c.function == "archive" and a.json()]
    assert crowd.sql("select msg_id, message from pgmq.a_jobs order by 1") == [(n, sent[n]) for n in sorted(archived)]
