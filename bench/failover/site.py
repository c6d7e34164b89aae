"""The system under test: the cluster, HAProxy, and two gateways that find the primary in different ways."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.checker import ground
from bench.checker.gateways import Gateway
from bench.failover.cluster import Cluster, cluster
from bench.failover.programs import Programs
from bench.failover.proxy import haproxy
from bench.stage import folder_of_its_own
from pgmq_gateway.install.installer import install

SECRET = "a secret that is only ever used by the failover runs"  # noqa: S105 it opens nothing
# Time limits: of the role of most callers, and of the gateway for all others.
ROLE_LIMIT, GATEWAY_LIMIT_SECONDS = "2s", "4"


@dataclass(frozen=True, slots=True)
class Site:
    """The cluster, and what makes a gateway of each name."""

    cluster: Cluster
    uris: dict[str, str]
    folder: Path

    def gateways(self, *, limits: bool) -> dict[str, Gateway]:
        """Stopped gateways by name, with or without a time limit for calls."""
        settings = {"PGMQ_GATEWAY_CALL_TIMEOUT": GATEWAY_LIMIT_SECONDS} if limits else {}
        return {name: Gateway(self.folder / f"{name}.log", uri, SECRET, 1, settings) for name, uri in self.uris.items()}


@asynccontextmanager
async def site(programs: Programs) -> AsyncIterator[Site]:
    """A healthy cluster with the checker's queues, and HAProxy in front of it."""
    with folder_of_its_own() as folder:
        async with (
            cluster(folder, programs) as running,
            haproxy(programs.haproxy, running.nodes, folder) as address,
        ):
            primary = await running.healthy()
            async with ground.owning(primary.owner) as owner:
                await install(owner)
                await owner.execute(f"alter role authenticator password '{running.passwords.login}'")
                await ground.lay(owner)
            every = ",".join(node.address for node in running.nodes)
            yield Site(running, {"hosts": running.login(every), "haproxy": running.login(address)}, folder)
