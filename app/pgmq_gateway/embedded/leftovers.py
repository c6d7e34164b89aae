"""Processes and notes of a Postgres whose gateway was killed, found and ended before the next one starts."""

import asyncio
import contextlib
import logging
import os
import signal
import time
from pathlib import Path

import psutil

from pgmq_gateway.embedded.cluster import (
    FAST_STOP_SECONDS,
    IMMEDIATE_STOP_SECONDS,
    POLL_SECONDS,
    SOCKET_NAME,
    socket_folder,
)
from pgmq_gateway.embedded.datadir import DataDirectory

logger = logging.getLogger("pgmq_gateway")

_BACKEND_STOP_SECONDS = 3.0


async def stop_leftovers(cluster: Path) -> None:
    """Stop what a gateway that was killed has left: its server first, then backends without a server."""
    main = [process for process in servers(cluster) if process.pid == _noted_pid(cluster)]
    if main:
        logger.warning("stopping the Postgres (pid %d) that an earlier gateway has left", main[0].pid)
        await _end_leftovers(main, {signal.SIGINT: FAST_STOP_SECONDS, signal.SIGQUIT: IMMEDIATE_STOP_SECONDS})
    await _end_leftovers(servers(cluster), {signal.SIGQUIT: _BACKEND_STOP_SECONDS})


async def _end_leftovers(processes: list[psutil.Process], patience: dict[signal.Signals, float]) -> None:
    for number, seconds in {**patience, signal.SIGKILL: float("inf")}.items():
        deadline = time.monotonic() + seconds
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        while processes and time.monotonic() < deadline:
            processes = [process for process in processes if _lives(process)]
            await asyncio.sleep(POLL_SECONDS if processes else 0)


def forget_dead_server(directory: DataDirectory) -> None:
    """Remove the notes of a server that runs no more."""
    # Postgres refuses to start while any process of its user has the noted id, be it a zombie or, after a restart
    # of a container, a stranger. Under our lock, with no server process left, the note is stale for certain.
    for note in (directory.postgres / "postmaster.pid", socket_folder(directory) / f"{SOCKET_NAME}.lock"):
        note.unlink(missing_ok=True)


def _noted_pid(cluster: Path) -> int | None:
    try:
        return int((cluster / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def servers(cluster: Path) -> list[psutil.Process]:
    """The processes of Postgres that work in this cluster."""
    return [process for process in psutil.process_iter() if _serves(process, cluster)] if cluster.exists() else []


def _serves(process: psutil.Process, cluster: Path) -> bool:
    try:
        if process.name() != "postgres":
            return False
        try:
            return os.path.samefile(process.cwd(), cluster)
        except psutil.AccessDenied:
            # Root in a container without CAP_SYS_PTRACE may not read the folder of another user's process.
            return str(cluster) in process.cmdline()
    except (psutil.Error, OSError):
        return False


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
