"""The command line. Every failure is one line on stderr and an exit status other than 0."""

import logging
import os
import sys
from textwrap import fill
from typing import Annotated, Never

import typer

from pgmq_gateway.cli import database, gateway, keys, openapi, queues
from pgmq_gateway.cli.manual import CONTEXT, Group, add, help_without_command, sentence
from pgmq_gateway.cli.terminal import UsageError, width
from pgmq_gateway.cli.wording import spoken
from pgmq_gateway.distribution import MissingExtraError, release
from pgmq_gateway.embedded.cluster import EmbeddedPostgresError
from pgmq_gateway.embedded.datadir import DataDirectoryError
from pgmq_gateway.http.sockets import ServeError
from pgmq_gateway.install.findings import InstallError
from pgmq_gateway.install.owner import OwnerError
from pgmq_gateway.observe import logs
from pgmq_gateway.observe.logs import printable
from pgmq_gateway.settings.model import SettingsError

logger = logging.getLogger("pgmq_gateway")

FAILURES = (
    SettingsError,
    ServeError,
    DataDirectoryError,
    EmbeddedPostgresError,
    InstallError,
    OwnerError,
    MissingExtraError,
)

app = typer.Typer(
    help="Postgres message queues (pgmq) over HTTP. Each call runs in its caller's Postgres role.",
    epilog="Settings are read from the environment, under PostgREST's names (PGRST_DB_URI, PGRST_JWT_SECRET, ...), and "
    "from a configuration file in PostgREST's format, given by --config or PGMQ_GATEWAY_CONFIG.",
    cls=Group,
    context_settings=dict(CONTEXT),
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
add(app, "Serve", {**gateway.COMMANDS, **keys.LINKS})
add(app, "Queues and messages", queues.ALIASES)
app.add_typer(queues.queue, name="queue", rich_help_panel="Queues and messages")
add(app, "Keys", keys.COMMANDS)
add(app, "Database", database.COMMANDS)
add(app, "Database", database.PROGRAMS, allow_extra_args=True, ignore_unknown_options=True)
add(app, "Reference", openapi.COMMANDS)
app.command("postgrest", hidden=True)(gateway.postgrest_command)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"pgmq-gateway {release()}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option("--version", "-v", callback=_print_version, is_eager=True, help="Print the version, and exit."),
    ] = False,
) -> None:
    help_without_command(context)


def main() -> None:
    # Until the settings are read.
    logs.configure(os.environ.get("PGRST_LOG_LEVEL", ""), os.environ.get("PGMQ_GATEWAY_LOG_FORMAT", ""))
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except FAILURES as error:
        _fail(spoken(str(error)), 1)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except UsageError as error:
        _fail(sentence(error), 2)
    except Exception as error:
        # A bug: still one line, with the traceback at level debug.
        logger.debug("traceback", exc_info=True)
        _fail(f"unexpected error: {type(error).__name__}: {error}; set PGRST_LOG_LEVEL=debug for the traceback", 1)


def _fail(message: str, status: int) -> Never:
    line = " ".join(message.split())
    columns = width(sys.stderr)
    if columns is None:
        logger.critical(line)
    else:
        text = f"pgmq-gateway: {printable(line)}"
        print(fill(text, columns, break_long_words=False, break_on_hyphens=False), file=sys.stderr)
    sys.exit(status)
