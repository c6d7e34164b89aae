"""Opens connections to the database: selects a server and enables TCP keepalive."""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import ClassVar

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from pgmq_gateway.database.attempt import FAILURES, Attempt
from pgmq_gateway.database.cleaning import SESSION_SETTINGS
from pgmq_gateway.database.driver import Connection, GatewayConnection
from pgmq_gateway.database.servers import Servers
from pgmq_gateway.database.transaction_pooler import PooledConnection
from pgmq_gateway.database.units import seconds
from pgmq_gateway.settings.address import Address, Keepalive

SERVER_STATE = """
select
    pg_catalog.pg_is_in_recovery(),
    pg_catalog.current_setting('default_transaction_read_only')::pg_catalog.bool,
    pg_catalog.current_setting('statement_timeout'),
    pg_catalog.pg_backend_pid()
"""


# With prefer-standby, the time for a standby to accept the connection before any server may.
STANDBY_SECONDS = 1.0
# Of target_session_attrs, with which writes are not expected to succeed.
STANDBYS = frozenset({"standby", "prefer-standby", "read-only"})


class Connector:
    """Opens connections to one database.

    servers            what is known about its servers
    statement_timeout  seconds, 0 for none, as the newest connection reports it: the operator's call timeout, or else
                       that of the login role
    read_only          whether the newest connection's transactions are read-only by default
    primary            whether any connection so far led to a primary, unless target_session_attrs asks for standbys
    seeks_primary      whether standbys are refused until there is a primary again
    pooled             whether a pooler may run each transaction in another session: one of the connections so far had
                       another process than the one that it was opened with, or prepared statements are off, which only
                       poolers need
    """

    # By the member of Keepalive; the names differ between systems, and some systems lack the option.
    SOCKET_OPTIONS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "idle": ("TCP_KEEPIDLE", "TCP_KEEPALIVE"),
        "interval": ("TCP_KEEPINTVL",),
        "count": ("TCP_KEEPCNT",),
        "user_timeout": ("TCP_USER_TIMEOUT",),
    }

    def __init__(
        self, uri: str, *, prepared: bool = True, call_timeout: float | None = None, servers: Servers | None = None
    ) -> None:
        """Raises ValueError for an invalid connection string.

        prepared      keep prepared statements; PgBouncer supports them from 1.21 in transaction mode. Without, each
                      statement runs in a transaction
        call_timeout  statement timeout in seconds; None: that of the login role
        servers       what other connectors of the gateway know about the servers
        """
        self._address = Address.of(uri)
        self._tls = ssl.create_default_context() if self._address.system_authorities else None
        self._session = (
            SESSION_SETTINGS
            if call_timeout is None
            else {**SESSION_SETTINGS, "statement_timeout": _milliseconds(call_timeout)}
        )
        self._prepared = prepared
        self.servers = servers or Servers()
        self.statement_timeout = 0.0
        self.read_only = False
        self.primary = False
        self.seeks_primary = False
        self.pooled = not prepared

    async def __call__(self) -> GatewayConnection:
        """A new connection. Raises TimeoutError, OSError and the driver's errors, as one of the servers caused them."""
        if self._address.target == "prefer-standby":
            with suppress(TimeoutError, *FAILURES):
                async with asyncio.timeout(STANDBY_SECONDS):
                    return await self._attempt(SessionAttribute.standby)
        return await self._attempt()

    async def _attempt(self, attribute: SessionAttribute | None = None) -> GatewayConnection:
        return await Attempt(lambda uri: self._open(uri, attribute), self.servers, self._address.uris).run()

    async def probe(self, uri: str) -> None:
        """Log in to one of the servers, whatever its state, and leave. Raises what opening a connection raises.

        No query, because through a pooler it could wait for a session that other calls use.
        """
        connection = await self._log_in(uri, SessionAttribute.any)
        connection.terminate()

    async def _log_in(self, uri: str, attribute: SessionAttribute | None = None) -> GatewayConnection:
        began = asyncio.get_running_loop().time()
        connection: GatewayConnection = await asyncpg.connect(
            uri,
            server_settings=self._session,
            timeout=self._address.connect_timeout,
            ssl=self._tls,
            statement_cache_size=100 if self._prepared else 0,
            connection_class=GatewayConnection if self._prepared else PooledConnection,
            target_session_attrs=attribute,
        )
        self.servers.has_logged_in(uri, asyncio.get_running_loop().time() - began)
        return connection

    async def _open(self, uri: str, attribute: SessionAttribute | None) -> GatewayConnection:
        """A new connection to one of the servers, within the connect timeout."""
        async with asyncio.timeout(self._address.connect_timeout):
            return await self._prepared_for_calls(uri, attribute)

    async def _prepared_for_calls(self, uri: str, attribute: SessionAttribute | None) -> GatewayConnection:
        connection = await self._log_in(uri, attribute)
        try:
            connection.server = uri
            connection.add_log_listener(lambda _, message: _note_interruption(connection, message))
            _keep_alive(connection, self._address.keepalive)
            state = await connection.fetchrow(SERVER_STATE)
            assert state is not None
            if self.seeks_primary and state[0]:
                raise asyncpg.TargetServerAttributeNotMatched("the server is a standby, and there was a primary before")
        except BaseException:
            connection.terminate()
            raise
        standby, self.read_only, statement_timeout, process = state.values()
        self.pooled = self.pooled or process != connection.get_server_pid()
        self.primary = self.primary or not (standby or self._address.target in STANDBYS)
        self.seeks_primary = self.seeks_primary and standby
        self.statement_timeout = seconds(statement_timeout) or 0.0
        return connection


async def connect(uri: str) -> Connection:
    """A single connection, outside a pool. It works through a transaction pooler too."""
    return await Connector(uri, prepared=False)()


def _note_interruption(connection: GatewayConnection, message: asyncpg.PostgresLogMessage) -> None:
    """Note a commit whose wait for a synchronous standby a cancel has ended: Postgres reports success and this warning.

    The name of the function does not depend on the server's language, and SQL cannot make it up.
    """
    if message.server_source_function == "SyncRepWaitForLSN":
        connection.commit_interrupted = True


def _keep_alive(connection: Connection, wanted: Keepalive) -> None:
    # The driver has no parameter for keepalive, and does not expose its socket.
    endpoint = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
    if endpoint.family == socket.AF_UNIX:
        return
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, wanted.on)
    for member, names in Connector.SOCKET_OPTIONS.items():
        value = getattr(wanted, member)
        option = next((getattr(socket, name) for name in names if hasattr(socket, name)), None)
        if option is not None and value:
            endpoint.setsockopt(socket.IPPROTO_TCP, option, value)


def _milliseconds(timeout: float) -> str:
    """At least 1, because 0 disables statement_timeout."""
    return str(max(1, round(1000 * timeout)))
