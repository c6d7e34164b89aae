"""The command line. Every failure is one line on stderr and an exit status other than 0."""

import json
import logging
import os
import shlex
import sys
from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Never
from urllib.parse import urlsplit

import click
import typer

from pgmq_gateway.auth import signing
from pgmq_gateway.auth.apikeys import KeyRing
from pgmq_gateway.auth.keyset import own_keys
from pgmq_gateway.auth.signing import Signer
from pgmq_gateway.calls.call import EXECUTABLE
from pgmq_gateway.calls.catalog import Function, load
from pgmq_gateway.cli.queues import queue
from pgmq_gateway.cli.ready import ready_url
from pgmq_gateway.cli.serve import LOOPBACK, Launch, with_keys, with_secret
from pgmq_gateway.cli.terminal import (
    Config,
    DataDir,
    OwnerUri,
    UsageError,
    help_without_command,
    progress,
    run,
)
from pgmq_gateway.cli.urls import local_url, public_url
from pgmq_gateway.distribution import MissingExtraError, release
from pgmq_gateway.embedded.cluster import EmbeddedPostgresError, binary, socket_uri
from pgmq_gateway.embedded.datadir import DEFAULT_NAME, DataDirectory, DataDirectoryError
from pgmq_gateway.http.sockets import ServeError, bind, url
from pgmq_gateway.install.findings import InstallError
from pgmq_gateway.install.installer import check, install
from pgmq_gateway.install.owner import OwnerError, left_to_do, owner, require_installed, set_login_password
from pgmq_gateway.install.pg_dump import pg_dump
from pgmq_gateway.install.pgmq_upgrade import shipped_version, upgrade_pgmq
from pgmq_gateway.observe import logs
from pgmq_gateway.observe.output import STDOUT
from pgmq_gateway.process.dashboard import require_installed as require_dashboard
from pgmq_gateway.process.signals import StopSignals
from pgmq_gateway.process.worker_count import MAX_WORKERS
from pgmq_gateway.schemas import LEASES, MANAGEMENT, QUEUES
from pgmq_gateway.settings.dump import dump
from pgmq_gateway.settings.model import Settings, SettingsError, load_settings

DASHBOARD_PORT = 3002
PASSWORD_VARIABLE = "AUTHENTICATOR_PASSWORD"  # noqa: S105 a variable's name

EXECUTABLE_BY_SERVICE_ROLE = EXECUTABLE.format(schema="$1", role="'service_role'")

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
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(queue, name="queue")


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
        _fail(str(error), 1)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except UsageError as error:
        _fail(error.format_message().replace("Value error, ", "") + " (see --help)", 2)  # type: ignore[attr-defined]
    except Exception as error:
        # A bug: still one line, with the traceback at level debug.
        logger.debug("traceback", exc_info=True)
        _fail(f"unexpected error: {type(error).__name__}: {error}; set PGRST_LOG_LEVEL=debug for the traceback", 1)


def _fail(message: str, status: int) -> Never:
    logger.critical(" ".join(message.split()))
    sys.exit(status)


@app.command("serve", short_help="Serve queues over HTTP.")
def serve_command(
    db_uri: Annotated[
        str | None,
        typer.Option(
            "--db-uri", help="URI of the database, with the login role. Prefer PGRST_DB_URI: ps shows options."
        ),
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the API; 0: any free port. Default: 3000.")] = None,
    admin_port: Annotated[
        int | None, typer.Option(help="Admin port: /live, /ready and /metrics. Default: 3001.")
    ] = None,
    workers: Annotated[
        str,
        typer.Option(
            metavar="N|auto",
            help="Worker processes. They share the port and divide the connection pool. auto: one for each processor, "
            "or half as many with the embedded database.",
        ),
    ] = "1",
    dashboard_port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65535,
            envvar="PGMQ_GATEWAY_DASHBOARD_PORT",
            show_envvar=False,
            help="Port of the dashboard on 127.0.0.1; 0: any free port.",
        ),
    ] = DASHBOARD_PORT,
    no_dashboard: Annotated[bool, typer.Option("--no-dashboard", help="Do not start the dashboard.")] = False,
    reuse_port: Annotated[
        bool,
        typer.Option(
            "--reuse-port", help="Allow another gateway on the same ports, to restart without losing a request."
        ),
    ] = False,
    dump_config: Annotated[
        bool,
        typer.Option("--dump-config", help="Print the settings as a configuration file, secrets masked, and exit."),
    ] = False,
    ready: Annotated[
        bool,
        typer.Option("--ready", help="Ask a running gateway with these settings whether it is ready, and exit."),
    ] = False,
) -> None:
    """Serve queues over HTTP, from the embedded database or from the one given by --db-uri or PGRST_DB_URI."""
    if db_uri and data_dir:
        raise typer.BadParameter("--db-uri and --data-dir exclude each other: give only one")
    options = {
        "db_uri": db_uri,
        "server_host": host,
        "server_port": port,
        "admin_server_port": admin_port,
        "reuse_port": reuse_port or None,
    }
    stop_signals = StopSignals().install()
    launch = Launch(
        config, options, _number_of_workers(workers), None if no_dashboard else dashboard_port, data_dir, stop_signals
    )
    if ready:
        print(f"OK: {ready_url(launch.given())}")
        return
    if dump_config:
        settings = run(launch.settings())
        if settings.jwt_secret is not None:
            own_keys(settings)
        print(dump(settings))
        return
    # Cancelled by a signal before it served.
    with suppress(CancelledError):
        run(launch.serve())


