"""Shared by the commands of queues: one statement as the owner of the database, and its output."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Container, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import typer

from pgmq_gateway.cli.terminal import progress, run, width
from pgmq_gateway.database.driver import Connection
from pgmq_gateway.embedded.datadir import DEFAULT_NAME, DataDirectory
from pgmq_gateway.install.owner import Progress, owner, require_installed
from pgmq_gateway.observe.logs import printable

# Between looks at an empty queue.
MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.1, 1.0
# Of a text that is cut.
MIN_COLUMNS = 8


@asynccontextmanager
async def connected(
    db_uri: str | None, data_dir: Path | None, purpose: str, report: Progress, *, create: bool = False
) -> AsyncIterator[Connection]:
    """A connection as the owner of the database. `create`: create the embedded database if there is none."""
    directory = DataDirectory(data_dir or DEFAULT_NAME)
    async with owner(db_uri, directory, purpose, report, create=create) as connection:
        await require_installed(connection, embedded=db_uri is None, progress=report)
        yield connection


def rows(
    db_uri: str | None,
    data_dir: Path | None,
    purpose: str,
    sql: str,
    *arguments: object,
    create: bool = False,
    wait: float = 0,
) -> list[Mapping[str, Any]]:
    """The rows of a statement.

    create  create the embedded database if there is none
    wait    seconds for which the statement is repeated while it returns none
    """

    async def fetch() -> list[Mapping[str, Any]]:
        with progress() as report:
            async with connected(db_uri, data_dir, purpose, report, create=create) as connection:
                return [dict(row) for row in await awaited_rows(connection, wait, sql, *arguments)]

    return run(fetch())


async def awaited_rows(connection: Connection, seconds: float, sql: str, *arguments: object) -> list[asyncpg.Record]:
    """The rows of a statement, which is repeated for so many seconds while there are none."""
    loop = asyncio.get_running_loop()
    end, pause = loop.time() + seconds, MIN_PAUSE_SECONDS
    while not (found := await connection.fetch(sql, *arguments)) and (left := end - loop.time()) > 0:
        await asyncio.sleep(min(pause, left))
        pause = min(2 * pause, MAX_PAUSE_SECONDS)
    return found


def value(
    db_uri: str | None, data_dir: Path | None, purpose: str, sql: str, *arguments: object, create: bool = False
) -> Any:  # noqa: ANN401
    (row,) = rows(db_uri, data_dir, purpose, sql, *arguments, create=create)
    (only,) = row.values()
    return only


def counted(number: int) -> str:
    return f"{number:,} message{'' if number == 1 else 's'}"


def print_lines(rows: Iterable[Mapping[str, Any] | asyncpg.Record]) -> None:
    """Print the line of each row. Raises Exit when the reader of a pipe has closed it."""
    try:
        sys.stdout.writelines(f"{_line(row['line'])}\n" for row in rows)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit from None


def _line(document: str) -> str:
    """A line of JSON, for programs; on a terminal indented, with all digits of its numbers."""
    if width(sys.stdout) is None:
        return document
    indented = msgspec.json.format(document, indent=2)
    return "\n".join(printable(line) for line in indented.splitlines())


def print_json(value: object) -> None:
    print(json.dumps(value, default=str, indent=2, ensure_ascii=False))


def print_table(
    rows: Sequence[Sequence[str]], numbers: Container[int] = (), less_important: Sequence[int] = ()
) -> None:
    """Print rows with aligned columns.

    less_important  columns that are left out, in this order, on a terminal that is too narrow. After that the widest
                    text is cut. Elsewhere rows are whole: programs read them too.
    """
    if (columns := width(sys.stdout)) is not None:
        rows = [[printable(cell) for cell in row] for row in rows]
        shown = set(range(len(rows[0])))
        for column in less_important:
            if _line_width(rows, shown) > columns:
                shown.remove(column)
        rows = _cut(rows, shown - {column for column in shown if column in numbers}, columns - _line_width(rows, shown))
        numbers = [place for place, column in enumerate(sorted(shown)) if column in numbers]
        rows = [[row[column] for column in sorted(shown)] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = []
        for place, (cell, wide) in enumerate(zip(row, widths, strict=True)):
            padding = " " * (wide - cell_len(cell))
            cells.append(padding + cell if place in numbers else cell + padding)
        print("  ".join(cells).rstrip())


def cell_len(text: str) -> int:
    """The columns that a text takes on a terminal."""
    # Imported here, because `serve` needs no tables.
    from rich import cells

    return cells.cell_len(text)


def _line_width(rows: Sequence[Sequence[str]], shown: Container[int]) -> int:
    widths = [max(map(cell_len, cells)) for column, cells in enumerate(zip(*rows, strict=True)) if column in shown]
    return sum(widths) + 2 * (len(widths) - 1)


def _cut(rows: Sequence[Sequence[str]], texts: Iterable[int], spare: int) -> list[list[str]]:
    """Cut the widest of the columns `texts` if `spare`, the columns left on the line, is negative."""
    found = [list(row) for row in rows]
    if spare >= 0:
        return found
    from rich.cells import set_cell_size

    widest = max(texts, key=lambda column: max(cell_len(row[column]) for row in rows))
    left = max(MIN_COLUMNS, max(cell_len(row[widest]) for row in rows) + spare)
    for row in found:
        if cell_len(row[widest]) > left:
            row[widest] = set_cell_size(row[widest], left - 1).rstrip() + "…"
    return found
