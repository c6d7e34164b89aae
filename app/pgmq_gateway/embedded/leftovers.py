"""Stops the processes of a Postgres whose gateway was killed."""

import asyncio
import contextlib
import logging
import os
import signal
import time
from pathlib import Path

import psutil

from pgmq_gateway.embedded.cluster import (
    FAST_SHUTDOWN_SECONDS,
    IMMEDIATE_SHUTDOWN_SECONDS,
    POLL_SECONDS,
    POSTMASTER_FILE,
)

logger = logging.getLogger("pgmq_gateway")

_BACKEND_SHUTDOWN_SECONDS = 3.0


async def stop_leftovers(cluster: Path) -> None:
    """Stop the processes of a killed gateway: first the postmaster, then backends without one."""
    postmaster = [process for process in servers(cluster) if process.pid == _postmaster_pid(cluster)]
    if postmaster:
        logger.warning("stopping Postgres (pid %d), which a killed gateway left running", postmaster[0].pid)
        await _stop(postmaster, {signal.SIGINT: FAST_SHUTDOWN_SECONDS, signal.SIGQUIT: IMMEDIATE_SHUTDOWN_SECONDS})
    await _stop(servers(cluster), {signal.SIGQUIT: _BACKEND_SHUTDOWN_SECONDS})


async def _stop(processes: list[psutil.Process], timeouts: dict[signal.Signals, float]) -> None:
    for number, seconds in {**timeouts, signal.SIGKILL: float("inf")}.items():
        deadline = time.monotonic() + seconds
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        while processes and time.monotonic() < deadline:
            processes = [process for process in processes if _is_running(process)]
            await asyncio.sleep(POLL_SECONDS if processes else 0)


def _postmaster_pid(cluster: Path) -> int | None:
    try:
        return int((cluster / POSTMASTER_FILE).read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def servers(cluster: Path) -> list[psutil.Process]:
    """The Postgres processes of this cluster."""
    return [process for process in psutil.process_iter() if _serves(process, cluster)] if cluster.exists() else []


def _serves(process: psutil.Process, cluster: Path) -> bool:
    try:
        if process.name() != "postgres":
            return False
        try:
            return os.path.samefile(process.cwd(), cluster)
        except psutil.AccessDenied:
            # Without CAP_SYS_PTRACE, root in a container cannot read the working directory of another user's process.
            return str(cluster) in process.cmdline()
    except (psutil.Error, OSError):
        return False


def _is_running(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
