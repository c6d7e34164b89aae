"""Calls that arrive while all connections are busy, so that tests know which ones share a transaction."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx

from tests.gateways import Headers, RunningGateway
from tests.waiting import until_async

Json = dict[str, Any]

# A setting for tests in which calls wait for each other, however slow the machine is.
PATIENT = {"PGRST_DB_POOL_ACQUISITION_TIMEOUT": "300"}

# Advisory locks: one keeps connections busy, the other blocks a shared transaction in its middle.
LOCK, GATE = 4711, 4712

HOLD = (
    "create function public.hold() returns void volatile language plpgsql as "
    f"$f$ begin perform pg_advisory_xact_lock_shared({LOCK}); end $f$"
)


def address(number: int) -> Headers:
    """The headers of an anonymous caller with an address of its own, where this machine is a trusted proxy.

    One caller beside others gets no more than its share of the connections.
    """
    return {"X-Forwarded-For": f"192.0.2.{number}"}


class Crowd:
    """Callers of a gateway whose connections can be kept busy."""

    def __init__(self, gateway: RunningGateway, client: httpx.AsyncClient, connections: int = 1) -> None:
        self.sql = gateway.sql
        self.client = client
        self.admin_url = gateway.server.admin_url
        self._connections = connections

    def call(
        self,
        function: str,
        arguments: Json | None = None,
        headers: Headers | None = None,
        method: str = "POST",
        **options: Any,  # noqa: ANN401 httpx judges them
    ) -> Coroutine[Any, Any, httpx.Response]:
        """A call of a function; it is sent when awaited."""
        if method == "POST":
            options.setdefault("json", arguments or {})
        return self.client.request(method, f"/rpc/{function}", headers=headers, **options)

    async def together(self, *calls: Coroutine[Any, Any, httpx.Response]) -> list[httpx.Response]:
        """The responses to calls that all arrived while every connection was busy."""
        async with self.busy():
            tasks = [asyncio.create_task(call) for call in calls]
            await self.waiting(len(tasks))
        return await asyncio.gather(*tasks)

    async def in_turn(self, *calls: Coroutine[Any, Any, httpx.Response]) -> list[asyncio.Task[httpx.Response]]:
        """Send calls so that they wait in this order."""
        before = await self.queued()
        tasks = []
        for place, call in enumerate(calls, before + 1):
            tasks.append(asyncio.create_task(call))
            await self.waiting(place)
        return tasks

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """Every connection is busy with another call until the end of the block."""
        self.sql(f"select pg_advisory_lock({LOCK})")
        async with AsyncExitStack() as stack:
            stack.callback(self.sql, f"select pg_advisory_unlock({LOCK})")
            held = [asyncio.create_task(self.call("hold", headers=address(n))) for n in range(self._connections)]
            await until_async(lambda: self.blocked(LOCK) == self._connections)
            yield
        for one in held:
            assert (await one).status_code == 204

    @asynccontextmanager
    async def gate(self) -> AsyncIterator[None]:
        """A call that asks for GATE waits until the end of the block."""
        self.sql(f"select pg_advisory_lock({GATE})")
        try:
            yield
        finally:
            self.sql(f"select pg_advisory_unlock({GATE})")

    def blocked(self, lock: int) -> int:
        """The number of calls that wait for a lock."""
        ((count,),) = self.sql(
            f"select count(*) from pg_locks where locktype = 'advisory' and objid = {lock} and not granted"
            " and database = (select oid from pg_database where datname = current_database())"
        )
        assert isinstance(count, int)
        return count

    async def queued(self) -> int:
        """The number of calls that wait for a connection."""
        return await self.metric("pgrst_db_pool_waiting")

    async def metric(self, name: str) -> int:
        """The value of a metric."""
        text = (await self.client.get(f"{self.admin_url}/metrics")).text
        (line,) = (line for line in text.splitlines() if line.startswith(f"{name} "))
        return int(float(line.split()[1]))

    async def waiting(self, number: int) -> None:
        """Wait until that many calls wait for a connection."""

        async def so_many() -> bool:
            return await self.queued() == number

        await until_async(so_many)


@asynccontextmanager
async def crowd_of(gateway: RunningGateway, connections: int = 1) -> AsyncIterator[Crowd]:
    """Callers with an HTTP connection for each call."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    async with httpx.AsyncClient(base_url=gateway.server.url, limits=limits, timeout=30) as client:
        yield Crowd(gateway, client, connections)
