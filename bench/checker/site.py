"""The system under test: a Postgres and several gateways, with handles for fault injection."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from bench.checker import ground
from bench.checker.gateways import ProxiedGateway
from bench.stage import folder_of_its_own
from pgmq_gateway.embedded.cluster import SOCKET_NAME, socket_folder
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.embedded.server import EmbeddedPostgres, running
from pgmq_gateway.install.installer import install
from tests.proxy import Proxy

SECRET = "a secret that is only ever used by the checker"  # noqa: S105 it opens nothing
# Few connections, so that calls wait and share transactions; a short timeout, so that some waits fail.
CONNECTIONS = 3
SETTINGS = {"PGRST_DB_POOL": str(CONNECTIONS), "PGRST_DB_POOL_ACQUISITION_TIMEOUT": "3"}


@dataclass(frozen=True, slots=True)
class Site:
    """The supervised Postgres and the gateways."""

    postgres: EmbeddedPostgres
    gateways: list[ProxiedGateway]

    @property
    def owner(self) -> str:
        """The URI of the owner, without a proxy."""
        return self.postgres.uri()

    @property
    def urls(self) -> list[str]:
        """The URLs of all gateways."""
        return [gateway.url for gateway in self.gateways]

    async def start(self, number: int | None = None) -> None:
        """Start all gateways, or the first ones."""
        async with asyncio.TaskGroup() as group:
            for gateway in self.gateways[:number]:
                group.create_task(gateway.start())

    async def stop(self) -> None:
        """Shut down all gateways gracefully."""
        for gateway in self.gateways:
            gateway.proxy.heal()
        await asyncio.gather(*(gateway.stop() for gateway in self.gateways))

    def findings(self) -> list[str]:
        """Failed shutdowns and errors in the logs of all gateways."""
        return [line for gateway in self.gateways for line in gateway.findings()]


@asynccontextmanager
async def site(workers: tuple[int, ...]) -> AsyncIterator[Site]:
    """A database with the checker's queues, and a stopped gateway for each number of workers."""
    with folder_of_its_own() as folder:
        async with AsyncExitStack() as stack:
            directory = DataDirectory(folder / "data")
            postgres = await stack.enter_async_context(running(directory, "checker"))
            watch = asyncio.create_task(postgres.watch())
            stack.push_async_callback(_ended, watch)
            async with ground.owning(postgres.uri()) as owner:
                await install(owner)
                await owner.execute("alter system set deadlock_timeout = '50ms'")
                await owner.execute("select pg_reload_conf()")
                await ground.lay(owner)
                await ground.lay_leased(owner)
            gateways = []
            for number, count in enumerate(workers):
                proxy = stack.enter_context(Proxy(socket_folder(directory) / SOCKET_NAME))
                gateways.append(ProxiedGateway(folder / f"gateway{number}.log", proxy, SECRET, count, SETTINGS))
                stack.push_async_callback(gateways[-1].stop)
            yield Site(postgres, gateways)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
