"""Further Postgres servers: without roles, with another superuser, and with password authentication."""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg

from pgmq_gateway.embedded.cluster import binary
from tests.conftest import missing
from tests.server import run

# Control files of pg_partman for Debian's versions of Postgres.
PARTMAN: list[Path | None] = [*sorted(Path("/usr/share/postgresql").glob("*/extension/pg_partman.control"))]
SUPERUSER = "boss"
PASSWORD = "boss's own"


@dataclass(frozen=True)
class Cluster:
    """A running server; its superuser is not called postgres."""

    folder: Path

    def uri(self, database: str = "postgres", user: str = SUPERUSER, password: str = PASSWORD) -> str:
        """The URI of a database, for asyncpg and for libpq."""
        login = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"postgresql://{login}@/{database}?host={quote(str(self.folder), safe='')}&port=5432&sslmode=disable"

    def create(self, owner: str = SUPERUSER) -> str:
        """Create an empty database and return its name."""
        name = f"db_{uuid.uuid4().hex[:12]}"
        self.execute(f"create database {name} owner {owner} template template0")
        return name

    def execute(self, *statements: str) -> None:
        """Run statements as the superuser, each in a transaction of its own."""
        with psycopg.connect(self.uri(), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def forget(self) -> None:
        """Drop all databases and roles that initdb did not create."""
        with psycopg.connect(self.uri(), autocommit=True) as connection:
            for kind, query in (
                (
                    "database",
                    "select datname from pg_database where datname not in ('postgres', 'template0', 'template1')",
                ),
                ("role", "select rolname from pg_roles where rolname <> current_user and rolname !~ '^pg_'"),
            ):
                for (name,) in connection.execute(query.encode()).fetchall():
                    if kind == "role":
                        # Also memberships that it has granted.
                        connection.execute(f'drop owned by "{name}"'.encode())
                    connection.execute(f'drop {kind} "{name}"'.encode())


@contextmanager
def cluster(programs: Path | None = None) -> Iterator[Cluster]:
    """A new server, listening on a Unix socket only, with password authentication (SCRAM).

    programs  the folder of its programs; without, those of the embedded Postgres
    """
    programs = programs or binary("postgres").parent
    folder = Path(tempfile.mkdtemp(prefix="pgmq-gateway-sql-"))
    folder.chmod(0o755)
    (folder / "password").write_text(PASSWORD + "\n")
    data = folder / "data"
    if os.geteuid() == 0:
        for path in (folder, folder / "password"):
            shutil.chown(path, *_account())
    login = ("-U", SUPERUSER, f"--pwfile={folder / 'password'}", "--auth=scram-sha-256")
    _run(programs / "initdb", "-D", data, *login, "--encoding=UTF8", "--locale=C", "--no-sync")
    options = f"-c listen_addresses='' -c port=5432 -c unix_socket_directories={folder} -c fsync=off"
    _run(programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
    try:
        yield Cluster(folder)
    finally:
        _run(programs / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder)


@contextmanager
def with_partman(control: Path | None, login_password: str = "") -> Iterator[Cluster]:
    """A server of Debian's Postgres with pg_partman, for its control file, and with an installed database."""
    if control is None:
        missing("pg_partman", "apt-get install postgresql-15-partman")
    login = {"AUTHENTICATOR_PASSWORD": login_password} if login_password else None
    with cluster(Path("/usr/lib/postgresql") / control.parts[4] / "bin") as own:
        assert run("install", "--db-uri", own.uri(), env=login).returncode == 0
        own.execute("create schema partman", "create extension pg_partman schema partman")
        yield own


def _run(program: Path, *arguments: str | Path) -> None:
    """Run a program of Postgres; under root, as Postgres' user, because it refuses root."""
    user, group = _account() if os.geteuid() == 0 else (None, None)
    subprocess.run(
        [program, *arguments],
        user=user,
        group=group,
        extra_groups=None if user is None else [],
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "LANG": "C", "LC_ALL": "C"},
        stdout=subprocess.DEVNULL,
        check=True,
    )


def _account() -> tuple[int, int]:
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    return entry.pw_uid, entry.pw_gid
