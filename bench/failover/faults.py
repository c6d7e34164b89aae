"""Faults of the primary."""

import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from bench.failover.cluster import Cluster
from bench.failover.network import CLIENTS
from bench.failover.node import Node

Action = Callable[[Cluster, Node], Awaitable[None]]


class Name(StrEnum):
    """The faults as `--faults` names them."""

    KILL = "kill"
    FREEZE = "freeze"
    CUT_NODES = "cut-nodes"
    CUT_CLIENTS = "cut-clients"
    SWITCHOVER = "switchover"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of the primary, and its end.

    promotes  whether another node becomes the primary
    packets   whether it drops packets, which needs network namespaces
    """

    begin: Action
    end: Action
    promotes: bool = True
    packets: bool = False


async def _kill(_: Cluster, node: Node) -> None:
    await node.kill()


async def _start(_: Cluster, node: Node) -> None:
    await node.start()


async def _freeze(_: Cluster, node: Node) -> None:
    node.signal(signal.SIGSTOP)


async def _wake(_: Cluster, node: Node) -> None:
    node.signal(signal.SIGCONT)


async def _cut_off_nodes(cluster: Cluster, node: Node) -> None:
    node.host.cut_off([other.host.address for other in cluster.others(node)])


async def _cut_off_clients(_: Cluster, node: Node) -> None:
    node.host.cut_off([CLIENTS])


async def _heal(_: Cluster, node: Node) -> None:
    node.host.heal()


async def _switch_over(cluster: Cluster, node: Node) -> None:
    await cluster.switch_over(node)


async def _nothing(_: Cluster, __: Node) -> None:
    pass


FAULTS = {
    Name.KILL: Fault(_kill, _start),
    Name.FREEZE: Fault(_freeze, _wake),
    Name.CUT_NODES: Fault(_cut_off_nodes, _heal, packets=True),
    Name.CUT_CLIENTS: Fault(_cut_off_clients, _heal, promotes=False, packets=True),
    Name.SWITCHOVER: Fault(_switch_over, _nothing),
}
