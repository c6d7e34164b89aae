"""Options and arguments that commands share, with the checks of their values."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from pgmq_gateway.cli.completion import queue_names
from pgmq_gateway.embedded.datadir import DEFAULT_NAME
from pgmq_gateway.settings.sources import CONFIG_VARIABLE

OWNER_URI_VARIABLE = "PGMQ_GATEWAY_ADMIN_URI"
# Not read by `serve`: a terminal in which `keys` was evaluated can serve another folder.
DATA_DIR_VARIABLE = "PGMQ_GATEWAY_DATA_DIR"
MAX_PORT = 65535
MAX_DELAY_SECONDS, MAX_LEASE_SECONDS, MAX_WAIT_SECONDS = 31536000, 604800, 86400
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,9})?")


def whole(low: int, high: int, noun: str = "whole number") -> Callable[[str], int]:
    """The parser of a whole number in a range."""

    def parse(text: str) -> int:
        found = _NUMBER.fullmatch(str(text))
        if found is None or found[1] or not low <= int(text) <= high:
            raise typer.BadParameter(f"{text} is not a {noun} ({low} to {high})")
        return int(text)

    return parse


def seconds(low: float, high: float) -> Callable[[str], float]:
    """The parser of a number of seconds, which can have decimals."""
    return _decimal(low, high, "number of seconds")


def per_second(text: str) -> float:
    return _decimal(0.001, 1000000, "number of messages for each second")(text)


def _decimal(low: float, high: float, noun: str) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not _NUMBER.fullmatch(str(text)) or not low <= float(text) <= high:
            raise typer.BadParameter(f"{text} is not a {noun} ({low:g} to {high:.0f})")
        return float(text)

    return parse


port = whole(0, MAX_PORT, "port")
whole_seconds = "whole number of seconds"

_FOLDER = f"Folder of the embedded database. Default: ./{DEFAULT_NAME}."
ServedDataDir = Annotated[Path | None, typer.Option("--data-dir", metavar="FOLDER", help=_FOLDER)]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="FOLDER",
        envvar=DATA_DIR_VARIABLE,
        show_envvar=False,
        help=f"Folder of the embedded database. Default: {DATA_DIR_VARIABLE}, or ./{DEFAULT_NAME}.",
    ),
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
        metavar="URI",
        envvar=OWNER_URI_VARIABLE,
        show_envvar=False,
        help=f"URI of the database, with its owner. Prefer {OWNER_URI_VARIABLE}: ps shows options.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask. Scripts need it: they have no terminal.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
QueueName = Annotated[
    str, typer.Argument(metavar="QUEUE", help="Name of the queue.", autocompletion=queue_names, show_default=False)
]
