"""Describes the machine of a run, without identifying it."""

import os
import platform
import re
import resource
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from pgmq_gateway.database.driver import Connection

PACKAGES = ("pgmq-gateway-server", "pgmq", "fastapi", "uvicorn", "uvloop", "httptools", "asyncpg", "psycopg")
SETTINGS = ("fsync", "synchronous_commit", "shared_buffers", "max_connections")


async def describe(owner: Connection) -> dict[str, Any]:
    """Cores, CPU, memory, versions, and relevant settings of Postgres."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cpu": _cpu(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "postgres": await owner.fetchval("show server_version"),
        "postgres_settings": {name: await owner.fetchval(f"show {name}") for name in SETTINGS},
        "load_generator": _generator(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def summary(machine: dict[str, Any]) -> str:
    """The description in one line."""
    packages = machine["packages"]
    return (
        f"{machine['cores']} cores ({machine['cpu']}), Postgres {machine['postgres']}, Python {machine['python']}, "
        f"uvicorn {packages.get('uvicorn')}, asyncpg {packages.get('asyncpg')}, pgmq {packages.get('pgmq')}, "
        f"{machine['load_generator']}"
    )


def allow_open_files(number: int) -> None:
    """Raise the limit of this process and of those that it starts, as far as the system permits."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number if most < 0 else min(number, most), most))


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return found[1].strip() if found else platform.processor() or "unknown"


def _generator() -> str:
    program = shutil.which("wrk")
    if program is None:
        return "autocannon"
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    found = re.search(r"wrk (\S+)", said)
    return f"wrk {found[1]}" if found else "wrk"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
