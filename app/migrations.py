"""sql/migrations in order, once each, one transaction each, recorded with a checksum; then sql/functions, all in one.

Any number of installers at once do no harm: an advisory lock makes them wait for each other. A released migration is
never edited, and a database that is ahead of the code is left alone.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import asyncpg

from app.driver import Connection

# Any number does, as long as nobody else takes it for something else.
LOCK = 0x70676D7147

# In an installed package the files lie inside it, in a checkout beside it.
FOLDER = next(
    folder for folder in (Path(__file__).with_name("sql"), Path(__file__).parents[1] / "sql") if folder.is_dir()
)

MIGRATIONS = FOLDER / "migrations"
# Functions of pgmq_public are created where they are missing, the others are always replaced.
SCHEMAS = ("pgmq_gateway", "pgmq_admin")
PUBLIC = "pgmq_public"

# pgmq's own SQL, in the package that carries it. Not imported: that would load another driver, a third of all the time
# that a command takes to start.
_package = find_spec("pgmq")
assert _package is not None
assert _package.origin is not None
PGMQ = Path(_package.origin).with_name("sql")

BOOKKEEPING = """
create schema if not exists pgmq_gateway;
create table if not exists pgmq_gateway.migrations (
    number integer primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now()
);
"""


class InstallError(Exception):
    """Why a database cannot be installed, in one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: `sql/migrations/{number}_{name}.sql`."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """The SHA-256 of the file's text, in hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

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
    """Those of `wanted` that this database lacks. Raises InstallError when the two do not fit together."""
    if await connection.fetchval("select to_regclass('pgmq_gateway.migrations')") is None:
        return wanted
    rows = await connection.fetch("select number, name, checksum from pgmq_gateway.migrations")
    applied = {row["number"]: row for row in rows}
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


async def install(
    connection: Connection,
    *,
    replace: bool = False,
    wanted: Sequence[Migration] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Sequence[Migration]:
    """Bring a database up to date and return what was applied.

    connection  of a role that may create roles and schemas
    replace     also replace pgmq_public functions that somebody else made
    progress    told what is being done, a few words at a time

    Raises InstallError. Each file is whole or not at all; those before a failing one stay applied.
    """
    applied = []
    try:
        while todo := await _apply_next(connection, migrations() if wanted is None else wanted, progress):
            applied.append(todo)
        if wanted is None:
            await _apply_functions(connection, again=bool(applied))
        await _complete(connection, replace=replace)
    except asyncpg.PostgresError as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise InstallError(f"{error.message}{hint}") from None
    return applied


async def _apply_next(
    connection: Connection, wanted: Sequence[Migration], progress: Callable[[str], None]
) -> Migration | None:
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", LOCK)
        todo = await pending(connection, wanted)
        if not todo:
            return None
        migration = todo[0]
        progress(f"Installing {migration}")
        await connection.execute(BOOKKEEPING)
        await connection.execute(
            "select set_config('pgmq_gateway.pgmq_sql', $1, true), set_config('pgmq_gateway.pgmq_version', $2, true)",
            (PGMQ / "pgmq.sql").read_text(),
            (PGMQ / "VERSION").read_text().strip(),
        )
        await connection.execute(migration.sql)
        await connection.execute(
            "insert into pgmq_gateway.migrations (number, name, checksum) values ($1, $2, $3)",
            migration.number,
            migration.name,
            migration.checksum,
        )
    return migration


def function_files(schema: str) -> Sequence[Path]:
    """The files of a schema's functions in order."""
    return sorted((FOLDER / "functions" / schema).glob("*.sql"))


async def _installed(connection: Connection) -> bool:
    return await connection.fetchval("select to_regprocedure('pgmq_gateway.public_functions()') is not null") is True


async def _apply_functions(connection: Connection, *, again: bool) -> None:
    """All but those of pgmq_public; unless `again` only where another installer has not got as far."""
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", LOCK)
        if not again and await _installed(connection):
            return
        # As pg_dump does, because functions call each other in any order.
        await connection.execute("set local check_function_bodies = off")
        for schema in SCHEMAS:
            for path in function_files(schema):
                await connection.execute(path.read_text())


async def missing_functions(connection: Connection) -> Sequence[str]:
    """Those of pgmq_public that are gone from an installed database: upgrading pgmq to 1.10 drops two of them."""
    if not await _installed(connection):
        return []
    # Where the schema itself is gone, somebody has taken the API away on purpose.
    rows = await connection.fetch(
        "select signature from pgmq_gateway.public_functions() "
        f"where function is null and to_regnamespace('{PUBLIC}') is not null"
    )
    return [f"{PUBLIC}.{row['signature']}" for row in rows]


async def _complete(connection: Connection, *, replace: bool) -> None:
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", LOCK)
        if replace:
            await connection.execute(f"create schema if not exists {PUBLIC}")
            present = "select function::text from pgmq_gateway.public_functions() where function is not null"
            for row in await connection.fetch(present):
                await connection.execute(f"drop function {row['function']}")
        missing = {name.removeprefix(f"{PUBLIC}.").partition("(")[0] for name in await missing_functions(connection)}
        for path in function_files(PUBLIC):
            if path.stem in missing:
                await connection.execute(path.read_text())
        # A schema that nobody has granted or revoked anything on is new, or comes from a dump without privileges.
        untouched = "select nspacl is null from pg_catalog.pg_namespace where nspname = $1"
        if missing or await connection.fetchval(untouched, PUBLIC):
            await connection.execute("select pgmq_gateway.grant_public_functions()")
