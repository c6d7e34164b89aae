"""The command line. Every failure is one line on stderr and an exit status other than 0."""

import json
import logging
import os
import sys
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from socket import socket
from typing import Annotated, Any, Never, TypeVar

import typer
import uvloop
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from app import banner, keys
from app import settings as configuration
from app.admin import AdminError, Progress, left_to_do, owner, set_login_password
from app.auth import secret_key
from app.datadir import DEFAULT_NAME, DataDirectory, DataDirectoryError
from app.driver import Connection
from app.embedded import EmbeddedPostgres, EmbeddedPostgresError, binary, socket_uri
from app.migrations import InstallError, install, migrations, pending
from app.serve import ServeError, bind, serve, url
from app.settings import Settings, SettingsError

T = TypeVar("T")

PASSWORD_VARIABLE = "AUTHENTICATOR_PASSWORD"  # noqa: S105 a variable's name
ADMIN_URI_VARIABLE = "PGMQ_GATEWAY_ADMIN_URI"

# click's base of all that can be wrong with a command line, wherever typer keeps its click.
UsageError: type[Exception] = typer.BadParameter.__mro__[2]
FAILURES = (SettingsError, ServeError, DataDirectoryError, EmbeddedPostgresError, InstallError, AdminError)

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help=f"Folder of the embedded database. Default: {DEFAULT_NAME} here.")
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
QueueName = Annotated[str, typer.Argument(metavar="NAME", help="The queue.")]
RoleName = Annotated[str, typer.Argument(metavar="ROLE", help="anon, authenticated, service_role or one of your own.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]

app = typer.Typer(
    help="Postgres message queues (pgmq) over HTTP, every caller in its own Postgres role.",
    epilog="Settings come from the environment under PostgREST's names (PGRST_DB_URI, PGRST_JWT_SECRET and so on).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
queue = typer.Typer(help="Manage queues, and who may do what.", no_args_is_help=True)
app.add_typer(queue, name="queue")


class QueueType(StrEnum):
    """How the messages of a queue are stored."""

    BASIC = "basic"
    UNLOGGED = "unlogged"
    PARTITIONED = "partitioned"


class Operation(StrEnum):
    """What a role may do with a queue."""

    SEND = "send"
    READ = "read"
    POP = "pop"
    ARCHIVE = "archive"
    DELETE = "delete"


Operations = Annotated[
    list[Operation], typer.Argument(metavar="OPERATION...", help="send, read, pop, archive, delete.")
]


def main() -> None:
    """Run the command line."""
    logging.basicConfig(level=logging.WARNING, format="pgmq-gateway: %(levelname)s: %(message)s", stream=sys.stderr)
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except FAILURES as error:
        _fail(str(error), 1)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except UsageError as error:
        _fail(error.format_message().replace("Value error, ", "") + " (--help says more)", 2)  # type: ignore[attr-defined]


def _fail(message: str, status: int) -> Never:
    print("pgmq-gateway: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(status)


@app.command("serve", short_help="Serve queues over HTTP.")
def serve_command(
    db_uri: Annotated[
        str | None,
        typer.Option(
            "--db-uri", help="Database to serve, as its login role. Better: PGRST_DB_URI, which ps cannot show."
        ),
    ] = None,
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the API; 0: any free one. Default: 3000.")] = None,
    admin_port: Annotated[int | None, typer.Option(help="Port of /live and /ready. Default: 3001.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=1, help="Processes that serve; for now only 1.")] = 1,  # noqa: ARG001
    no_dashboard: Annotated[bool, typer.Option("--no-dashboard", help="Without the web page (not there yet).")] = False,  # noqa: ARG001
) -> None:
    """Serve queues over HTTP: those of the embedded database, or of the one that is named."""
    if db_uri and data_dir:
        raise typer.BadParameter("choose one of --db-uri and --data-dir")
    settings = configuration.load(db_uri=db_uri, server_host=host, server_port=port, admin_server_port=admin_port)
    if data_dir is None and settings.db_uri is not None:
        _run(_serve_database(settings))
    else:
        _run(_serve_embedded(settings, DataDirectory(data_dir or DEFAULT_NAME)))


async def _serve_database(settings: Settings) -> None:
    # Before anything is bound or connected: without a secret nothing else matters.
    secret_key(settings)
    api, admin = _sockets(settings)
    await serve(settings, api, admin, lambda: print(banner.external(url(api), url(admin)), flush=True))


def _sockets(settings: Settings) -> tuple[socket, socket]:
    """The addresses of the API and of the health checks, taken before anything slow is begun."""
    health_host = settings.admin_server_host or settings.server_host
    return bind(settings.server_host, settings.server_port), bind(health_host, settings.admin_server_port)


async def _serve_embedded(settings: Settings, directory: DataDirectory) -> None:
    with directory.hold("serve") as hold:
        api, admin = _sockets(settings)
        settings = _with_secret(settings, directory)
        with _progress() as progress:
            postgres = EmbeddedPostgres(directory, progress)
            await postgres.start()
            try:
                async with owner(postgres.uri(), directory, "serve", progress) as connection:
                    await install(connection, progress=progress)
            except BaseException:
                await postgres.stop()
                raise

        def ready() -> None:
            hold.announce(url(api))
            print(banner.embedded(url(api), url(admin), directory, secret_key(settings)), flush=True)

        login = SecretStr(postgres.uri("authenticator"))
        try:
            await serve(settings.model_copy(update={"db_uri": login}), api, admin, ready, postgres.watch())
        finally:
            await postgres.stop()


@app.command("install", short_help="Install or update a database.")
def install_command(
    db_uri: AdminUri = None,
    data_dir: DataDir = None,
    check: Annotated[bool, typer.Option("--check", help="Only say what is missing; status 1 if anything is.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace pgmq_public functions made by others.")] = False,
) -> None:
    """Install or update roles, pgmq and the API functions in a database. Repeating is harmless.

    AUTHENTICATOR_PASSWORD, when set, becomes the password of the role that the gateway logs in with.
    """
    sys.exit(_run(_install(db_uri, DataDirectory(data_dir or DEFAULT_NAME), check=check, replace=replace)))


async def _install(db_uri: str | None, directory: DataDirectory, *, check: bool, replace: bool) -> int:
    with _progress() as progress:
        async with owner(db_uri, directory, "install", progress) as connection:
            if check:
                missing = await pending(connection, migrations())
                print("\n".join(f"missing: {migration}" for migration in missing) or "up to date")
                return 1 if missing else 0
            applied = await install(connection, replace=replace, progress=progress)
            if password := os.environ.get(PASSWORD_VARIABLE):
                await set_login_password(connection, password)
            left = await left_to_do(connection, PASSWORD_VARIABLE) if db_uri else []
    print("\n".join(f"installed: {migration}" for migration in applied) or "up to date")
    for step in left:
        print(f"left to do: {step}")
    return 0


@app.command("keys", short_help="Print the address and the keys.")
def keys_command(data_dir: DataDir = None) -> None:
    """Print the API's address and keys as dotenv lines. The service_role key and the secret open everything."""
    settings = configuration.load()
    directory = DataDirectory(data_dir or DEFAULT_NAME)
    holder = directory.holder()
    settings = _with_secret(settings, directory)
    secret = secret_key(settings)
    address = (holder and holder.url) or f"http://{settings.server_host}:{settings.server_port}"
    assert settings.jwt_secret is not None
    print(f"SUPABASE_URL={address}")
    print(f"SUPABASE_ANON_KEY={keys.api_key(secret, 'anon')}")
    print(f"SUPABASE_SERVICE_ROLE_KEY={keys.api_key(secret, 'service_role')}")
    print(f"JWT_SECRET={settings.jwt_secret.get_secret_value()}")


@app.command("token", short_help="Print a signed token.")
def token_command(
    role: Annotated[str, typer.Option(help="The Postgres role that the bearer runs in.")],
    sub: Annotated[str | None, typer.Option(help="Claim sub: who the bearer is, for policies.")] = None,
    claim: Annotated[
        list[str] | None, typer.Option(metavar="KEY=JSON", help="One more claim; may be repeated.")
    ] = None,
    ttl: Annotated[str, typer.Option(help="How long it is good for: 90s, 15m, 1h, 30d.")] = "1h",
    data_dir: DataDir = None,
) -> None:
    """Print a signed token, for trying policies and for services of your own."""
    claims = {**({"sub": sub} if sub is not None else {}), **dict(_claim(text) for text in claim or ())}
    try:
        lifetime = keys.seconds(ttl)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--ttl") from None
    settings = _with_secret(configuration.load(), DataDirectory(data_dir or DEFAULT_NAME))
    print(keys.token(secret_key(settings), role, claims, lifetime))


def _claim(text: str) -> tuple[str, object]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise typer.BadParameter(f"{text} is not KEY=JSON", param_hint="--claim")
    try:
        return name, json.loads(value)
    except ValueError:
        raise typer.BadParameter(
            f"{value} is not JSON; a string needs quotes: {name}='\"…\"'", param_hint="--claim"
        ) from None


@app.command(
    "psql",
    short_help="Open the embedded database in psql.",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def psql_command(context: typer.Context, data_dir: DataDir = None) -> None:
    """Open the embedded database that is being served in psql, as its owner. What follows goes to psql: -c "select 1"."""
    directory = DataDirectory(data_dir or DEFAULT_NAME)
    if directory.holder() is None:
        raise DataDirectoryError(f"nothing serves {directory.path}: start pgmq-gateway serve first")
    os.execv(binary("psql"), ["psql", socket_uri(directory), *context.args])  # noqa: S606 no shell is the point


@queue.command("create")
def create_command(
    name: QueueName,
    type_: Annotated[QueueType, typer.Option("--type", help="How messages are stored.")] = QueueType.BASIC,
    no_rls: Annotated[bool, typer.Option("--no-rls", help="Without row-level security: grants alone decide.")] = False,
    db_uri: AdminUri = None,
    data_dir: DataDir = None,
) -> None:
    """Create a queue, with row-level security on."""
    sql = "select pgmq_admin.create_queue($1, $2, $3)"
    created = _value(db_uri, data_dir, "queue create", sql, name, type_.value, not no_rls)
    print(f"created {type_.value} queue {name}" if created else f"queue {name} is there already")


@queue.command("list")
def list_command(db_uri: AdminUri = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List all queues."""
    rows = _rows(db_uri, data_dir, "queue list", "select * from pgmq_admin.list_queues()")
    if as_json:
        _print_json(rows)
    elif rows:
        table = Table("Name", "Type", "RLS", "Created", box=None, pad_edge=False)
        for row in rows:
            created = f"{row['created_at']:%Y-%m-%d %H:%M:%S %Z}"
            table.add_row(row["queue_name"], row["queue_type"], "on" if row["rls"] else "off", created)
        _console().print(table)
    else:
        print("no queues yet: pgmq-gateway queue create NAME makes one")


@queue.command("show", short_help="Show a queue in numbers, and its grants.")
def show_command(name: QueueName, db_uri: AdminUri = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show the messages of a queue in numbers, and what each role may do with it."""
    sql = """
        select q.*, s.*, (
            select jsonb_object_agg(g.role, to_jsonb(g.operations)) from pgmq_admin.list_grants($1) as g
        )::text as grants
        from pgmq_admin.queue_status($1) as s, pgmq_admin.list_queues() as q
        where q.queue_name = $1
    """
    row = dict(_rows(db_uri, data_dir, "queue show", sql, name)[0])
    row["grants"] = json.loads(row["grants"] or "{}")
    if as_json:
        _print_json(row)
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for label, value in _shown(row):
        table.add_row(label, value)
    _console().print(table)


def _shown(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Name", row["queue_name"]
    yield "Type", row["queue_type"]
    yield "Row-level security", "on" if row["rls"] else "off"
    yield "Created", f"{row['created_at']:%Y-%m-%d %H:%M:%S %Z}"
    for label, column in (("Messages", "messages"), ("  visible", "visible"), ("  delayed", "delayed"),
                          ("  in flight", "in_flight"), ("Archived", "archived")):  # fmt: skip
        yield label, f"{row[column]:,}"
    if row["oldest_seconds"] is not None:
        yield "Oldest message", f"{row['oldest_seconds']:,} s"
    for role, operations in row["grants"].items():
        yield f"Role {role}", ", ".join(operations) or "nothing"


@queue.command("purge", short_help="Delete all messages of a queue.")
def purge_command(name: QueueName, db_uri: AdminUri = None, data_dir: DataDir = None) -> None:
    """Delete all messages of a queue, those in flight too. Its archive stays."""
    print(f"deleted {_value(db_uri, data_dir, 'queue purge', 'select pgmq_admin.purge_queue($1)', name):,} messages")


@queue.command("drop")
def drop_command(name: QueueName, db_uri: AdminUri = None, data_dir: DataDir = None) -> None:
    """Drop a queue with its messages and its archive."""
    _value(db_uri, data_dir, "queue drop", "select pgmq_admin.drop_queue($1)", name)
    print(f"dropped queue {name}")


@queue.command("grant", short_help="Let a role do operations.")
def grant_command(
    name: QueueName, role: RoleName, operations: Operations, db_uri: AdminUri = None, data_dir: DataDir = None
) -> None:
    """Let a role do these operations. With row-level security on, policies then decide on which messages."""
    sql = "select pgmq_admin.grant_queue($1, $2, $3)"
    _value(db_uri, data_dir, "queue grant", sql, name, role, [operation.value for operation in operations])
    print(f"{role} may {', '.join(operations)} on queue {name}")


@queue.command("revoke")
def revoke_command(
    name: QueueName, role: RoleName, operations: Operations, db_uri: AdminUri = None, data_dir: DataDir = None
) -> None:
    """Take these operations from a role."""
    sql = "select pgmq_admin.revoke_queue($1, $2, $3)"
    _value(db_uri, data_dir, "queue revoke", sql, name, role, [operation.value for operation in operations])
    print(f"{role} may no longer {', '.join(operations)} on queue {name}")


def _with_secret(settings: Settings, directory: DataDirectory) -> Settings:
    """Settings whose secret is the environment's, or else that of the data directory."""
    if settings.jwt_secret is not None:
        return settings
    return settings.model_copy(update={"jwt_secret": SecretStr(directory.secrets().jwt_secret)})


def _rows(
    db_uri: str | None, data_dir: Path | None, purpose: str, sql: str, *arguments: object
) -> list[Mapping[str, Any]]:
    """The rows of one statement, run as the owner of the database."""

    async def fetch() -> list[Mapping[str, Any]]:
        directory = DataDirectory(data_dir or DEFAULT_NAME)
        with _progress() as progress:
            async with owner(db_uri, directory, purpose, progress) as connection:
                await _require_installed(connection, embedded=db_uri is None, progress=progress)
                return [dict(row) for row in await connection.fetch(sql, *arguments)]

    return _run(fetch())


def _value(db_uri: str | None, data_dir: Path | None, purpose: str, sql: str, *arguments: object) -> Any:  # noqa: ANN401
    (row,) = _rows(db_uri, data_dir, purpose, sql, *arguments)
    (value,) = row.values()
    return value


async def _require_installed(connection: Connection, *, embedded: bool, progress: Progress) -> None:
    """The embedded database is brought up to date by whoever uses it; with others, that is their owner's decision."""
    if embedded:
        await install(connection, progress=progress)
    elif await pending(connection, migrations()):
        raise AdminError(
            "this database is not installed or not up to date: run pgmq-gateway install with the same --db-uri"
        )


def _run(work: Coroutine[Any, Any, T]) -> T:
    return uvloop.run(work)


def _console() -> Console:
    return Console(soft_wrap=True, highlight=False)


@contextmanager
def _progress() -> Iterator[Progress]:
    """Says on a terminal what takes time; elsewhere nothing."""
    with Console(stderr=True).status("Working") as status:
        yield status.update


def _print_json(value: object) -> None:
    print(json.dumps(value, default=str, indent=2, ensure_ascii=False))
