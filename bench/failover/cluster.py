"""Three nodes under Patroni with synchronous replication."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bench.failover.network import hosts
from bench.failover.node import Node, Passwords
from bench.failover.programs import Programs
from bench.measurement import BenchError

NODES = 3
HEALTHY_TIMEOUT_SECONDS = 180
PROMOTION_TIMEOUT_SECONDS = 90
POLL_SECONDS = 0.1
REST_TIMEOUT = aiohttp.ClientTimeout(total=2)
# Patroni responds when the new primary runs.
SWITCHOVER_TIMEOUT = aiohttp.ClientTimeout(total=60)
# Raised by requests to a node that is killed, frozen or cut off.
SILENT = (aiohttp.ClientError, TimeoutError, OSError)


@dataclass(frozen=True, slots=True)
class Cluster:
    """The nodes, and an HTTP client for their REST APIs."""

    nodes: list[Node]
    passwords: Passwords
    http: aiohttp.ClientSession

    def login(self, address: str) -> str:
        """The URI of the login role at an address, or at the primary of several addresses."""
        some = "&target_session_attrs=read-write" if "," in address else ""
        return f"postgresql://authenticator:{self.passwords.login}@{address}/postgres?sslmode=disable{some}"

    def others(self, node: Node) -> list[Node]:
        """The nodes without this one."""
        return [other for other in self.nodes if other is not node]

    async def healthy(self) -> Node:
        """Wait until both standbys stream, one of them synchronously. Returns the primary. Raises BenchError."""
        deadline = time.monotonic() + HEALTHY_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            primary = self._primary(await self._members())
            if primary is not None and await self._is_primary(primary):
                return primary
            await asyncio.sleep(POLL_SECONDS)
        raise BenchError(f"the cluster did not become healthy: {await self._members()}; {self._logs()}")

    async def promoted(self, former: Node) -> float:
        """Wait until a node other than `former` is the primary. Returns the time. Raises BenchError."""
        deadline = time.monotonic() + PROMOTION_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if any(await asyncio.gather(*map(self._is_primary, self.others(former)))):
                return time.time()
            await asyncio.sleep(POLL_SECONDS)
        raise BenchError(f"no node was promoted within {PROMOTION_TIMEOUT_SECONDS} seconds; {self._logs()}")

    async def switch_over(self, primary: Node) -> None:
        """Let Patroni move the primary to another node. Raises BenchError."""
        request = {"leader": primary.name}
        async with self.http.post(f"{primary.rest}/switchover", json=request, timeout=SWITCHOVER_TIMEOUT) as got:
            if got.status != 200:
                raise BenchError(f"Patroni refused the switchover: {got.status} {await got.text()}")

    def _logs(self) -> str:
        return "; ".join(f"{node.name}: {node.log()}" for node in self.nodes)

    async def _is_primary(self, node: Node) -> bool:
        try:
            async with self.http.get(f"{node.rest}/primary", timeout=REST_TIMEOUT) as got:
                return got.status == 200
        except SILENT:
            return False

    async def _members(self) -> list[dict[str, Any]]:
        for node in self.nodes:
            try:
                async with self.http.get(f"{node.rest}/cluster", timeout=REST_TIMEOUT) as got:
                    members: list[dict[str, Any]] = (await got.json())["members"]
                    return members
            except (*SILENT, KeyError, ValueError):
                continue
        return []

    def _primary(self, members: list[dict[str, Any]]) -> Node | None:
        """The primary of a healthy cluster."""
        roles = sorted(member["role"] for member in members)
        running = {"running", "streaming"} >= {member["state"] for member in members}
        if roles != ["leader", "replica", "sync_standby"] or not running:
            return None
        if len({member.get("timeline") for member in members}) > 1:
            return None
        (name,) = (member["name"] for member in members if member["role"] == "leader")
        return next(node for node in self.nodes if node.name == name)


@asynccontextmanager
async def cluster(folder: Path, programs: Programs) -> AsyncIterator[Cluster]:
    """A healthy cluster."""
    passwords = Passwords()
    nodes = [
        Node(f"node{number}", host, folder / f"node{number}", programs, passwords)
        for number, host in enumerate(hosts(NODES), 1)
    ]
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        for node in nodes:
            node.prepare()
            stack.push_async_callback(node.stop)
            await node.start_etcd(nodes)
        for node in nodes:
            await node.start()
        running = Cluster(nodes, passwords, http)
        await running.healthy()
        yield running
