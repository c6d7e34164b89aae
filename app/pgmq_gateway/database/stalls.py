"""Finds servers that do not respond any more, by calls that wait for them.

A call may take long, so the gateway logs in to its server anew. TCP keepalive finds a lost server much later, and a
frozen one never.
"""

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable

from pgmq_gateway.database.driver import GatewayConnection
from pgmq_gateway.database.pool import ConnectionPool
from pgmq_gateway.database.servers import Servers

logger = logging.getLogger("pgmq_gateway")

# Between two looks at the connections in use: a call costs nothing.
INTERVAL_SECONDS = 1.0
# Of a query that runs for this time when it is looked at, so for up to one interval longer, the server is tried.
STALL_SECONDS = 2.0
# The same as shares of the time that calls wait for a connection, if that is short: the error of a call that has waited
# in vain depends on whether its server is lost. Each look can lead to a login.
INTERVAL_SHARE, STALL_SHARE = 0.2, 0.4
SHORTEST_INTERVAL_SECONDS = 0.1
# For the login, or twice the time that the last one took, and again as long while calls end meanwhile. A call in flight
# on a server that freezes ends after the three times together.
PROBE_TIMEOUT_SECONDS = 2.5
# After a longer time than the timeout, this process itself was paused, and its timer says nothing about the server.
MAX_DELAY_SECONDS = 1.0
UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETUNREACH, errno.ENETDOWN})


class StallCheck:
    """Tries the servers of connections on which one query runs for long.

    acquire_timeout  seconds that calls wait for a connection
    probe            logs in to a server, by its URI
    silent           is called with the URI of a server that does not respond
    """

    def __init__(
        self,
        pool: ConnectionPool,
        servers: Servers,
        acquire_timeout: float,
        probe: Callable[[str], Awaitable[None]],
        silent: Callable[[str], None],
    ) -> None:
        self._pool = pool
        self._servers = servers
        self._interval = min(INTERVAL_SECONDS, max(SHORTEST_INTERVAL_SECONDS, INTERVAL_SHARE * acquire_timeout))
        self._stall = min(STALL_SECONDS, STALL_SHARE * acquire_timeout)
        self._probe = probe
        self._silent = silent
        # The number of the query on each connection in use, and when it was first seen.
        self._seen: dict[GatewayConnection, tuple[int, float]] = {}

    async def run(self) -> None:
        """Look at the connections until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            await asyncio.gather(*(self._check(server) for server in self._stalled()))

    async def _check(self, server: str) -> None:
        with self._servers.probed(server):
            responds = await self._responds(server)
        if not responds:
            logger.warning("a database server does not respond to calls nor to new connections")
            self._silent(server)
        # The connections of a server that responds are looked at anew.
        self._seen = {one: seen for one, seen in self._seen.items() if one.server != server}

    def _stalled(self) -> set[str]:
        now = asyncio.get_running_loop().time()
        former = self._seen
        self._seen = {}
        for connection in self._pool.in_use:
            number = connection.queries
            seen = former.get(connection)
            self._seen[connection] = seen if seen is not None and seen[0] == number else (number, now)
        return {one.server for one, (_, since) in self._seen.items() if now - since >= self._stall}

    async def _responds(self, server: str) -> bool:
        probe = asyncio.ensure_future(self._probe(server))
        try:
            while not probe.done():
                if not await self._goes_on(server, probe):
                    return False
        finally:
            probe.cancel()
            await asyncio.wait([probe])
        error = probe.exception()
        return not isinstance(error, OSError) or error.errno not in UNREACHABLE

    async def _goes_on(self, server: str, probe: asyncio.Future[None]) -> bool:
        """False if the server has not responded in time, neither to the login nor to a call."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        patience = max(PROBE_TIMEOUT_SECONDS, 2 * self._servers.login_seconds(server))
        await asyncio.wait([probe], timeout=patience)
        if probe.done() and not isinstance(probe.exception(), TimeoutError):
            return True
        paused = loop.time() - began > patience + MAX_DELAY_SECONDS
        return paused or self._servers.responded_since(server, began)
