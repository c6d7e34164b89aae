"""Shared by the commands of queues: one statement as the owner of the database, and its output."""

import json
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pgmq_gateway.cli.terminal import progress, run
from pgmq_gateway.embedded.datadir import DEFAULT_NAME, DataDirectory
from pgmq_gateway.install.owner import owner, require_installed

QueueName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the queue.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def rows(
    db_uri: str | None, data_dir: Path | None, purpose: str, sql: str, *arguments: object, create: bool = False
) -> list[Mapping[str, Any]]:
    """The rows of a statement. `create`: create the embedded database if there is none."""

    async def fetch() -> list[Mapping[str, Any]]:
        directory = DataDirectory(data_dir or DEFAULT_NAME)
        with progress() as report:
            async with owner(db_uri, directory, purpose, report, create=create) as connection:
                await require_installed(connection, embedded=db_uri is None, progress=report)
                return [dict(row) for row in await connection.fetch(sql, *arguments)]

    return run(fetch())


def value(
    db_uri: str | None, data_dir: Path | None, purpose: str, sql: str, *arguments: object, create: bool = False
) -> Any:  # noqa: ANN401
    (row,) = rows(db_uri, data_dir, purpose, sql, *arguments, create=create)
    (only,) = row.values()
    return only


def counted(number: int) -> str:
    return f"{number:,} message{'' if number == 1 else 's'}"


def print_json(value: object) -> None:
    print(json.dumps(value, default=str, indent=2, ensure_ascii=False))


def print_table(rows: Sequence[Sequence[str]], numbers: Container[int] = ()) -> None:
    """Print rows with aligned columns. Rows are never broken: programs read them too."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, widths, strict=True)
        aligned = [
            cell.rjust(width) if place in numbers else cell.ljust(width) for place, (cell, width) in enumerate(cells)
        ]
        print("  ".join(aligned).rstrip())
