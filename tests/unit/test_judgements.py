"""Judgements of the calls that can share a transaction, and pauses of sharing, with a fake clock."""

import asyncio

import pytest

from pgmq_gateway.calls.sharing import (
    FIRST_APART_SECONDS,
    INTERVAL_SECONDS,
    LONGEST_APART_SECONDS,
    MAX_JUDGEMENTS,
    MAX_WANTED,
    MAX_WANTED_BY_FLOW,
    OBSTACLES_SECONDS,
    SLOW_GROUP_SECONDS,
    Judgement,
    Sharing,
)
from pgmq_gateway.errors import PoolTimeout
from tests.clock import Clock
from tests.waiting import until_async

JOBS = ("jobs", "send")
SLOW = 2 * SLOW_GROUP_SECONDS


class Court:
    """Judgements of a sharing with a fake clock; `obstacles` and `failing` say how they turn out."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.sharing = Sharing(self.judge, lambda: self.generation, self.clock)
        self.generation = 1
        self.judged: list[tuple[str, str]] = []
        self.obstacles: list[str] = []
        self.failing = False

    async def judge(self, queue: str, function: str) -> Judgement:
        self.judged.append((queue, function))
        if self.failing:
            raise PoolTimeout
        return Judgement(queue, function, self.obstacles, [1], ["f"], str(len(self.judged)))

    async def judgement(self) -> Judgement | None:
        """The judgement after the background has finished."""
        self.sharing.judgement(*JOBS)
        if self.sharing._judging is not None:
            await asyncio.wait([self.sharing._judging])
        return self.sharing.judgement(*JOBS)


@pytest.fixture
def court() -> Court:
    return Court()


async def test_no_call_waits_for_a_judgement(court: Court) -> None:
    assert court.sharing.judgement(*JOBS) is None
    assert court.judged == []
    assert await court.judgement() == Judgement("jobs", "send", [], [1], ["f"], "1")
    court.clock.now += 1e6
    assert await court.judgement() is not None
    assert court.judged == [JOBS]


async def test_obstacles_are_looked_for_again_after_a_while_or_a_reload(court: Court) -> None:
    court.obstacles = ["a trigger"]
    assert await court.judgement() is None
    court.clock.now += OBSTACLES_SECONDS - 1
    assert await court.judgement() is None
    assert len(court.judged) == 1
    court.clock.now += 1
    assert await court.judgement() is None
    assert len(court.judged) == 2
    court.obstacles, court.generation = [], 2
    assert await court.judgement() is not None


async def test_a_stale_judgement_is_made_anew(court: Court) -> None:
    first = await court.judgement()
    assert first is not None
    court.clock.now += 2
    court.sharing.was_stale(*JOBS, first)
    second = await court.judgement()
    assert second is not None
    assert second != first
    # Another transaction may have begun with the first one.
    court.sharing.was_stale(*JOBS, first)
    assert await court.judgement() is second
    assert court.sharing.ended["stale"] == 2


async def test_what_is_always_stale_is_judged_once_in_an_interval(court: Court) -> None:
    judged = 0
    for _ in range(60):
        if (judgement := await court.judgement()) is not None:
            judged += 1
            court.sharing.was_stale(*JOBS, judgement)
        court.clock.now += INTERVAL_SECONDS / 2
    assert judged == len(court.judged) == 30


async def test_what_cannot_be_judged_is_tried_once_in_an_interval(court: Court) -> None:
    court.failing = True
    for _ in range(60):
        assert await court.judgement() is None
        court.clock.now += INTERVAL_SECONDS / 2
    assert len(court.judged) == 30
    court.failing = False
    assert await court.judgement() is not None


async def test_names_of_queues_do_not_fill_the_memory(court: Court) -> None:
    for n in range(MAX_JUDGEMENTS + 1000):
        court.sharing.judgement(f"queue {n}", "send", n)
    assert len(court.sharing._standings) == MAX_JUDGEMENTS
    assert len(court.sharing._wanted) == MAX_WANTED
    await court.sharing.close()


async def test_names_of_one_client_do_not_delay_the_judgements_of_others(court: Court) -> None:
    for n in range(MAX_WANTED):
        court.sharing.judgement(f"queue {n}", "send", "eve")
    court.sharing.judgement(*JOBS, "ann")
    await until_async(lambda: JOBS in court.judged)
    assert len(court.judged) == MAX_WANTED_BY_FLOW + 1
    court.sharing.judgement("another", "send", "eve")
    await until_async(lambda: ("another", "send") in court.judged)
    await court.sharing.close()


async def test_calls_of_a_slow_group_run_alone_for_a_while(court: Court) -> None:
    assert await court.judgement() is not None
    lengths = []
    for _ in range(8):
        began = court.clock.now
        for _ in range(3):
            court.sharing.took(*JOBS, SLOW)
        while await court.judgement() is None:
            court.clock.now += 1
        lengths.append(court.clock.now - began)
    first = FIRST_APART_SECONDS
    assert lengths == [first, 2 * first, 4 * first, 8 * first, 16 * first, *[LONGEST_APART_SECONDS] * 3]
    assert court.sharing.ended["slow"] == 8
    court.sharing.took(*JOBS, SLOW / 4)
    court.sharing.took(*JOBS, SLOW)
    court.clock.now += first
    assert await court.judgement() is not None


async def test_a_deadlock_keeps_calls_apart(court: Court) -> None:
    assert await court.judgement() is not None
    court.sharing.deadlocked(*JOBS)
    assert await court.judgement() is None
    court.clock.now += FIRST_APART_SECONDS
    assert await court.judgement() is not None
    assert court.sharing.ended == {"deadlock": 1, "slow": 0, "stale": 0}
