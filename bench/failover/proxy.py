"""HAProxy in front of the cluster: it asks Patroni which node is the primary."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bench.failover.network import LOOPBACK
from bench.failover.node import Node
from bench.servers import end, free_port

# A frozen primary is noticed by its failed checks, and its connections are closed. With its default of three retries,
# HAProxy tries a server that refuses connections for three seconds.
CONFIGURATION = """
global
    maxconn 500

defaults
    mode tcp
    retries 0
    timeout connect 3s
    timeout client 30m
    timeout server 30m
    timeout check 2s

listen primary
    bind {address}
    option httpchk OPTIONS /primary
    http-check expect status 200
    default-server inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
"""


@asynccontextmanager
async def haproxy(program: str, nodes: Sequence[Node], folder: Path) -> AsyncIterator[str]:
    """The address of a HAProxy that connects its clients to the primary."""
    address = f"{LOOPBACK}:{free_port()}"
    servers = [f"    server {node.name} {node.address} check port {node.rest_port}\n" for node in nodes]
    configuration = folder / "haproxy.cfg"
    configuration.write_text(CONFIGURATION.format(address=address) + "".join(servers))
    with (folder / "haproxy.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program, "-db", "-f", str(configuration), stdout=log, stderr=log
        )  # fmt: skip
    try:
        yield address
    finally:
        await end(process)