@app.command("postgrest", hidden=True)
def postgrest_command(config: Annotated[Path | None, typer.Argument(metavar="FILE")] = None) -> None:
    """Serve with PostgREST's command line: `serve --no-dashboard --config FILE`, for compose files that have it."""
    serve_command(config=config, no_dashboard=True)


def _number_of_workers(text: str) -> int | None:
    """None: chosen by `serve`. Raises BadParameter."""
    if text == "auto":
        return None
    if text.isdecimal() and 1 <= int(text) <= MAX_WORKERS:
        return int(text)
    raise typer.BadParameter(f"{text!r} is not a number from 1 to {MAX_WORKERS}, or auto", param_hint="--workers")


@app.command("dashboard", short_help="Serve the dashboard.")
def dashboard_command(
    api: Annotated[str, typer.Option(metavar="URL", help="URL of the gateway.")] = "http://127.0.0.1:3000",
    public: Annotated[
        str | None, typer.Option(metavar="URL", help="URL of the gateway for its clients. Default: that of --api.")
    ] = None,
    admin: Annotated[
        str | None, typer.Option(metavar="URL", help="URL of the gateway's admin port, for the Health page.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = LOOPBACK,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free port.")] = DASHBOARD_PORT,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another host name of the dashboard; can be repeated."),
    ] = None,
) -> None:
    """Serve the dashboard of a gateway. It has the permissions of the key that you sign in with."""
    for name, address in (("--api", api), ("--public", public), ("--admin", admin)):
        if address is not None and urlsplit(address).scheme not in ("http", "https"):
            raise typer.BadParameter(f"{address} is not a URL: write http://HOST:PORT", param_hint=name)
    require_dashboard()
    bound = bind(host, port)
    # Imported here because the import is slow and only this command needs it.
    from pgmq_gateway.dashboard.web.server import Options, serve

    options = Options(api, public or "", admin, (host, *(allow_host or ())))
    run(serve(options, bound, lambda: STDOUT.write(f"the dashboard of {api} is on {url(bound)}")))


@app.command("install", short_help="Install, update or repair a database.")
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
            min=0,
            metavar="SECONDS",
            show_default=False,
            help="How long to wait until the database of --db-uri accepts connections. Default: 0.",
        ),
    ] = 0,
) -> None:
    """Install, update or repair roles, pgmq and the API functions in a database. It is safe to repeat.

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


@app.command("upgrade-pgmq", short_help="Upgrade a pgmq that is not an extension.")
def upgrade_pgmq_command(
    db_uri: OwnerUri = None,
    data_dir: DataDir = None,
    only_check: Annotated[
        bool, typer.Option("--check", help="Only print what would change; exit status 1 if anything would.")
    ] = False,
) -> None:
    """Upgrade a pgmq that was installed from its SQL to the version of this pgmq-gateway, in one transaction.

    Queues, messages and privileges stay. Then the gateway's functions are updated, as by pgmq-gateway install.
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


@app.command("keys", short_help="Print the API's URL and keys.")
def keys_command(data_dir: DataDir = None, config: Config = None) -> None:
    """Print the API's URL and keys as dotenv lines, quoted for the shell where needed.

    The service_role key and the secret give full access. The URL is that of PGRST_OPENAPI_SERVER_PROXY_URI, when set:
    the one that clients can reach.
    """
    settings = load_settings(config)
    directory = _embedded(settings, data_dir)
    if directory:
        settings = with_keys(with_secret(settings, directory))
    holder = directory and directory.holder()
    address = public_url(settings) or (holder and holder.url) or local_url(settings)
    for name, value in [("SUPABASE_URL", address), *_keys(settings)]:
        # `eval` must not execute a secret.
        print(f"{name}={shlex.quote(value)}")


def _embedded(settings: Settings, data_dir: Path | None) -> DataDirectory | None:
    """The folder of the embedded database; None if `serve` would use another one. Raises DataDirectoryError."""
    if settings.db_uri is not None and data_dir is None:
        return None
    directory = DataDirectory(data_dir or DEFAULT_NAME)
    directory.require_database()
    return directory


def _keys(settings: Settings) -> Iterator[tuple[str, str]]:
    """The keys that a gateway with these settings accepts. Raises SettingsError if it cannot sign tokens."""
    signer, ring = Signer.of(settings), KeyRing.of(settings)
    yield "SUPABASE_ANON_KEY", signing.api_key(signer, "anon")
    yield "SUPABASE_SERVICE_ROLE_KEY", signing.api_key(signer, "service_role")
    if ring:
        yield from (("SUPABASE_PUBLISHABLE_KEY", key) for key in ring.publishable[:1])
        yield from (("SUPABASE_SECRET_KEY", key) for key in list(ring.secret.values())[:1])
    assert settings.jwt_secret is not None
    yield "JWT_SECRET", _on_one_line(settings.jwt_secret.get_secret_value())


