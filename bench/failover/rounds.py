"""A run: load through both gateways, a fault, its end, and the check of all calls by the checker's model."""

import asyncio
import os
import random
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from bench.checker import ground
from bench.checker.gateways import Gateway
from bench.checker.history import History
from bench.checker.model import Violation, judge
from bench.checker.people import people
from bench.checker.workload import Plan, work
from bench.failover.faults import FAULTS, Fault, Name
from bench.failover.node import Node
from bench.failover.observations import Observation, Readiness, Times, observe
from bench.failover.site import ROLE_LIMIT, SECRET, Site
from pgmq_gateway.database.driver import Connection

USERS = 6
# Of each gateway.
CLIENTS = 6
PAUSE_SECONDS = 0.02
BATCH = 60
# Longer than any outage, so that clients wait for every response.
PATIENCE_SECONDS = 60
# A message can be leased across the failover.
LEASES_SECONDS = (1, 60)
# No calls of a user's function: xids of transactions that wrote nothing can be used again after a failover.
MOVES = {"send": 30, "batch": 8, "read": 28, "pop": 8, "finish": 18, "race": 3, "burst": 5}
# Load before a fault; after it, so that a primary that wakes could acknowledge something.
BEFORE_SECONDS = (3, 6)
AFTER_SECONDS = 10
# A fault without a promotion.
HOLD_SECONDS = 15
RECOVERY_TIMEOUT_SECONDS = 30
POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Case:
    """A fault, with time limits for calls or without."""

    fault: Name
    limits: bool

    def __str__(self) -> str:
        return f"{self.fault}, {'time limits' if self.limits else 'no limits'}"


@dataclass(frozen=True, slots=True)
class Run:
    """The result of a run.

    promoted      seconds from the fault to the promotion, None for a fault without one
    load          the machine's load average in the minute before the end
    observations  by gateway
    findings      errors in the logs of the gateways
    """

    case: Case
    promoted: float | None
    load: float
    observations: dict[str, Observation]
    violations: list[Violation]
    findings: list[str]


@dataclass(slots=True)
class _Load:
    """The load on one gateway."""

    gateway: Gateway
    history: History = field(default_factory=History)
    readiness: Readiness = field(default_factory=Readiness)

    async def run(self, case: Case, seed: str, over: Callable[[], bool]) -> None:
        """Call the gateway and poll its readiness until the end."""
        plan = Plan(
            [self.gateway.url], people(SECRET.encode(), USERS, teams=case.limits), ground.QUEUES,
            leases=LEASES_SECONDS, patience=PATIENCE_SECONDS, batch=BATCH, calm=True, moves=MOVES, pause=PAUSE_SECONDS,
        )  # fmt: skip
        async with asyncio.TaskGroup() as group:
            group.create_task(work(plan, self.history, seed, CLIENTS, over))
            group.create_task(self.readiness.poll(self.gateway.ready, over))

    def acknowledges(self, since: float) -> bool:
        """True if a send was acknowledged since then."""
        return any(call.ids and call.returned > since for call in reversed(self.history.calls))


async def run_of(site: Site, case: Case, seed: str) -> Run:
    """Run a case. Raises BenchError if the cluster does not recover."""
    primary = await site.cluster.healthy()
    async with ground.owning(primary.owner) as owner:
        await _limit(owner, limits=case.limits)
    gateways = site.gateways(limits=case.limits)
    async with AsyncExitStack() as stack:
        for gateway in gateways.values():
            stack.push_async_callback(gateway.stop)
            await gateway.start()
        loads = {name: _Load(gateway) for name, gateway in gateways.items()}
        times = await _under_load(site, case, seed, primary, list(loads.values()))
    violations = await _judged(site, [load.history for load in loads.values()])
    return Run(
        case,
        times.recovery - times.fault if FAULTS[case.fault].promotes else None,
        os.getloadavg()[0],
        {name: observe(load.history, load.readiness, times) for name, load in loads.items()},
        violations,
        [finding for gateway in gateways.values() for finding in gateway.findings()],
    )


async def _limit(owner: Connection, *, limits: bool) -> None:
    """Set or reset the time limit of the role of most callers."""
    action = f"set statement_timeout = '{ROLE_LIMIT}'" if limits else "reset statement_timeout"
    await owner.execute(f"alter role authenticated {action}")


async def _under_load(site: Site, case: Case, seed: str, primary: Node, loads: list[_Load]) -> Times:
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for number, load in enumerate(loads):
            group.create_task(load.run(case, f"{seed} {number}", over.is_set))
        try:
            await asyncio.sleep(random.Random(seed).uniform(*BEFORE_SECONDS))  # noqa: S311 repeatable
            times = await _inject(site, FAULTS[case.fault], primary, loads)
            await asyncio.sleep(AFTER_SECONDS)
        finally:
            over.set()
        return replace(times, until=time.time())


async def _inject(site: Site, fault: Fault, primary: Node, loads: list[_Load]) -> Times:
    """Inject a fault, and end it after both gateways have recovered."""
    fault_at = time.time()
    promotion = asyncio.create_task(site.cluster.promoted(primary)) if fault.promotes else None
    try:
        await fault.begin(site.cluster, primary)
        effective = time.time()
        if promotion is None:
            await asyncio.sleep(HOLD_SECONDS)
        else:
            await _recovered(loads, await promotion)
    finally:
        await fault.end(site.cluster, primary)
    if promotion is not None:
        return Times(fault_at, effective, await promotion)
    recovery = time.time()
    await _recovered(loads, recovery)
    return Times(fault_at, effective, recovery)


async def _recovered(loads: list[_Load], since: float) -> None:
    """Wait until all gateways acknowledge sends, or for some time."""
    for _ in range(int(RECOVERY_TIMEOUT_SECONDS / POLL_SECONDS)):
        if all(load.acknowledges(since) for load in loads):
            return
        await asyncio.sleep(POLL_SECONDS)


async def _judged(site: Site, histories: list[History]) -> list[Violation]:
    """Wait for a healthy cluster, read its tables, check all calls, and empty the tables for the next run."""
    primary = await site.cluster.healthy()
    whole = History([call for history in histories for call in history.calls])
    for history in histories:
        whole.messages |= history.messages
    async with ground.owning(primary.owner) as owner:
        # Of connections that a gateway closed while it was cut off, Postgres does not know.
        await owner.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'authenticator'")
        await ground.quiet(owner)
        whole.rest = {queue: await ground.rest(owner, queue) for queue in ground.QUEUES}
        whole.departures = await ground.departures(owner)
        await ground.clear(owner)
    return judge(whole)
