"""A round: load under faults, recovery, checks without faults, reading of all messages, check by the model."""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field, replace

from bench.checker import ground, leased
from bench.checker.consumers import WAITING_MOVES, Consumer, consume
from bench.checker.deliveries import counts
from bench.checker.faults import Faults
from bench.checker.history import History, Outcome
from bench.checker.lease_model import judge_leases
from bench.checker.model import Violation, judge
from bench.checker.people import people
from bench.checker.site import CONNECTIONS, SECRET, Site
from bench.checker.turns import delays
from bench.checker.wait_model import judge_waits
from bench.checker.waits import serve
from bench.checker.workload import Plan, drain, flood, work

USERS = 12
# Few, so that they meet their own messages again.
LEASE_USERS = 2
# Long enough for a fault to happen in a wait.
WAITS_SECONDS = (1, 3)
# Sends without faults, so that the loss of one in a thousand is found.
FLOOD_MESSAGES, TRACED_MESSAGES = 1200, 300


@dataclass(slots=True)
class Tally:
    """Totals so far: calls by function and outcome, failures, faults; of `pgmq_api`, outcomes of receipts and more."""

    calls: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    leases: Counter[str] = field(default_factory=Counter)
    visits: int = 0
    rounds: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Load:
    """The clients of a round and the history of their calls: of `pgmq_public`, and of `pgmq_api`."""

    plan: Plan
    leases: Plan
    history: History = field(default_factory=History)
    leased: History = field(default_factory=History)

    @classmethod
    def of(cls, site: Site) -> "Load":
        return cls(
            Plan(site.urls, people(SECRET.encode(), USERS), ground.QUEUES, waits=WAITS_SECONDS),
            Plan(
                site.urls,
                people(SECRET.encode(), LEASE_USERS),
                leased.CONSUMED,
                moves=WAITING_MOVES,
                waits=WAITS_SECONDS,
            ),
        )


async def round_of(site: Site, seed: int, seconds: float, clients: int, tally: Tally) -> None:
    """Run a round with load for `seconds`. Raises BenchError if the site does not become idle."""
    load, faults, began = Load.of(site), Faults(site, seed), time.monotonic()
    consumers = 0 if seed % 2 else clients // 2
    await site.start()

    def over() -> bool:
        return time.monotonic() - began > seconds

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        group.create_task(work(load.plan, load.history, seed, clients - consumers, over))
        group.create_task(work(load.leases, load.leased, seed, consumers, over, Consumer))
        group.create_task(faults.inject(over))
    tally.seconds += time.monotonic() - began
    await site.stop()
    await settle(site, load)
    account(tally, load, faults)


async def settle(site: Site, load: Load) -> None:
    """Check one gateway without faults, read all messages through it, and then the tables."""
    plan, history = load.plan, load.history
    async with ground.owning(site.owner) as owner:
        await ground.quiet(owner)
        deadlocks = await ground.deadlocks(owner)
        # Two calls that settle the same messages at once can deadlock, and the gateway repeats one of them.
        history.deadlocks = 0 if load.leased.calls else deadlocks
        await site.start(1)
        calm = Plan(site.urls[:1], plan.people, plan.queues, patience=30, calm=True)
        await flood(calm, history, ground.QUEUES[0], FLOOD_MESSAGES)
        await flood(calm, history, ground.TRACED, TRACED_MESSAGES)
        quiet, noisy = (person.token(random.Random(0)) for person in plan.people[:2])  # noqa: S311
        history.delays = await delays(owner, site.urls[0], CONNECTIONS, quiet, noisy)
        await ground.sweep(owner)
        await ground.visible(owner, [*plan.queues, *leased.CONSUMED])
        await drain(calm, history)
        await serve(calm, history, owner, ground.QUEUES[0])
        await consume(replace(load.leases, urls=calm.urls, patience=calm.patience, calm=True), load.leased)
        history.rest = {queue: await ground.rest(owner, queue) for queue in plan.queues}
        load.leased.rest = {queue: await ground.rest(owner, queue) for queue in leased.SETTINGS}
        history.departures = await ground.departures(owner)
        await ground.clear(owner, [*plan.queues, *leased.SETTINGS])


def account(tally: Tally, load: Load, faults: Faults) -> None:
    tally.violations += judge(load.history) + judge_waits(load.history) + judge_leases(load.leased)
    tally.rounds += 1
    tally.faults += faults.counts
    tally.visits += sum(call.visit is not None for call in load.history.calls)
    for history in (load.history, load.leased):
        tally.calls += history.counts()
        tally.notes += Counter(call.note for call in history.calls if call.note)
        tally.messages += Counter(
            acknowledged=sum(len(call.ids) for call in history.calls),
            delivered=sum(len(call.sights) for call in history.calls),
            left=sum(len(rest.waiting) for rest in history.rest.values()),
        )
    tally.leases += counts(load.leased)
