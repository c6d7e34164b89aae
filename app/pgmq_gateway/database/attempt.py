"""One attempt to open a connection to any of several servers."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from pgmq_gateway.database.driver import GatewayConnection
from pgmq_gateway.database.servers import Servers

# Failures after which other servers are tried: unreachable, starting up or shutting down, or not of the kind that
# target_session_attrs asks for.
TRY_NEXT = (OSError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched)
# The next server is tried when the one before has failed, or has not accepted the connection after this time.
HEAD_START_SECONDS = 0.25
# A server that has refused is tried again while another one does not respond: it may be promoted meanwhile.
RETRY_SECONDS = 0.5


class Attempt:
    """Tries all servers at once, each with a head start over the next. It fails when each of them has failed once."""

    def __init__(
        self, open_: Callable[[str], Awaitable[GatewayConnection]], servers: Servers, uris: Sequence[str]
    ) -> None:
        self._open = open_
        self._servers = servers
        self._untried = deque(servers.in_order(uris))
        self._undecided = set(uris)
        self._tries: dict[asyncio.Task[GatewayConnection], str] = {}

    async def run(self) -> GatewayConnection:
        """The connection of the first server that accepts it.

        Raises TimeoutError, OSError and the driver's errors, as the last server caused them.
        """
        try:
            while True:
                if self._untried:
                    self._try(self._untried.popleft())
                head_start = HEAD_START_SECONDS if self._untried else None
                done, _ = await asyncio.wait(self._tries, timeout=head_start, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    if (error := one.exception()) is None:
                        self._servers.has_accepted(self._tries.pop(one))
                        return one.result()
                    self._failed(self._tries.pop(one), error)
        finally:
            await self._end()

    def _try(self, uri: str, delay: float = 0) -> None:
        self._tries[asyncio.create_task(self._connection(uri, delay))] = uri

    async def _connection(self, uri: str, delay: float) -> GatewayConnection:
        if delay:
            await self._servers.wait_for_one(delay)
        return await self._open(uri)

    def _failed(self, uri: str, error: BaseException) -> None:
        self._undecided.discard(uri)
        if isinstance(error, TimeoutError):
            self._servers.is_silent(uri)
        if not self._undecided or not isinstance(error, TRY_NEXT):
            raise error
        if not isinstance(error, TimeoutError):
            self._try(uri, RETRY_SECONDS)

    async def _end(self) -> None:
        for one in self._tries:
            one.cancel()
        for outcome in await asyncio.gather(*self._tries, return_exceptions=True):
            if isinstance(outcome, GatewayConnection):
                outcome.terminate()
