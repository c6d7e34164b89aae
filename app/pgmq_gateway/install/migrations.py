"""Applies sql/migrations: each once, in order, in a transaction of its own, and records its checksum.

A released migration is never edited, and a database that is newer than the code is not changed. Every migration is safe
to repeat, so objects that were dropped are restored by running all of them again.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pgmq_gateway.database.driver import Connection
from pgmq_gateway.install import records, state
from pgmq_gateway.install.catalog import use_catalog_names
from pgmq_gateway.install.findings import Finding, InstallError
from pgmq_gateway.install.foreign_code import refuse_foreign_code
from pgmq_gateway.install.scripts import FOLDER, Script

# The key of the advisory lock; arbitrary, but different from that of other programs.
LOCK = 0x70676D7147

MIGRATIONS = FOLDER / "migrations"

# pgmq's SQL, in the Python package pgmq. Importing the package would load another driver, which takes a third of a
# command's start.
_package = find_spec("pgmq")
assert _package is not None
assert _package.origin is not None
PGMQ = Path(_package.origin).with_name("sql")

# One of the thirteen migrations of development versions before 0.1.0.
_FORMER = (3, "expose")

Progress = Callable[[str], None]


class FormerInstallation(InstallError):
    """The database was installed by a development version before 0.1.0."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: `sql/migrations/{number}_{name}.sql`."""

    number: int
    name: str
    sql: str

    @property
    def script(self) -> Script:
        return Script(f"{self}.sql", self.sql)

    @property
    def checksum(self) -> str:
        """The SHA-256 of the file's text, in hex."""
        return self.script.checksum

    def __str__(self) -> str:
        return f"{self.number:04}_{self.name}"


def migrations(folder: Path = MIGRATIONS) -> Sequence[Migration]:
    """The files of `folder` in order."""
    found = []
    for path in sorted(folder.glob("[0-9]*.sql")):
        name = re.fullmatch(r"(\d{4})_(\w+)", path.stem)
        assert name is not None, path
        found.append(Migration(int(name[1]), name[2], path.read_text()))
    return found


async def pending(connection: Connection, wanted: Sequence[Migration]) -> Sequence[Migration]:
    """The migrations that were not applied. Raises InstallError for a newer database or an edited migration."""
    if await connection.fetchval("select to_regclass('pgmq_gateway.migrations')") is None:
        return wanted
    rows = await connection.fetch("select number, name, checksum from pgmq_gateway.migrations")
    applied = {row["number"]: row for row in rows}
    if _FORMER in {(number, row["name"]) for number, row in applied.items()}:
        raise FormerInstallation(
            "a development version before 0.1.0 installed this database, and it cannot be updated: save the queues with"
            " pgmq-gateway pg_dump -t 'pgmq.q_*' -t 'pgmq.a_*' -f queues.sql, serve a new --data-dir, load them with"
            " pgmq-gateway psql -f queues.sql, and run pgmq-gateway install, which adopts them"
        )
    if ahead := applied.keys() - {migration.number for migration in wanted}:
        newest = max(ahead)
        raise InstallError(
            f"the database has migration {newest:04}_{applied[newest]['name']}, which this version does not know: "
            "install the newer pgmq-gateway"
        )
    for migration in wanted:
        row = applied.get(migration.number)
        if row is not None and row["checksum"] != migration.checksum:
            raise InstallError(
                f"sql/migrations/{migration}.sql was edited after this database applied it: restore the file and put "
                "the change into a new one"
            )
    return [migration for migration in wanted if migration.number not in applied]


async def migrate(connection: Connection, wanted: Sequence[Migration], progress: Progress) -> Sequence[Migration]:
    """Apply and return the pending migrations. If one fails, those before it stay applied."""
    applied = []
    while done := await _apply_next(connection, wanted, progress):
        applied.append(done)
    return applied


async def _apply_next(connection: Connection, wanted: Sequence[Migration], progress: Progress) -> Migration | None:
    async with connection.transaction():
        await lock(connection)
        todo = await pending(connection, wanted)
        if not todo:
            return None
        migration = todo[0]
        progress(f"Installing {migration}")
        await connection.execute(records.TABLES)
        await _execute(connection, migration)
        await connection.execute(
            "insert into pgmq_gateway.migrations (number, name, checksum) values ($1, $2, $3)",
            migration.number,
            migration.name,
            migration.checksum,
        )
    return migration


async def repair(
    connection: Connection, applied: Sequence[Migration], scripts: Sequence[Script], progress: Progress
) -> Sequence[Finding]:
    """Restore missing objects of `scripts` by repeating the migrations `applied`. Returns the findings."""
    async with connection.transaction():
        await lock(connection)
        await limit_lock_waits(connection)
        installer = await connection.fetchval("select current_user")
        search_path = await connection.fetchval("show search_path")
        await use_catalog_names(connection)
        found = await state.findings(connection, scripts, installer)
        if not found:
            return []
        progress("Restoring roles, schemas and tables")
        await state.take_over(connection, scripts, installer)
        await connection.execute("select set_config('search_path', $1, true)", search_path)
        await connection.execute(records.TABLES)
        for migration in applied:
            await _execute(connection, migration)
    return found


async def lock(connection: Connection) -> None:
    """Wait for other installers, until the end of the transaction. Raises InstallError for code of other roles."""
    await connection.execute("select pg_advisory_xact_lock($1)", LOCK)
    await refuse_foreign_code(connection)


async def limit_lock_waits(connection: Connection) -> None:
    """Wait at most 3 seconds for the lock of a table, until the end of the transaction: sends and reads wait behind it.

    Called after `lock`, whose wait for other installers has no limit.
    """
    await connection.execute("set local lock_timeout = '3s'")


async def _execute(connection: Connection, migration: Migration) -> None:
    await connection.execute(
        "select set_config('pgmq_gateway.pgmq_sql', $1, true), set_config('pgmq_gateway.pgmq_version', $2, true)",
        (PGMQ / "pgmq.sql").read_text(),
        (PGMQ / "VERSION").read_text().strip(),
    )
    await connection.execute(migration.sql)
