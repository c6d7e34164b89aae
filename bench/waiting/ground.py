"""The gateway under measurement: its queues and callers, and how much it uses."""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from bench.contenders import TOKEN_SECONDS, HttpServer, tokens
from bench.measurement import BenchError
from bench.pgbench import ROLE
from bench.usage import memory_of_tree
from bench.waiting.crowd import Place
from pgmq_gateway.auth.signing import token

MIB = 2**20
PATIENCE_SECONDS, POLL_SECONDS = 60, 0.2
# Metrics of the gateway.
WAITING = "pgmq_gateway_waiting"
STREAMS = "pgmq_gateway_streams"
PROBE_SECONDS = "pgmq_gateway_policy_probe_seconds_total"
OWN_MESSAGES = (
    "create policy own on pgmq.q_{0} to {1}"
    " using (message->>'to' = (select current_setting('request.jwt.claims', true)::json->>'sub'))"
)


@dataclass(frozen=True, slots=True)
class Ground:
    """A gateway, and the names of the queues on it."""

    gateway: HttpServer
    queues: Sequence[str]

    @classmethod
    async def of(cls, gateway: HttpServer, queues: int) -> "Ground":
        names = [f"bench_waiting_{number}" for number in range(queues)]
        for name in names:
            await gateway.queues.create(name)
        return cls(gateway, names)

    @property
    def sender(self) -> str:
        """The header Authorization of a role to whom policies do not apply."""
        assert self.gateway.secret
        return f"Bearer {token(self.gateway.secret, 'service_role', {}, TOKEN_SECONDS)}"

    @property
    def callers(self) -> Sequence[str]:
        """The header Authorization of a caller for each queue."""
        return self.users(len(self.queues))

    def users(self, number: int) -> Sequence[str]:
        """The header Authorization of several callers."""
        assert self.gateway.secret
        return tokens(self.gateway.secret, number)

    def places(self, number: int) -> list[Place]:
        """Places for several clients in turn on the queues, with a caller for each queue."""
        callers, queues = self.callers, self.queues
        return [Place(queues[one % len(queues)], "", callers[one % len(queues)]) for one in range(number)]

    async def drop(self) -> None:
        for name in self.queues:
            await self.gateway.queues.drop(name)

    async def keep_apart(self, queue: str) -> None:
        """Let each caller see its own messages only."""
        await self.gateway.queues.owner.execute(f"drop policy bench on pgmq.q_{queue}")
        await self.gateway.queues.owner.execute(OWN_MESSAGES.format(queue, ROLE))

    async def connections(self) -> int:
        """Connections of the gateway's login role."""
        found: int = await self.gateway.queues.owner.fetchval(
            "select count(*) from pg_stat_activity where usename = 'authenticator' and datname = current_database()"
        )
        return found

    @property
    def memory(self) -> float:
        """Resident MiB of the gateway."""
        assert self.gateway.pid is not None
        return memory_of_tree(self.gateway.pid) / MIB

    async def metric(self, name: str) -> float:
        """The sum of a metric over its labels; 0 without it."""
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS, trust_env=False) as client:
            text = (await client.get(f"{self.gateway.admin}/metrics")).text
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))

    async def until_waiting(self, number: int, metric: str = WAITING) -> None:
        """Return when this number of clients waits. Raises BenchError."""
        end = time.monotonic() + PATIENCE_SECONDS
        while (found := await self.metric(metric)) != number:
            if time.monotonic() > end:
                raise BenchError(f"{found:.0f} of {number} clients wait after {PATIENCE_SECONDS} s")
            await asyncio.sleep(POLL_SECONDS)


async def until(reached: Callable[[], bool]) -> bool:
    """Wait for a condition. False if it is not reached in time."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True
