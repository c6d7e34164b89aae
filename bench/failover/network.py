"""The network of the nodes: a namespace for each, which can be cut off from the others and from the clients, or ports
of the loopback interface.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

# Set in the process that runs in the namespaces.
INSIDE = "BENCH_FAILOVER_NAMESPACES"
TOOLS = ("unshare", "nsenter", "ip", "iptables")
UNSHARE = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
# The names of namespaces and the lock of iptables are in /run. The shell stays, as the init process that reaps orphans.
INIT = ("sh", "-c", 'mount -t tmpfs none /run && "$@"; exit $?', "sh")
CLIENTS = "10.87.0.1"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Host:
    """The host of a node; `namespace` is empty on the loopback interface."""

    address: str
    namespace: str = ""

    def command(self, *words: str) -> list[str]:
        """A command that runs there."""
        inside = ["nsenter", f"--net=/run/netns/{self.namespace}", "--"] if self.namespace else []
        return [*inside, *words]

    def cut_off(self, addresses: Sequence[str]) -> None:
        """Silently drop all packets from and to these addresses."""
        for address in addresses:
            _run(*self.command("iptables", "-A", "INPUT", "-s", address, "-j", "DROP"))
            _run(*self.command("iptables", "-A", "OUTPUT", "-d", address, "-j", "DROP"))

    def heal(self) -> None:
        """Stop dropping packets."""
        if self.namespace:
            _run(*self.command("iptables", "-F"))


def enter() -> None:
    """Run this program again in namespaces of its own, whose interfaces and processes vanish with it.

    Without root, or without namespaces, it returns, and the nodes run on the loopback interface.
    """
    if INSIDE in os.environ or not _possible():
        return
    command = [*UNSHARE, *INIT, sys.executable, *sys.orig_argv[1:]]
    with subprocess.Popen(command, env={**os.environ, INSIDE: "1"}) as process:  # noqa: S603 the same program
        # unshare ignores SIGTERM. When it is killed, so is everything in the namespaces.
        signal.signal(signal.SIGTERM, lambda *_: process.kill())
        sys.exit(process.wait())


def namespaces() -> bool:
    """True in the namespaces that `enter` makes."""
    return INSIDE in os.environ


def hosts(number: int) -> list[Host]:
    """Make hosts for this number of nodes."""
    if not namespaces():
        return [Host(LOOPBACK)] * number
    made = [Host(f"10.87.0.{10 + one}", f"node{one}") for one in range(1, number + 1)]
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", "nodes", "type", "bridge")
    _run("ip", "address", "add", f"{CLIENTS}/24", "dev", "nodes")
    _run("ip", "link", "set", "nodes", "up")
    for host in made:
        _connect(host)
    return made


def _connect(host: Host) -> None:
    """Make the namespace of a host, with an interface on the bridge."""
    name = host.namespace
    _run("ip", "netns", "add", name)
    _run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
    _run("ip", "link", "set", name, "master", "nodes", "up")
    _run("ip", "-n", name, "address", "add", f"{host.address}/24", "dev", "eth0")
    _run("ip", "-n", name, "link", "set", "eth0", "up")
    _run("ip", "-n", name, "link", "set", "lo", "up")


def _possible() -> bool:
    if sys.platform != "linux" or os.geteuid() != 0 or not all(map(shutil.which, TOOLS)):
        return False
    return subprocess.run([*UNSHARE, *INIT, "true"], capture_output=True, check=False).returncode == 0  # noqa: S603


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603
