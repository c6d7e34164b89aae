"""Programs that a run needs beside the gateway."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.measurement import BenchError

# Patroni before 4 loses data with etcd's v3 API: a primary that wakes takes the leader key without a condition.
MIN_PATRONI_VERSION = 4
INSTALL = {
    "etcd": "apt-get install etcd-server",
    "haproxy": "apt-get install haproxy",
    "patroni": "python3 -m venv /opt/patroni && /opt/patroni/bin/pip install 'patroni[etcd3,psycopg3]>=4',"
    " then name the program: export PATRONI=/opt/patroni/bin/patroni",
}


@dataclass(frozen=True, slots=True)
class Programs:
    """Paths of the programs."""

    etcd: str
    haproxy: str
    patroni: str


def programs() -> Programs:
    """The programs of this machine. Raises BenchError with the command that installs a missing one."""
    found = {name: find(name) for name in INSTALL}
    for name, path in found.items():
        if path is None:
            raise BenchError(f"{name} is missing: {INSTALL[name]}")
    ready = Programs(**{name: str(path) for name, path in found.items()})
    output = subprocess.run([ready.patroni, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    version = re.search(r"(\d+)\.", output)
    if version is None or int(version[1]) < MIN_PATRONI_VERSION:
        raise BenchError(f"{ready.patroni} is {output.strip() or 'broken'}, not Patroni 4: {INSTALL['patroni']}")
    return ready


def find(name: str) -> str | None:
    """A program by the variable of its name, beside this Python, or on the path; Debian's haproxy is in /usr/sbin."""
    beside = Path(sys.executable).with_name(name)
    return (
        os.environ.get(name.upper())
        or (str(beside) if beside.exists() else None)
        or shutil.which(name)
        or shutil.which(name, path="/usr/sbin")
    )
