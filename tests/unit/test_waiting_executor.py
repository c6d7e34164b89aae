"""Calls that wait, before an executor whose answers a test chooses."""

import asyncio
from contextlib import suppress
from functools import cache
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.call import Answer, Call, executable
from pgmq_gateway.calls.catalog import Catalog, Function, Result
from pgmq_gateway.errors import (
    ConnectionLost,
    GatewayError,
    NotSingular,
    PoolTimeout,
    StatementTimeout,
    Unavailable,
)
from pgmq_gateway.http.request import RequestSettings
from pgmq_gateway.limits.throttle import TooMany
from pgmq_gateway.settings.ratelimit import RateLimit
from pgmq_gateway.waiting.counters import Counters
from pgmq_gateway.waiting.executor import WaitingExecutor
from pgmq_gateway.waiting.waiter_queue import Sources
from pgmq_gateway.waiting.wakeups import Wakeups
from tests.unit.test_waiter_queue import STATE
from tests.waiting import until_async

EMPTY = Answer(None, 0, "[]")
FOUND = Answer(None, 1, "[1]")
WORKER = Caller("worker", "{}", anonymous=False)


class Database:
    """Answers the calls on each queue with what `answers` has for it next, and then with nothing; or raises `error`."""

    def __init__(self) -> None:
        self.answers: dict[str | None, list[Answer]] = {}
        self.error: GatewayError | None = None
        self.executed: list[str | None] = []

    async def execute(self, caller: Caller, call: Call) -> Answer:
        assert caller == WORKER
        self.executed.append(call.body)
        if self.error is not None:
            raise self.error
        answers = self.answers.get(call.body)
        return answers.pop(0) if answers else EMPTY


def nothing(*_: object) -> None:
    """Stand for a part of the gateway that a test does not need."""


class Bench:
    """A waiting executor without a clock."""

    def __init__(self) -> None:
        self.database = Database()
        self.counters = Counters()
        sources = SimpleNamespace(
            clock=SimpleNamespace(look=nothing),
            wakeups=Wakeups(self.counters),
            policies=SimpleNamespace(forget=nothing, reads_requests=lambda _, *, policies: policies),
        )
        self.executor = WaitingExecutor(
            self.database, cast(Sources, sources), self.counters, lambda: cast(Catalog, None), 10, nothing
        )

    async def wait(self, body: str, **more: str) -> "asyncio.Task[Answer]":
        """A call that waits, after its first attempt."""
        before = len(self.database.executed)
        task = asyncio.create_task(self.executor.execute(WORKER, call(body, wait=60, **more)))
        await until_async(lambda: len(self.database.executed) > before)
        return task


@cache
def called(schema: str, name: str) -> Function:
    return Function(schema, name, (), Result.SCALAR, returns_set=True, volatile=True)


def call(body: str, function: str = "read", wait: float = 0, schema: str = "pgmq_public", headers: str = "{}") -> Call:
    plain = executable("", RequestSettings("POST", "/", headers, "{}"))
    return msgspec.structs.replace(plain, function=called(schema, function), body=body, wait=wait)


JOBS, DEAD = '{"queue_name": "jobs"}', '{"queue_name": "dead"}'


async def test_what_an_empty_attempt_reports_is_announced_once() -> None:
    """It may have buried messages. Each of its waiters gets the same result when its time is up."""
    bench = Bench()
    bench.database.answers[DEAD] = [EMPTY, FOUND]
    bench.database.answers[JOBS] = [msgspec.structs.replace(EMPTY, reported="dead\t1\t0")]
    dead = await bench.wait(DEAD)
    jobs = await bench.wait(JOBS)
    more = asyncio.create_task(bench.executor.execute(WORKER, call(JOBS, wait=60)))
    assert (await dead).row_count == 1
    await until_async(lambda: bench.counters.waiting == 2)
    another = await bench.wait(DEAD)
    bench.executor.end()
    for task in (jobs, more, another):
        assert (await task).row_count == 0
    assert bench.counters.wakeups["process"] == 1


async def test_a_repeated_send_wakes_nobody() -> None:
    bench = Bench()
    bench.database.answers['{"queue_name": "jobs", "message": 1}'] = [msgspec.structs.replace(FOUND, replayed=True)]
    jobs = await bench.wait(JOBS)
    await bench.executor.execute(WORKER, call('{"queue_name": "jobs", "message": 1}', "send"))
    bench.executor.end()
    await jobs
    assert bench.counters.wakeups["process"] == 0


async def test_each_client_gets_what_a_function_of_the_user_says_to_it() -> None:
    """Equal requests of anonymous browsers, for example: what the function sets is for one of them."""
    bench = Bench()
    cookies = [msgspec.structs.replace(EMPTY, headers=f'[{{"Set-Cookie": "sid={n}"}}]') for n in range(2)]
    bench.database.answers[JOBS] = list(cookies)
    tasks = [await bench.wait(JOBS, schema="app") for _ in cookies]
    bench.executor.end()
    assert [(await task).headers for task in tasks] == [answer.headers for answer in cookies]


@pytest.mark.parametrize(
    ("schema", "policies", "groups"), [("pgmq_public", False, 1), ("pgmq_public", True, 2), ("app", False, 2)]
)
async def test_requests_are_told_apart_only_where_they_are_read(schema: str, policies: bool, groups: int) -> None:
    bench = Bench()
    tasks = [await bench.wait(JOBS)]
    waiters = bench.executor.waiters
    waiters.queues["jobs"].observe(STATE._replace(policies=policies))
    for number in range(2):
        headers = f'{{"cf-ray": "{number}"}}'
        tasks.append(
            asyncio.create_task(bench.executor.execute(WORKER, call(JOBS, wait=60, schema=schema, headers=headers)))
        )
    await until_async(lambda: bench.counters.waiting == 3)
    assert len(waiters.queues["jobs"].groups) == 1 + groups
    bench.executor.end()
    await asyncio.gather(*tasks)


async def test_a_group_exists_until_its_last_waiter_has_left() -> None:
    """Also while one returns messages to a queue, after its attempt. It keeps no request of waiters that have left."""
    waiters = Bench().executor.waiters
    first, second = (waiters.enter(WORKER, call(JOBS, wait=60)) for _ in range(2))
    group = first.group
    assert second.group is group
    assert group.call is first.call
    group.missed(second, EMPTY)
    group.found(first, 1, more=False)
    waiters.leave(second)
    assert waiters.enter(WORKER, call(JOBS, wait=60)).group is group
    waiters.leave(first)
    assert group.call is not first.call


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (None, True),
        (StatementTimeout(), True),
        (NotSingular(2), True),
        (PoolTimeout(), True),
        (Unavailable(), False),
        (ConnectionLost(), False),
        (TooMany(RateLimit("worker", 1, 1, 1, "requests", ""), 1), False),
    ],
)
async def test_every_response_of_postgres_ends_an_outage(error: GatewayError | None, ends: bool) -> None:
    bench = Bench()
    outage = bench.executor.waiters.outage
    outage.begin(Unavailable())
    bench.database.error = error
    with suppress(GatewayError):
        await bench.executor.execute(WORKER, call(JOBS))
    assert (outage.error is None) is ends


async def test_a_full_pool_ends_no_wait() -> None:
    bench = Bench()
    bench.database.error = PoolTimeout()
    jobs = await bench.wait(JOBS)
    assert bench.executor.waiters.outage.error is None
    bench.executor.end()
    with pytest.raises(PoolTimeout):
        await jobs
