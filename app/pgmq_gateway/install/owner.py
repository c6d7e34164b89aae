"""Connections of the database's owner, for installing and managing; requests never use them."""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg

from pgmq_gateway.database.connector import connect
from pgmq_gateway.database.driver import Connection
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.embedded.server import running
from pgmq_gateway.install.installer import install, is_complete
from pgmq_gateway.install.state import LOGIN_ROLE
from pgmq_gateway.install.waiting import connect_within

Progress = Callable[[str], None]

# The table of a queue, in an error of Postgres.
_TABLE = re.compile(r'relation "pgmq\.q_([^"]*)"')

# Before 1.6, pgmq made the tables of queues members of the extension, whose rows pg_dump leaves out.
_MEMBERS = """
select count(*)
from pg_catalog.pg_depend as d
join pg_catalog.pg_extension as e on d.refclassid = 'pg_catalog.pg_extension'::regclass and e.oid = d.refobjid
join pg_catalog.pg_class as c on d.classid = 'pg_catalog.pg_class'::regclass and c.oid = d.objid
where e.extname = 'pgmq' and d.deptype = 'e' and c.relkind in ('r', 'p') and c.relname ~ '^[aq]_'
"""


class OwnerError(Exception):
    """A statement or a connection of the owner failed; the message is one line."""


@asynccontextmanager
async def owner(
    uri: str | None,
    directory: DataDirectory,
    purpose: str,
    progress: Progress,
    *,
    create: bool = False,
    wait: float = 0,
) -> AsyncIterator[Connection]:
    """A connection of the owner: to `uri`, or to the embedded database of `directory`, which need not be running.

    create  create the embedded database if there is none, instead of raising DataDirectoryError
    wait    seconds for which the database of `uri` may refuse connections

    Raises OwnerError with the message of Postgres, for errors in the block too.
    """
    try:
        if uri is not None:
            async with _connected(uri, wait) as connection:
                yield connection
            return
        if not create:
            directory.require_database("its --data-dir, or the --db-uri of another database")
        serving = directory.holder()
        if serving is not None and serving.serves:
            async with _connected(socket_uri(directory)) as connection:
                yield connection
            return
        async with running(directory, purpose, progress) as postgres, _connected(postgres.uri()) as connection:
            yield connection
    except asyncpg.PostgresError as error:
        # Hints of SQL name functions of SQL.
        unknown = isinstance(error, asyncpg.UndefinedTableError)
        hint = "pgmq-gateway queue list lists all queues." if unknown else error.hint
        more = "".join(f" {part}" for part in (error.detail, hint) if part)
        message = _TABLE.sub(r'queue "\1"', error.message or str(error)) if unknown else error.message or error
        raise OwnerError(f"{message}{':' if more else ''}{more}") from None
    except ValueError as error:
        # The driver cannot encode an argument.
        raise OwnerError(str(error)) from None
    except (OSError, asyncpg.InterfaceError) as error:
        raise OwnerError(f"lost the connection to the database: {error}") from None


@asynccontextmanager
async def _connected(uri: str, wait: float = 0) -> AsyncIterator[Connection]:
    try:
        connection = await (connect_within(uri, wait) if wait else connect(uri))
    except (OSError, asyncpg.InterfaceError, ValueError) as error:
        raise OwnerError(f"cannot connect to the database: {error}") from None
    try:
        yield connection
    finally:
        await connection.close()


async def require_installed(connection: Connection, *, embedded: bool, progress: Progress) -> None:
    """Update the embedded database. Raises OwnerError if another database is not up to date."""
    if embedded:
        await install(connection, progress=progress)
    elif not await is_complete(connection):
        raise OwnerError(
            "this database is not installed or not up to date: run pgmq-gateway install with the same --db-uri"
        )


async def set_login_password(connection: Connection, password: str) -> None:
    """Set the login role's password. Only its SCRAM verifier is sent, so that no log can show it.

    Raises OwnerError for a password that SCRAM would have to normalise (RFC 4013).
    """
    if not password or not (password.isascii() and password.isprintable()):
        raise OwnerError("the login role's password must be made of printable ASCII characters")
    try:
        await connection.execute(f"alter role {LOGIN_ROLE} login password '{_scram_verifier(password)}'")
    except asyncpg.InsufficientPrivilegeError:
        name = await connection.fetchval("select quote_ident(current_user)")
        raise OwnerError(
            f"role {name} has no permission to set the password of {LOGIN_ROLE}: as a superuser run"
            f' "grant {LOGIN_ROLE} to {name} with admin option", or leave AUTHENTICATOR_PASSWORD out'
        ) from None


def _scram_verifier(password: str, iterations: int = 4096) -> str:
    """The form in which Postgres stores a password (RFC 5803)."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    encoded = [base64.b64encode(part).decode() for part in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${iterations}:{encoded[0]}${encoded[1]}:{encoded[2]}"


async def left_to_do(connection: Connection, password_variable: str) -> list[str]:
    """Reasons for which the gateway cannot serve this database or should not, each with its remedy."""
    role = await connection.fetchrow(
        "select rolcanlogin, rolsuper, rolbypassrls from pg_catalog.pg_roles where rolname = $1", LOGIN_ROLE
    )
    assert role is not None
    steps = []
    if not role["rolcanlogin"]:
        steps.append(f"{LOGIN_ROLE} cannot log in: install again with {password_variable} set, or alter role it")
    elif await _has_no_password(connection):
        steps.append(f"{LOGIN_ROLE} has no password: install again with {password_variable} set, or alter role it")
    if role["rolsuper"] or role["rolbypassrls"]:
        steps.append(f"{LOGIN_ROLE} escapes row-level security: alter role {LOGIN_ROLE} nosuperuser nobypassrls")
    open_queues = await connection.fetch("select queue_name from pgmq_admin.list_queues() where not rls")
    if open_queues:
        names = ", ".join(row["queue_name"] for row in open_queues)
        steps.append(f"no row-level security on {names}: alter table pgmq.q_… enable row level security")
    if members := await connection.fetchval(_MEMBERS):
        steps.append(
            f"pg_dump leaves out {members} tables of queues, which are members of the extension pgmq: before a dump,"
            " take them out (docs/operating/backup.md)"
        )
    rules = ["caller_owns", "foreign_trigger", "missing_table", "orphaned_queue", "service_member", "service_policy"]
    found = await connection.fetch("select message, hint from pgmq_admin.lint() where rule = any ($1)", rules)
    return steps + [f"{row['message']} {row['hint']}" for row in found]


async def _has_no_password(connection: Connection) -> bool:
    """False also if the role cannot read pg_authid."""
    if not await connection.fetchval("select has_table_privilege('pg_catalog.pg_authid', 'select')"):
        return False
    stored = await connection.fetchval("select rolpassword from pg_catalog.pg_authid where rolname = $1", LOGIN_ROLE)
    return stored is None
