"""What can be known to be wrong with settings before they are used."""

import asyncpg

from pgmq_gateway.auth.authenticator import Authenticator
from pgmq_gateway.database.connector import Connector
from pgmq_gateway.database.driver import BROKEN
from pgmq_gateway.database.login import UnsafeLogin, check_login
from pgmq_gateway.http.sockets import ServeError
from pgmq_gateway.settings.model import Settings


async def preflight(settings: Settings) -> None:
    """Find out early what no waiting would mend. A database that cannot be reached yet is not among it.

    Raises SettingsError or ServeError.
    """
    # A whole gateway would begin what only one that serves may, such as traces.
    Authenticator.of(settings)
    for name, uri in (("PGRST_DB_URI", settings.db_uri), ("PGMQ_GATEWAY_LISTEN_URI", settings.listen_uri)):
        if uri is not None:
            await _try(name, Connector(uri.get_secret_value(), prepared=settings.db_prepared_statements))


async def _try(name: str, connector: Connector) -> None:
    try:
        connection = await connector()
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        raise ServeError(f"the database refuses {name}: {error}") from None
    except (ValueError, asyncpg.ClientConfigurationError) as error:
        raise ServeError(f"{name} cannot be used: {error}") from None
    except (*BROKEN, asyncpg.PostgresError):
        return
    try:
        await check_login(connection)
    except UnsafeLogin as error:
        raise ServeError(str(error)) from None
    finally:
        await connection.close()
