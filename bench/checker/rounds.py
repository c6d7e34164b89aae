"""A round: load under faults, recovery, checks without faults, reading of all messages, check by the model."""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field

from bench.checker import ground
from bench.checker.faults import Faults
from bench.checker.history import History, Outcome
from bench.checker.model import Violation, judge
from bench.checker.people import people
from bench.checker.site import CONNECTIONS, SECRET, Site
from bench.checker.turns import delays
from bench.checker.workload import Plan, drain, flood, work

USERS = 12
# Sends without faults, so that the loss of one in a thousand is found.
FLOOD_MESSAGES, TRACED_MESSAGES = 1200, 300


@dataclass(slots=True)
class Tally:
    """Totals so far: calls by function and outcome, failures, faults."""

    calls: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    visits: int = 0
    rounds: int = 0
    seconds: float = 0.0


async def round_of(site: Site, seed: int, seconds: float, clients: int, tally: Tally) -> None:
    """Run a round with load for `seconds`. Raises BenchError if the site does not become idle."""
    history, faults, began = History(), Faults(site, seed), time.monotonic()
    plan = Plan(site.urls, people(SECRET.encode(), USERS), ground.QUEUES)
    await site.start()

    def over() -> bool:
        return time.monotonic() - began > seconds

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        group.create_task(work(plan, history, seed, clients, over))
        group.create_task(faults.inject(over))
    tally.seconds += time.monotonic() - began
    await site.stop()
    await settle(site, plan, history)
    account(tally, history, faults)


async def settle(site: Site, plan: Plan, history: History) -> None:
    """Check one gateway without faults, read all messages through it, and then the tables."""
    async with ground.owning(site.owner) as owner:
        await ground.quiet(owner)
        history.deadlocks = await ground.deadlocks(owner)
        await site.start(1)
        calm = Plan(site.urls[:1], plan.people, plan.queues, patience=30, calm=True)
        await flood(calm, history, ground.QUEUES[0], FLOOD_MESSAGES)
        await flood(calm, history, ground.TRACED, TRACED_MESSAGES)
        quiet, noisy = (person.token(random.Random(0)) for person in plan.people[:2])  # noqa: S311
        history.delays = await delays(owner, site.urls[0], CONNECTIONS, quiet, noisy)
        await ground.visible(owner)
        await drain(calm, history)
        history.rest = {queue: await ground.rest(owner, queue) for queue in plan.queues}
        history.departures = await ground.departures(owner)
        await ground.clear(owner)


def account(tally: Tally, history: History, faults: Faults) -> None:
    tally.violations += judge(history)
    tally.rounds += 1
    tally.calls += history.counts()
    tally.notes += Counter(call.note for call in history.calls if call.note)
    tally.faults += faults.counts
    tally.visits += sum(call.visit is not None for call in history.calls)
    tally.messages += Counter(
        acknowledged=sum(len(call.ids) for call in history.calls),
        delivered=sum(len(call.sights) for call in history.calls),
        left=sum(len(rest.waiting) for rest in history.rest.values()),
    )
