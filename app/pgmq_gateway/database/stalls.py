"""Finds servers that do not respond any more, by calls that wait for them.

A call may take long, so the gateway logs in to its server anew. TCP keepalive finds a lost server much later, and a
frozen one never.
"""

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable

from pgmq_gateway.database.driver import BROKEN, SERVER_ERRORS, GatewayConnection
from pgmq_gateway.database.pool import ConnectionPool

logger = logging.getLogger("pgmq_gateway")

# Between two looks at the connections in use: a call costs nothing.
INTERVAL_SECONDS = 1.0
# Of a query that runs for this time when it is looked at, so for up to one interval longer, the server is tried.
STALL_SECONDS = 2.0
# For the login. A call in flight on a server that freezes ends after the three times together.
PROBE_TIMEOUT_SECONDS = 2.5
# After a longer time than the timeout, this process itself was paused, and its timer says nothing about the server.
MAX_DELAY_SECONDS = 1.0
UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETUNREACH, errno.ENETDOWN})


class StallCheck:
    """Tries the servers of connections on which one query runs for long.

    probe   logs in to a server, by its URI
    silent  is called with the URI of a server that does not respond
    """

    def __init__(
        self,
        pool: ConnectionPool,
        probe: Callable[[str], Awaitable[None]],
        silent: Callable[[str], None],
    ) -> None:
        self._pool = pool
        self._probe = probe
        self._silent = silent
        # The number of the query on each connection in use, and when it was first seen.
        self._seen: dict[GatewayConnection, tuple[int, float]] = {}

    async def run(self) -> None:
        """Look at the connections until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            for server in self._stalled():
                if not await self._responds(server):
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
        return {one.server for one, (_, since) in self._seen.items() if now - since >= STALL_SECONDS}

    async def _responds(self, server: str) -> bool:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                await self._probe(server)
        except TimeoutError:
            return loop.time() - began > PROBE_TIMEOUT_SECONDS + MAX_DELAY_SECONDS
        except (*BROKEN, *SERVER_ERRORS) as error:
            return not isinstance(error, OSError) or error.errno not in UNREACHABLE
        return True
