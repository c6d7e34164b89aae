"""What can be known to be wrong with settings before they are used."""

import asyncpg

from app.database import UnsafeLogin, check_login, connect
from app.main import Gateway
from app.settings import Settings
from app.sockets import ServeError


async def preflight(settings: Settings) -> None:
    """Find out early what no waiting would mend. A database that cannot be reached yet is not among it.

    Raises SettingsError or ServeError.
    """
    Gateway(settings)
    assert settings.db_uri is not None
    try:
        connection = await connect(settings.db_uri.get_secret_value())
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        raise ServeError(f"the database refuses PGRST_DB_URI: {error}") from None
    except (ValueError, asyncpg.ClientConfigurationError) as error:
        raise ServeError(f"PGRST_DB_URI cannot be used: {error}") from None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return
    try:
        await check_login(connection)
    except UnsafeLogin as error:
        raise ServeError(str(error)) from None
    finally:
        await connection.close()
