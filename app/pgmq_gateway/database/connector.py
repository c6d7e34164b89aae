"""Opens connections to the database: to the right one of its servers, and so that their loss is noticed."""

import socket
from collections.abc import Mapping
from typing import ClassVar

import asyncpg

from pgmq_gateway.database.driver import Connection
from pgmq_gateway.database.role_settings import seconds
from pgmq_gateway.settings.address import Address, Keepalive

SESSION = {"application_name": "pgmq-gateway"}

LOOK = """
select
    pg_catalog.pg_is_in_recovery(),
    pg_catalog.current_setting('default_transaction_read_only')::pg_catalog.bool,
    pg_catalog.current_setting('statement_timeout')
"""

# What another server of the list may do better: no answer, starting up or shutting down, not the kind that is wanted.
ELSEWHERE = (OSError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched)


class Connector:
    """A way to one database.

    limit      seconds that a statement may take on its connections, 0 for no limit: what the operator says of a call,
               or else of the login role; as the newest connection has it
    read_only  whether sessions begin as read-only, likewise
    primary    whether a server that is no standby has been found so far
    """

    # Names of the socket options, which not every system has, by what they are set to.
    OPTIONS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "idle": ("TCP_KEEPIDLE", "TCP_KEEPALIVE"),
        "interval": ("TCP_KEEPINTVL",),
        "count": ("TCP_KEEPCNT",),
        "user_timeout": ("TCP_USER_TIMEOUT",),
    }

    def __init__(self, uri: str, *, prepared: bool = True, call_timeout: float | None = None) -> None:
        """Raises ValueError for a URI that cannot be used.

        prepared      whether statements are prepared once for a connection; a PgBouncer before 1.21 forgets them
        call_timeout  seconds that a statement may take; None: what holds for the login role
        """
        self._address = Address.of(uri)
        self._session = SESSION if call_timeout is None else {**SESSION, "statement_timeout": _text(call_timeout)}
        self._cached = 100 if prepared else 0
        # Servers that did not answer in time; asked last until they do.
        self._silent: set[str] = set()
        self.limit = 0.0
        self.read_only = False
        self.primary = False

    async def __call__(self) -> Connection:
        """A new connection, to the first server that takes it.

        Raises TimeoutError, OSError and the driver's errors: those of the last server that was asked.
        """
        failure: Exception | None = None
        for uri in sorted(self._address.uris, key=self._silent.__contains__):
            try:
                connection = await self._open(uri)
            except TimeoutError as error:
                self._silent.add(uri)
                failure = error
            except ELSEWHERE as error:
                failure = error
            else:
                self._silent.discard(uri)
                return connection
        assert failure is not None
        raise failure

    async def _open(self, uri: str) -> Connection:
        limit = self._address.seconds
        connection = await asyncpg.connect(
            uri, server_settings=self._session, timeout=limit, statement_cache_size=self._cached
        )
        try:
            _keep_alive(connection, self._address.keepalive)
            found = await connection.fetchrow(LOOK, timeout=limit)
            assert found is not None
        except BaseException:
            connection.terminate()
            raise
        standby, self.read_only, timeout = found.values()
        self.primary = self.primary or not standby
        self.limit = seconds(timeout) or 0.0
        return connection


async def connect(uri: str) -> Connection:
    """One connection, for who needs no more."""
    return await Connector(uri)()


def _keep_alive(connection: Connection, wanted: Keepalive) -> None:
    # The driver has no parameter for it, and does not show its socket.
    end = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
    if end.family == socket.AF_UNIX:
        return
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, wanted.on)
    for member, names in Connector.OPTIONS.items():
        value = getattr(wanted, member)
        option = next((getattr(socket, name) for name in names if hasattr(socket, name)), None)
        if option is not None and value:
            end.setsockopt(socket.IPPROTO_TCP, option, value)


def _text(limit: float) -> str:
    """In milliseconds; what is less than one is not to mean no limit."""
    return str(max(1, round(1000 * limit)))
