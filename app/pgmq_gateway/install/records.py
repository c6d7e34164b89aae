"""The installer's own tables: applied files, and the functions and views that they created."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pgmq_gateway.database.driver import Connection
from pgmq_gateway.install.catalog import Key
from pgmq_gateway.install.scripts import Script

TABLES = """
create schema if not exists pgmq_gateway;
create table if not exists pgmq_gateway.migrations (
    number integer primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now()
);
create table if not exists pgmq_gateway.function_files (
    file text primary key,
    checksum text not null,
    applied_at timestamptz not null default now()
);
create table if not exists pgmq_gateway.shipped (
    kind text not null,
    schema text not null,
    name text not null,
    arguments text not null,
    md5 text not null,
    file text not null,
    primary key (kind, schema, name, arguments)
);
comment on table pgmq_gateway.shipped is 'The functions and views that the installer made, with the md5 of each.';
"""


@dataclass(frozen=True, slots=True)
class Shipped:
    """The installer's record of a function or a view that it created."""

    md5: str
    file: str


async def files(connection: Connection) -> Mapping[str, str]:
    """Checksums of the applied files of sql/functions, by path."""
    if await connection.fetchval("select to_regclass('pgmq_gateway.function_files')") is None:
        return {}
    rows = await connection.fetch("select file, checksum from pgmq_gateway.function_files")
    return {row["file"]: row["checksum"] for row in rows}


async def shipped(connection: Connection) -> dict[Key, Shipped]:
    """Records of the functions and views that the installer created."""
    if await connection.fetchval("select to_regclass('pgmq_gateway.shipped')") is None:
        return {}
    rows = await connection.fetch("select kind, schema, name, arguments, md5, file from pgmq_gateway.shipped")
    return {
        Key(row["kind"], row["schema"], row["name"], row["arguments"]): Shipped(row["md5"], row["file"]) for row in rows
    }


async def record(connection: Connection, script: Script, made: Mapping[Key, str]) -> None:
    """Record that a file was applied, with the md5 of each function and view that it created."""
    await connection.execute(
        "insert into pgmq_gateway.function_files (file, checksum) values ($1, $2)"
        " on conflict (file) do update set checksum = excluded.checksum, applied_at = now()",
        script.path,
        script.checksum,
    )
    await connection.executemany(
        "insert into pgmq_gateway.shipped (kind, schema, name, arguments, md5, file) values ($1, $2, $3, $4, $5, $6)"
        " on conflict (kind, schema, name, arguments) do update set md5 = excluded.md5, file = excluded.file",
        [(key.kind, key.schema, key.name, key.arguments, md5, script.path) for key, md5 in made.items()],
    )


async def forget(connection: Connection, keys: Iterable[Key]) -> None:
    """Delete the records of dropped functions and views."""
    await connection.executemany(
        "delete from pgmq_gateway.shipped where (kind, schema, name, arguments) = ($1, $2, $3, $4)",
        [(key.kind, key.schema, key.name, key.arguments) for key in keys],
    )


async def keep_files(connection: Connection, paths: Sequence[str]) -> None:
    """Delete the records of all files except `paths`."""
    await connection.execute("delete from pgmq_gateway.function_files where file <> all ($1::text[])", paths)
