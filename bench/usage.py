"""CPU seconds and resident memory of processes, read from the system."""

import contextlib
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import psutil

# Title prefixes of Postgres' background processes; the title of a client backend starts with its user.
BACKGROUND = (
    "archiver", "autovacuum", "background writer", "checkpointer", "io worker", "logical replication", "startup",
    "walwriter",
)  # fmt: skip


def cpu_of(process: psutil.Process) -> float:
    """CPU seconds of a process and its reaped children."""
    times = process.cpu_times()
    ended: float = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return times.user + times.system + ended


def tree(pid: int) -> list[psutil.Process]:
    """A process and its living descendants."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_of_tree(pid: int) -> float:
    """CPU seconds of a process and all its descendants, including exited ones."""
    total = 0.0
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += cpu_of(process)
    return total


def memory_of_tree(pid: int) -> int:
    """Resident bytes of a process and its descendants."""
    total = 0
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total


def listener(port: int) -> int | None:
    """The process that listens on a port of this machine, if visible.

    Of several that share the socket it is the one above the others.
    """
    found = {process.pid: process.ppid() for process in psutil.process_iter() if _listens(process, port)}
    return next((pid for pid, parent in found.items() if parent not in found), None)


def _listens(process: psutil.Process, port: int) -> bool:
    try:
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            for connection in process.net_connections("tcp")
        )
    except psutil.Error:
        return False


def postmaster(backend: int) -> int | None:
    """The postmaster of this backend, if on this machine."""
    try:
        process = psutil.Process(backend)
        return process.ppid() if process.name() == "postgres" else None
    except psutil.Error:
        return None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """CPU seconds so far; None for processes that are not visible. `background` is by process id."""

    server: float | None
    postgres: float | None
    background: Mapping[int, float] | None
    generator: float

    @classmethod
    def take(cls, server: int | None, postgres: int | None) -> Self:
        """CPU seconds of the server, of Postgres, and of this process' reaped children (the load generator)."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return cls(
            server=None if server is None else cpu_of_tree(server),
            postgres=None if postgres is None else cpu_of_tree(postgres),
            background=None if postgres is None else _background(postgres),
            generator=children.ru_utime + children.ru_stime,
        )


def _background(postmaster: int) -> dict[int, float]:
    """CPU seconds of Postgres' background processes."""
    spent = {}
    for process in tree(postmaster)[1:]:
        with contextlib.suppress(psutil.NoSuchProcess):
            title = " ".join(process.cmdline()).partition("postgres: ")[2]
            if title.startswith(BACKGROUND):
                spent[process.pid] = cpu_of(process)
    return spent
