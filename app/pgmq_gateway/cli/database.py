"""The commands of a database: install it, open it, dump it."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from pgmq_gateway.cli.manual import Commands
from pgmq_gateway.cli.options import DataDir, OwnerUri, seconds
from pgmq_gateway.cli.terminal import progress, run
from pgmq_gateway.embedded.cluster import binary, socket_uri
from pgmq_gateway.embedded.datadir import DEFAULT_NAME, DataDirectory, DataDirectoryError
from pgmq_gateway.install.installer import check, install
from pgmq_gateway.install.owner import left_to_do, owner, set_login_password
from pgmq_gateway.install.pg_dump import pg_dump
from pgmq_gateway.install.pgmq_upgrade import shipped_version, upgrade_pgmq

PASSWORD_VARIABLE = "AUTHENTICATOR_PASSWORD"  # noqa: S105 a variable's name
MAX_WAIT_SECONDS = 86400


def install_command(
    db_uri: OwnerUri = None,
    data_dir: DataDir = None,
    only_check: Annotated[
        bool, typer.Option("--check", help="Only print what is missing or different; exit status 1 if anything is.")
    ] = False,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Also replace existing functions of pgmq_public, and create a dropped schema."),
    ] = False,
    keep_trigger: Annotated[
        bool | None,
        typer.Option(
            "--keep-trigger/--revoke-trigger",
            help="Keep or revoke privileges of API roles to add triggers to pgmq's tables. Later installs do the same.",
            show_default="revoke",
        ),
    ] = None,
    viewer: Annotated[
        bool,
        typer.Option("--viewer", help="Also create the role queue_viewer, which sees queues and changes nothing."),
    ] = False,
    wait: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            parser=seconds(0, MAX_WAIT_SECONDS),
            show_default=False,
            help="How long to wait until the database of --db-uri accepts connections. Default: 0.",
        ),
    ] = 0,
) -> None:
    """Install, update or repair a database.

    It gets roles, pgmq and the functions of the API. It is safe to repeat.

    AUTHENTICATOR_PASSWORD, when set, becomes the password of the role that the gateway logs in with.
    """
    directory = DataDirectory(data_dir or DEFAULT_NAME)
    installing = _install(
        db_uri, directory, only_check=only_check, replace=replace, keep_trigger=keep_trigger, viewer=viewer, wait=wait
    )
    sys.exit(run(installing))


async def _install(
    db_uri: str | None,
    directory: DataDirectory,
    *,
    only_check: bool,
    replace: bool,
    keep_trigger: bool | None,
    viewer: bool,
    wait: float,
) -> int:
    with progress() as report:
        async with owner(db_uri, directory, "install", report, wait=wait) as connection:
            if only_check:
                found = await check(connection, viewer=viewer)
                up_to_date = all(finding.accepted for finding in found)
                print("\n".join([*map(str, found), *(["up to date"] if up_to_date else [])]))
                return 0 if up_to_date else 1
            done = await install(connection, replace=replace, keep_trigger=keep_trigger, viewer=viewer, progress=report)
            print("\n".join(done) or "up to date")
            if password := os.environ.get(PASSWORD_VARIABLE):
                await set_login_password(connection, password)
            for step in await left_to_do(connection, PASSWORD_VARIABLE) if db_uri else []:
                print(f"left to do: {step}")
    return 0


def upgrade_pgmq_command(
    db_uri: OwnerUri = None,
    data_dir: DataDir = None,
    only_check: Annotated[
        bool, typer.Option("--check", help="Only print what would change; exit status 1 if anything would.")
    ] = False,
) -> None:
    """Upgrade a pgmq that is not an extension.

    One that was installed from its SQL gets the version of this pgmq-gateway, in one transaction. Queues, messages and
    privileges stay. Then the gateway's functions are updated, as by pgmq-gateway install.
    """
    directory = DataDirectory(data_dir or DEFAULT_NAME)
    sys.exit(run(_upgrade_pgmq(db_uri, directory, only_check=only_check)))


async def _upgrade_pgmq(db_uri: str | None, directory: DataDirectory, *, only_check: bool) -> int:
    with progress() as report:
        async with owner(db_uri, directory, "upgrade-pgmq", report) as connection:
            done = await upgrade_pgmq(connection, only_check=only_check)
            # Committed: printed even if the rest fails.
            print("\n".join(done) or f"pgmq {shipped_version()} is up to date", flush=True)
            if only_check:
                return 1 if done else 0
            # Also after a run that failed here.
            for line in await install(connection, progress=report):
                print(line)
    return 0


def psql_command(context: typer.Context, data_dir: DataDir = None) -> None:
    """Open the embedded database in psql.

    As its owner. The gateway must be running.

    Other arguments are passed to psql: -c "select 1".
    """
    uri = socket_uri(_served(data_dir))
    # psql looks for its own folder in argv[0], or else on PATH, where there may be none.
    program = str(binary("psql"))
    os.execv(program, [program, uri, *context.args])  # noqa: S606 no shell is the point


def db_uri_command(
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="The role to log in as.")] = "postgres",
    data_dir: DataDir = None,
) -> None:
    """Print the URI of the embedded database.

    For psql and clients. The gateway must be running. It is a Unix socket in the data directory, which only the user of
    the gateway can open; there is no password.
    """
    print(socket_uri(_served(data_dir), role))


def _served(data_dir: Path | None) -> DataDirectory:
    """The folder of an embedded database that a gateway serves. Raises DataDirectoryError."""
    directory = DataDirectory(data_dir or DEFAULT_NAME)
    holder = directory.holder()
    if holder is None or not holder.serves:
        raise DataDirectoryError(f"no gateway serves {directory.path}: run pgmq-gateway serve first")
    return directory


def pg_dump_command(context: typer.Context, data_dir: DataDir = None) -> None:
    """Dump the embedded database.

    With the pg_dump of its own Postgres, whether the gateway is running or not. Other arguments are passed to pg_dump:
    -Fc -f backup.dump.
    """
    with progress() as report:
        sys.exit(run(pg_dump(DataDirectory(data_dir or DEFAULT_NAME), context.args, report)))


COMMANDS: Commands = {"install": install_command, "upgrade-pgmq": upgrade_pgmq_command, "db-uri": db_uri_command}
# They pass what they do not know to the program.
PROGRAMS: Commands = {"psql": psql_command, "pg_dump": pg_dump_command}
