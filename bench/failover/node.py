"""A node of the cluster: etcd, and Patroni with its Postgres."""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from bench.failover.network import Host
from bench.failover.programs import Programs
from bench.servers import clean_environment, free_port
from pgmq_gateway.embedded.account import account_for, let_read
from pgmq_gateway.embedded.cluster import installation
from pgmq_gateway.embedded.datadir import DataDirectory

SCOPE = "bench"
# Of Patroni: a primary that is gone is replaced after at most `ttl` seconds.
DYNAMIC = {
    "ttl": 20,
    "loop_wait": 5,
    "retry_timeout": 5,
    "maximum_lag_on_failover": 1 << 20,
    "synchronous_mode": True,
    "postgresql": {"use_pg_rewind": True, "parameters": {"wal_log_hints": "on", "max_connections": 100}},
}
# On one machine the members share its processors, so etcd's defaults of 100 and 1,000 ms change leaders without a need.
ETCD_MILLISECONDS = ("--heartbeat-interval", "250", "--election-timeout", "2500")


@dataclass(frozen=True, slots=True)
class Passwords:
    """Passwords of the cluster's roles."""

    superuser: str = field(default_factory=secrets.token_hex)
    replicator: str = field(default_factory=secrets.token_hex)
    login: str = field(default_factory=secrets.token_hex)


class Node:
    """A node in `folder`. Faults act on Patroni and Postgres; etcd continues."""

    def __init__(self, name: str, host: Host, folder: Path, programs: Programs, passwords: Passwords) -> None:
        self.name = name
        self.host = host
        self.port, self.rest_port, self._etcd_port, self._peer_port = (free_port() for _ in range(4))
        self._folder = folder
        self._programs = programs
        self._passwords = passwords
        self._etcd: asyncio.subprocess.Process | None = None
        self._patroni: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        """The address of Postgres."""
        return f"{self.host.address}:{self.port}"

    @property
    def rest(self) -> str:
        """The URL of Patroni's REST API."""
        return f"http://{self.host.address}:{self.rest_port}"

    @property
    def peer(self) -> str:
        """The member as etcd's `--initial-cluster` has it."""
        return f"{self.name}=http://{self.host.address}:{self._peer_port}"

    @property
    def owner(self) -> str:
        """The URI of the superuser."""
        return f"postgresql://postgres:{self._passwords.superuser}@{self.address}/postgres?sslmode=disable"

    def prepare(self) -> None:
        """Make the folder, for the account that Postgres runs as."""
        (self._folder / "socket").mkdir(parents=True)
        configuration = self._folder / "patroni.yml"
        configuration.touch(0o600)
        configuration.write_text(yaml.safe_dump(self._configuration()))
        if os.geteuid() == 0:
            account = account_for(DataDirectory(self._folder))
            let_read(account)
            for path in (self._folder, *self._folder.iterdir()):
                os.chown(path, account.uid, account.gid)

    async def start_etcd(self, members: Sequence["Node"]) -> None:
        """Start the member of etcd's cluster."""
        host = self.host.address
        client, peer = f"http://{host}:{self._etcd_port}", f"http://{host}:{self._peer_port}"
        self._etcd = await self._start(
            self._programs.etcd, "--name", self.name, "--data-dir", str(self._folder / "etcd"), *ETCD_MILLISECONDS,
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", ",".join(member.peer for member in members),
        )  # fmt: skip

    async def start(self) -> None:
        """Start Patroni, which starts Postgres."""
        if self._patroni is None or self._patroni.returncode is not None:
            self._patroni = await self._start(self._programs.patroni, str(self._folder / "patroni.yml"))

    async def kill(self) -> None:
        """Kill Patroni and all processes of Postgres."""
        # Patroni first, because it would start Postgres again.
        self.signal(signal.SIGKILL)
        if self._patroni is not None:
            await self._patroni.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to Patroni and to all processes of Postgres."""
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    async def stop(self) -> None:
        """Kill everything."""
        await self.kill()
        if self._etcd is not None and self._etcd.returncode is None:
            self._etcd.kill()
            await self._etcd.wait()

    def log(self) -> str:
        """The end of the log, in one line."""
        path = self._folder / "log"
        return " ".join(path.read_text(errors="replace").split())[-500:] if path.exists() else ""

    def _processes(self) -> list[psutil.Process]:
        found = []
        if self._patroni is not None and self._patroni.returncode is None:
            found.append(psutil.Process(self._patroni.pid))
        # Postgres is no child of Patroni. A file of a killed Postgres can name another process.
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            data = self._folder / "data"
            postmaster = psutil.Process(int((data / "postmaster.pid").read_text().split()[0]))
            if Path(postmaster.cwd()) == data.resolve():
                found += [postmaster, *postmaster.children(recursive=True)]
        return found

    async def _start(self, *command: str) -> asyncio.subprocess.Process:
        account = []
        if os.geteuid() == 0:
            name = account_for(DataDirectory(self._folder)).name
            account = [str(shutil.which("setpriv")), f"--reuid={name}", f"--regid={name}", "--init-groups"]
        variables = {name: value for name, value in clean_environment().items() if not name.startswith("PATRONI")}
        with (self._folder / "log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *self.host.command(*account, *command), cwd=self._folder, stdin=asyncio.subprocess.DEVNULL,
                stdout=log, stderr=log, env={**variables, "HOME": str(self._folder)},
            )  # fmt: skip

    def _configuration(self) -> dict[str, Any]:
        host, rest = self.host.address, f"{self.host.address}:{self.rest_port}"
        return {
            "scope": SCOPE,
            "name": self.name,
            "etcd3": {"hosts": f"{host}:{self._etcd_port}"},
            "restapi": {"listen": rest, "connect_address": rest},
            "bootstrap": {"dcs": DYNAMIC, "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"]},
            "postgresql": {
                "listen": self.address,
                "connect_address": self.address,
                "data_dir": str(self._folder / "data"),
                "bin_dir": str(installation() / "bin"),
                "pgpass": str(self._folder / "pgpass"),
                "authentication": {
                    "superuser": {"username": "postgres", "password": self._passwords.superuser},
                    "replication": {"username": "replicator", "password": self._passwords.replicator},
                },
                "pg_hba": [f"host {database} all 0.0.0.0/0 scram-sha-256" for database in ("all", "replication")],
                "parameters": {"unix_socket_directories": str(self._folder / "socket"), "shared_buffers": "32MB"},
            },
            "watchdog": {"mode": "off"},
        }
