"""The terminal: its width, questions, progress, and running coroutines."""

import shutil
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, TypeVar

import typer
import uvloop

from pgmq_gateway.install.owner import Progress

T = TypeVar("T")

# click's base class of errors in a command line. Newer versions of typer carry a click of their own.
UsageError: type[Exception] = typer.BadParameter.__mro__[2]


def width(stream: TextIO) -> int | None:
    """The columns of a terminal; None for a pipe or a file, whose lines have no maximum."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def confirm(question: str, *, yes: bool) -> None:
    """Return if the user confirms. Raises Exit if not, and UsageError without a terminal."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} There is no terminal to confirm it on: repeat the command with --yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise typer.Exit(1)


def run(work: Coroutine[Any, Any, T]) -> T:
    return uvloop.run(work)


@contextmanager
def progress() -> Iterator[Progress]:
    """Show on a terminal what is taking time; print nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    # Imported here because a service has no terminal.
    from rich.console import Console

    with Console(stderr=True).status("Working") as status:
        yield status.update