@app.command("token", short_help="Print a signed token.")
def token_command(
    role: Annotated[str, typer.Option(help="The Postgres role of the bearer.")],
    sub: Annotated[str | None, typer.Option(help="Claim sub: the user id, for policies.")] = None,
    claim: Annotated[list[str] | None, typer.Option(metavar="KEY=JSON", help="Another claim; can be repeated.")] = None,
    ttl: Annotated[str, typer.Option(help="Lifetime: 90s, 15m, 1h, 30d.")] = "1h",
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Print a signed token (JWT), to test policies or for your own services."""
    claims = {**({"sub": sub} if sub is not None else {}), **dict(_claim(text) for text in claim or ())}
    try:
        lifetime = signing.lifetime_seconds(ttl)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--ttl") from None
    settings = load_settings(config)
    if settings.jwt_secret is None and (directory := _embedded(settings, data_dir)):
        settings = with_secret(settings, directory)
    print(signing.token(Signer.of(settings), role, claims, lifetime))


def _claim(text: str) -> tuple[str, object]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise typer.BadParameter(f"{text} is not KEY=JSON", param_hint="--claim")
    try:
        return name, json.loads(value)
    except ValueError:
        raise typer.BadParameter(
            f"{value} is not JSON: a string needs quotes: {name}='\"…\"'", param_hint="--claim"
        ) from None


@app.command("openapi", short_help="Print the API as OpenAPI 3.1.")
def openapi_command(
    schema: Annotated[
        str,
        typer.Option(
            help=f"{QUEUES}: using queues. {LEASES}: with leases. {MANAGEMENT}: managing them.",
            metavar=f"{QUEUES}|{LEASES}|{MANAGEMENT}",
            click_type=click.Choice((QUEUES, LEASES, MANAGEMENT)),
        ),
    ] = QUEUES,
    db_uri: OwnerUri = None,
    data_dir: DataDir = None,
) -> None:
    """Print an OpenAPI 3.1 document (YAML) of the functions of a schema that service_role can execute."""

    # Imported here because only this command needs them.
    from pgmq_gateway import openapi
    from pgmq_gateway.openapi.yaml import as_yaml

    async def read() -> list[Function]:
        with progress() as report:
            async with owner(db_uri, DataDirectory(data_dir or DEFAULT_NAME), "openapi", report) as connection:
                await require_installed(connection, embedded=db_uri is None, progress=report)
                rows = [await connection.fetchrow(EXECUTABLE_BY_SERVICE_ROLE, described) for described in schemas]
                oids = {oid for row in rows if row for oid in json.loads(row["body"])}
                return [function for function in await load(connection, schemas) if function.oid in oids]

    # The resources of a document are those of pgmq_api.
    schemas = (schema, LEASES) if schema == QUEUES else (schema,)
    described = openapi.document(run(read()), release(), ("public", *schemas))
    print(as_yaml(described), end="")


@app.command(
    "psql",
    short_help="Open the embedded database in psql.",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def psql_command(context: typer.Context, data_dir: DataDir = None) -> None:
    """Open the embedded database in psql, as its owner. The gateway must be running.

    Other arguments are passed to psql: -c "select 1".
    """
    uri = socket_uri(_served(data_dir))
    # psql looks for its own folder in argv[0], or else on PATH, where there may be none.
    program = str(binary("psql"))
    os.execv(program, [program, uri, *context.args])  # noqa: S606 no shell is the point


@app.command("db-uri", short_help="Print the URI of the embedded database.")
def db_uri_command(
    role: Annotated[str, typer.Option(help="The role to log in as. Default: the owner.")] = "postgres",
    data_dir: DataDir = None,
) -> None:
    """Print the URI of the embedded database, for psql and clients. The gateway must be running.

    It is a Unix socket in the data directory, which only the user of the gateway can open; there is no password.
    """
    print(socket_uri(_served(data_dir), role))


def _served(data_dir: Path | None) -> DataDirectory:
    """The folder of an embedded database that a gateway serves. Raises DataDirectoryError."""
    directory = DataDirectory(data_dir or DEFAULT_NAME)
    holder = directory.holder()
    if holder is None or not holder.serves:
        raise DataDirectoryError(f"no gateway serves {directory.path}: run pgmq-gateway serve first")
    return directory


@app.command(
    "pg_dump",
    short_help="Dump the embedded database.",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def pg_dump_command(context: typer.Context, data_dir: DataDir = None) -> None:
    """Dump the embedded database with the pg_dump of its own Postgres, whether the gateway is running or not.

    Other arguments are passed to pg_dump: -Fc -f backup.dump.
    """
    with progress() as report:
        sys.exit(run(pg_dump(DataDirectory(data_dir or DEFAULT_NAME), context.args, report)))


def _on_one_line(secret: str) -> str:
    """A secret for a dotenv line: JSON without line breaks."""
    try:
        document = json.loads(secret)
    except ValueError:
        return secret
    return json.dumps(document, separators=(",", ":")) if isinstance(document, dict) else secret
