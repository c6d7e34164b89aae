"""Checks settings before they are used."""

import asyncio
import logging
import ssl

import asyncpg

from pgmq_gateway.auth.authenticator import Authenticator
from pgmq_gateway.database import in_database
from pgmq_gateway.database.connector import Connector, connect
from pgmq_gateway.database.driver import BROKEN, SERVER_ERRORS, Connection, loggable
from pgmq_gateway.database.in_database import Pairs
from pgmq_gateway.database.login import UnsafeLogin, check_login
from pgmq_gateway.http.bounds import raise_file_limit, too_few_files
from pgmq_gateway.http.sockets import ServeError
from pgmq_gateway.schemas import MANAGEMENT, QUEUES
from pgmq_gateway.settings.model import Settings, SettingsError

READ_TIMEOUT_SECONDS = 5

logger = logging.getLogger("pgmq_gateway")

# By name: how the catalog writes the types of arguments depends on the search_path of the login role.
_MISSING = """
select s.kind || ' ' || s.schema || '.' || s.name
from pgmq_gateway.shipped as s
where s.schema <> 'pgmq_public'
  and not exists (
      select from pg_catalog.pg_proc as p join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
      where s.kind in ('function', 'procedure') and n.nspname = s.schema and p.proname = s.name
  )
  and not exists (
      select from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
      where s.kind = 'view' and n.nspname = s.schema and c.relname = s.name and c.relkind = 'v'
  )
order by 1
limit 1
"""


class UnreadableSettings(SettingsError):
    """The database could not be asked for its settings."""


async def settings_in_database(settings: Settings) -> Pairs:
    """The settings in the database, for the role that calls connect as. Raises UnreadableSettings."""
    if settings.db_uri is None or not settings.db_config:
        return ()
    try:
        async with asyncio.timeout(READ_TIMEOUT_SECONDS):
            connection = await connect(settings.db_uri.get_secret_value())
            try:
                return await in_database.read(connection, settings.db_pre_config)
            finally:
                connection.terminate()
    except (*BROKEN, *SERVER_ERRORS, ValueError, TimeoutError) as error:
        raise UnreadableSettings(f"the settings in the database cannot be read: {loggable(error)}") from None


async def preflight(settings: Settings) -> None:
    """Fail fast on settings that waiting cannot fix, and warn of those that are probably mistakes.

    The limit of open files is raised where it is too low. A database that is unreachable now is not an error.

    Raises SettingsError or ServeError.
    """
    raise_file_limit(settings)
    if warning := too_few_files(settings):
        logger.warning("%s", warning)
    if not {QUEUES, MANAGEMENT} & set(settings.db_schemas):
        logger.warning("queues cannot be used: add %s to db-schemas (PGRST_DB_SCHEMAS)", QUEUES)
    # Not a whole Gateway: that would already start traces.
    Authenticator.of(settings)
    for name, uri in (("PGRST_DB_URI", settings.db_uri), ("PGMQ_GATEWAY_LISTEN_URI", settings.listen_uri)):
        if uri is not None:
            await _connect(name, Connector(uri.get_secret_value(), prepared=settings.db_prepared_statements))


async def _connect(name: str, connector: Connector) -> None:
    try:
        connection = await connector()
    except (*BROKEN, asyncpg.PostgresError, ValueError) as error:
        if reason := _lasting(name, error):
            raise ServeError(reason) from None
        return
    try:
        await check_login(connection)
        await _check_installed(connection)
    except UnsafeLogin as error:
        raise ServeError(str(error)) from None
    finally:
        await connection.close()


def _lasting(name: str, error: Exception) -> str | None:
    """Why waiting cannot help after a failure to connect; None if it can."""
    match error:
        case asyncpg.InvalidAuthorizationSpecificationError() | asyncpg.InvalidCatalogNameError():
            hint = ": run pgmq-gateway install" if str(error) == 'role "authenticator" does not exist' else ""
            return f"the database rejects {name}: {error}{hint}"
        case (
            asyncpg.UndefinedObjectError()
            | asyncpg.PostgresSyntaxError()
            | asyncpg.CantChangeRuntimeParamError()
            | asyncpg.DataError()
        ):
            return f"the database rejects a parameter of {name}: {error}"
        # PgBouncer's errors all have this code, temporary ones too.
        case asyncpg.ProtocolViolationError() if "startup parameter" in str(error):
            return f"the pooler rejects a parameter of {name}: {error}"
        case ssl.SSLCertVerificationError():
            cause = f"the certificate of the server of {name} cannot be verified: {error.verify_message}"
            return f"{cause}: set sslrootcert to the file of its certificate authority"
        case ValueError():
            return f"{name} is not a usable connection string: {error}"
    return None


async def _check_installed(connection: Connection) -> None:
    try:
        missing = await connection.fetchval(_MISSING)
    except (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError):
        raise ServeError("this database is not installed completely: run pgmq-gateway install") from None
    if missing is not None:
        raise ServeError(f"this database lacks {missing}: run pgmq-gateway install")
