"""What the commands share on a terminal: options that many have, progress, and running what is asynchronous."""

from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import uvloop
from rich.console import Console

from pgmq_gateway.embedded.datadir import DEFAULT_NAME
from pgmq_gateway.install.owner import Progress
from pgmq_gateway.settings.sources import CONFIG_VARIABLE

T = TypeVar("T")

ADMIN_URI_VARIABLE = "PGMQ_GATEWAY_ADMIN_URI"

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help=f"Folder of the embedded database. Default: {DEFAULT_NAME} here.")
]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help=f"Settings in PostgREST's file format. Or: {CONFIG_VARIABLE}."),
]
AdminUri = Annotated[
    str | None,
    typer.Option(
        "--db-uri",
        envvar=ADMIN_URI_VARIABLE,
        show_envvar=False,
        help=f"Database to manage, as its owner. Better: {ADMIN_URI_VARIABLE}, which ps cannot show.",
    ),
]


def run(work: Coroutine[Any, Any, T]) -> T:
    """Do what is asynchronous to its end."""
    return uvloop.run(work)


@contextmanager
def progress() -> Iterator[Progress]:
    """Says on a terminal what takes time; elsewhere nothing."""
    with Console(stderr=True).status("Working") as status:
        yield status.update
