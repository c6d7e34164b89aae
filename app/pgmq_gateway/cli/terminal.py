"""Shared by the commands: common options, progress, and running coroutines."""

import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import uvloop

from pgmq_gateway.embedded.datadir import DEFAULT_NAME
from pgmq_gateway.install.owner import Progress
from pgmq_gateway.settings.sources import CONFIG_VARIABLE

T = TypeVar("T")

# click's base class of errors in a command line. Newer versions of typer carry a click of their own.
UsageError: type[Exception] = typer.BadParameter.__mro__[2]

OWNER_URI_VARIABLE = "PGMQ_GATEWAY_ADMIN_URI"

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help=f"Folder of the embedded database. Default: ./{DEFAULT_NAME}.")
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help=f"Configuration file in PostgREST's format. Or set {CONFIG_VARIABLE}."
    ),
]
OwnerUri = Annotated[
    str | None,
    typer.Option(
        "--db-uri",
        envvar=OWNER_URI_VARIABLE,
        show_envvar=False,
        help=f"URI of the database, with its owner. Prefer {OWNER_URI_VARIABLE}: ps shows options.",
    ),
]


Yes = Annotated[bool, typer.Option("--yes", help="Do not ask. Scripts need it: they have no terminal.")]


def help_without_command(context: typer.Context) -> None:
    """Print the help for a command line that ends before a command."""
    if context.invoked_subcommand is None:
        print(context.get_help())


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
