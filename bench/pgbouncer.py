"""PgBouncer in transaction mode, in front of a database."""

import os
import pwd
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import make_conninfo

from bench.measurement import BenchError
from pgmq_gateway.settings.conninfo import parameters

# Debian installs it outside the PATH of ordinary users.
PROGRAM = os.environ.get("PGBOUNCER") or shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
START_TIMEOUT_SECONDS = 30
MAX_PREPARED_STATEMENTS = 50

# pkt_buf: the calls of a group are one packet, larger than the default buffer of 4 kB.
CONFIGURATION = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = {folder}
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 1000
pkt_buf = 32768
ignore_startup_parameters = statement_timeout
"""


@dataclass(frozen=True, slots=True)
class PgBouncer:
    """A running PgBouncer; its socket and its log are in `folder`."""

    folder: Path
    direct: str
    keeps_statements: bool

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a gateway whose connections for calls lead through it."""
        return {
            "PGRST_DB_URI": self.uri(),
            "PGMQ_GATEWAY_LISTEN_URI": self.direct,
            "PGRST_DB_PREPARED_STATEMENTS": str(self.keeps_statements).lower(),
        }

    def uri(self, **changes: str) -> str:
        """The connection string through it, with other parameters than those of the direct one."""
        return make_conninfo(**{**parameters(self.direct), "host": str(self.folder), "port": "6432", **changes})


@contextmanager
def pgbouncer(folder: Path, direct: str, size: int) -> Iterator[PgBouncer]:
    """PgBouncer for the database of the login role's connection string `direct`. Raises BenchError without PgBouncer.

    folder  to be made; it has to be short, because the socket is in it
    size    server connections for each user and database
    """
    if PROGRAM is None:
        raise BenchError("PgBouncer is not installed: install it, or name the program in PGBOUNCER")
    running = PgBouncer(folder, direct, keeps_statements(PROGRAM))
    _configure(running, size)
    with (
        running.log.open("w") as log,
        subprocess.Popen([PROGRAM, folder / "ini"], stdout=log, stderr=log) as process,  # noqa: S603
    ):
        _wait_for(folder / ".s.PGSQL.6432", process, running.log)
        try:
            yield running
        finally:
            process.terminate()


def keeps_statements(program: str) -> bool:
    """True if PgBouncer supports prepared statements in transaction mode (1.21 and newer)."""
    output = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    found = re.search(r"PgBouncer (\d+)\.(\d+)", output)
    return found is not None and (int(found[1]), int(found[2])) >= (1, 21)


def _configure(running: PgBouncer, size: int) -> None:
    folder, given = running.folder, parameters(running.direct)
    folder.mkdir()
    host, port = given.get("host", "localhost"), given.get("port", "5432")
    text = CONFIGURATION.format(host=host, port=port, folder=folder, size=size)
    if running.keeps_statements:
        text += f"max_prepared_statements = {MAX_PREPARED_STATEMENTS}\n"
    if os.geteuid() == 0:
        # It does not run as root. The account of Postgres can reach its socket.
        account = pwd.getpwuid(Path(host).stat().st_uid).pw_name if host.startswith("/") else "nobody"
        text += f"user = {account}\n"
        shutil.chown(folder, account)
    (folder / "ini").write_text(text)
    (folder / "users").write_text(f'"{given["user"]}" "{given.get("password", "")}"\n"postgres" ""\n')


def _wait_for(path: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise BenchError(f"PgBouncer did not start: {' '.join(log.read_text().split())[-300:]}")
        time.sleep(0.02)
