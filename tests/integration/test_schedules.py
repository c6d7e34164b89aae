"""Concurrent callers under row-level security never reach messages of others."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest

from tests.gateways import Bearer, RunningGateway
from tests.integration.crowd import Crowd, crowd_of
from tests.integration.jobs import Asked, empty, prepare
from tests.waiting import until

GATEWAY = {"PGRST_DB_POOL": "2", "PGMQ_GATEWAY_TRUSTED_PROXIES": "127.0.0.1"}
SCHEMAS = (
    "do $d$ begin execute format('alter database %I set deadlock_timeout = ''50ms''', current_database()); end $d$",
)


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


async def test_deleting_the_same_messages_in_another_order_causes_no_deadlocks(
    gateway: RunningGateway, crowd: Crowd, bearer: Bearer
) -> None:
    gateway.sql(
        "create function public.dawdle() returns trigger language plpgsql as "
        "$f$ begin perform pg_sleep(0.003); return old; end $f$"
    )
    gateway.sql("create trigger dawdle before delete on pgmq.q_jobs for each row execute function public.dawdle()")
    callers = [bearer("service_role", sub=sub) for sub in ("ann", "bob")]
    numbers = range(1, 25)
    gateway.sql("select pgmq.send_batch('jobs', array(select '1'::jsonb from generate_series(1, 24)))")

    def finish(caller: int, number: int) -> Any:  # noqa: ANN401
        # Blanks sort first, so the second caller's order is reversed.
        body = f'{{"queue_name": "jobs", {" " * number * caller}"message_id": {number:>3}}}'
        headers = {**callers[caller], "Content-Profile": "pgmq_public", "Content-Type": "application/json"}
        return crowd.client.post("/rpc/delete", content=body, headers=headers)

    read = Asked("ann", "read", {"queue_name": "jobs", "sleep_seconds": 0, "n": 5})
    readers = (read.send(crowd, {"ann": bearer("authenticated", sub="ann")}) for _ in range(10))
    answers = await crowd.together(*(finish(caller, n) for caller in (0, 1) for n in numbers), *readers)
    gateway.sql("drop function public.dawdle() cascade")
    assert {answer.status_code for answer in answers} == {200}
    finished = [answer.json() for answer in answers[:48]]
    assert [one + other for one, other in zip(finished[:24], finished[24:], strict=True)] == [1] * 24
    assert gateway.sql("select count(*) from pgmq.q_jobs") == [(0,)]
    # A connection reports its statistics when it closes.
    connections = (
        "from pg_stat_activity where datname = current_database() and application_name = 'pgmq-gateway' "
        "and query ~ 'pgmq_gateway.(call|clean_session)'"
    )
    gateway.sql(f"select pg_terminate_backend(pid) {connections}")
    until(lambda: not gateway.sql(f"select 1 {connections}"))
    assert gateway.sql("select deadlocks from pg_stat_database where datname = current_database()") == [(0,)]
