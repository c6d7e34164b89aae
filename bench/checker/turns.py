"""Checks that calls do not wait for calls that they should overtake: slow calls, and those of a noisy caller.

Measured in calls, not in seconds, so that the result does not depend on the speed of the machine.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import quantiles

from bench.checker.visits import GATE
from bench.client import Client
from bench.measurement import BenchError
from pgmq_gateway.database.driver import Connection

FAST_CALLS = 5
# A call that has not returned by then waits for slow ones.
PATIENCE_SECONDS = 15.0
POLL_SECONDS = 0.02

# So slow that the noisy calls wait for connections, not for the processors.
NOISY_CALLERS, NOISY_WORK_SECONDS = 60, 0.015
QUIET_CALLS = 11
# Noisy calls that start during a quiet one; first come, first served would be all of them.
MAX_OVERTAKEN = NOISY_CALLERS // 4

WAITING = (
    f"select count(*) from pg_locks where locktype = 'advisory' and objid = {GATE} and not granted"
    " and database = (select oid from pg_database where datname = current_database())"
)


async def delays(
    owner: Connection, url: str, connections: int, quiet: str, noisy: str, patience: float = PATIENCE_SECONDS
) -> list[str]:
    """The delays found on an idle gateway with at least three connections, for the tokens of two callers."""
    found = await _side_by_side(owner, url, connections, noisy, patience)
    return found or await _overtaken(owner, url, quiet, noisy)


async def _side_by_side(owner: Connection, url: str, connections: int, token: str, patience: float) -> list[str]:
    """Slow calls occupy a connection each, but one that may be kept for other callers. The rest serves fast calls."""
    clients = [Client(url) for _ in range(connections + 1)]
    await owner.execute(f"select pg_advisory_lock({GATE})")
    few, others, fast = clients[2:-1], clients[:2], clients[-1]
    slow = [asyncio.create_task(_call(client, token, "rest", "{}")) for client in few]
    try:
        if not await _until_waiting(owner, len(few), patience):
            return [f"{len(few)} slow calls do not run at the same time, though connections are free"]
        for _ in range(FAST_CALLS):
            if await _call(fast, token, "tick", '{"seconds": 0}', patience) is None:
                return ["a fast call waits for slow ones, though a connection is free"]
        slow += [asyncio.create_task(_call(client, token, "rest", "{}")) for client in others]
        if not await _until_waiting(owner, connections - 1, patience):
            return [f"{connections} slow calls do not run at the same time on {connections} connections"]
    finally:
        await owner.execute(f"select pg_advisory_unlock({GATE})")
        await asyncio.gather(*slow)
        for client in clients:
            client.close()
    return []


async def _until_waiting(owner: Connection, number: int, patience: float) -> bool:
    """Wait until this number of calls waits for the gate. False if they do not in time."""
    deadline = time.monotonic() + patience
    while await owner.fetchval(WAITING) < number:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True


async def _overtaken(owner: Connection, url: str, quiet: str, noisy: str) -> list[str]:
    """A quiet caller waits for a few calls of a noisy one only."""
    async with _noise(url, noisy):
        client, waited = Client(url), []
        for _ in range(QUIET_CALLS):
            before = await owner.fetchval("select last_value from public.ticks")
            tick = await _call(client, quiet, "tick", '{"seconds": 0}')
            if tick is None:
                return ["a call of a quiet caller failed beside a noisy one"]
            waited.append(tick - before)
        client.close()
    # The lower quartile: while this process is paused, noisy calls go on.
    if (overtaken := quantiles(waited)[0]) > MAX_OVERTAKEN:
        return [f"a quiet caller waited for {overtaken:.0f} calls of a noisy one that has {NOISY_CALLERS} at a time"]
    return []


@asynccontextmanager
async def _noise(url: str, token: str) -> AsyncIterator[None]:
    """A caller that always has calls waiting."""
    clients = [Client(url) for _ in range(NOISY_CALLERS)]
    began = asyncio.Semaphore(0)
    over = False

    async def call(client: Client) -> None:
        while not over:
            await _call(client, token, "tick", f'{{"seconds": {NOISY_WORK_SECONDS}}}')
            began.release()

    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(call(client))
        for _ in clients:
            await began.acquire()
        try:
            yield
        finally:
            over = True
    for client in clients:
        client.close()


async def _call(client: Client, token: str, function: str, body: str, patience: float = 60) -> int | None:
    """The result of a call; None without one in time."""
    reply = await client.call(function, body, f"Authorization: Bearer {token}\r\n", patience)
    if reply.note and reply.note != "gone away" and not reply.note.startswith("504"):
        raise BenchError(f"{function} failed: {reply.note} {reply.text[:200]}")
    return None if reply.note else reply.body
