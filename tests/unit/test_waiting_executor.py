"""Calls that wait, before an executor whose answers a test chooses."""

import asyncio
from types import SimpleNamespace
from typing import cast

import msgspec

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.call import Answer, Call, executable
from pgmq_gateway.calls.catalog import Catalog, Function, Result
from pgmq_gateway.http.request import RequestSettings
from pgmq_gateway.waiting.counters import Counters
from pgmq_gateway.waiting.executor import WaitingExecutor
from pgmq_gateway.waiting.waiter_queue import Sources
from pgmq_gateway.waiting.wakeups import Wakeups
from tests.waiting import until_async

EMPTY = Answer(None, 0, "[]")
FOUND = Answer(None, 1, "[1]")
WORKER = Caller("worker", "{}", anonymous=False)


class Database:
    """Answers the calls on each queue with what `answers` has for it next, and then with nothing."""

    def __init__(self) -> None:
        self.answers: dict[str | None, list[Answer]] = {}
        self.executed: list[str | None] = []

    async def execute(self, caller: Caller, call: Call) -> Answer:
        assert caller == WORKER
        self.executed.append(call.body)
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
            policies=SimpleNamespace(forget=nothing),
        )
        self.executor = WaitingExecutor(
            self.database, cast(Sources, sources), self.counters, lambda: cast(Catalog, None), 10, nothing
        )

    async def wait(self, body: str) -> "asyncio.Task[Answer]":
        """A call that waits, after its first attempt."""
        before = len(self.database.executed)
        task = asyncio.create_task(self.executor.execute(WORKER, call(body, wait=60)))
        await until_async(lambda: len(self.database.executed) > before)
        return task


def call(body: str, function: str = "read", wait: float = 0) -> Call:
    called = Function("pgmq_public", function, (), Result.SCALAR, returns_set=True, volatile=True)
    plain = executable("", RequestSettings("POST", "/", "{}", "{}"))
    return msgspec.structs.replace(plain, function=called, body=body, wait=wait)


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
