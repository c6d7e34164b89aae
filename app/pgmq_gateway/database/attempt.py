"""One attempt to open a connection to any of several servers."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import asyncpg

from pgmq_gateway.database.driver import BROKEN, GatewayConnection
from pgmq_gateway.database.servers import Servers

# Failures of one server: another one may accept the connection.
FAILURES = (*BROKEN, asyncpg.PostgresError)
# Those of servers that are not in service: unreachable, starting up or shutting down, or not of the kind that
# target_session_attrs asks for. Other failures, such as a wrong password, say more about why there is no connection.
OUT_OF_SERVICE = (OSError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched)
# The next server is tried when the one before has failed, or has not accepted the connection after this time.
HEAD_START_SECONDS = 0.25
# A server that has refused is tried again while another one does not respond: it may be promoted meanwhile.
RETRY_SECONDS = 0.5


class Try(NamedTuple):
    """A server, and when it was asked in the event loop's time."""

    uri: str
    began: float


class Attempt:
    """Tries all servers at once, each with a head start over the next. It fails when each of them has failed once."""

    def __init__(
        self, open_: Callable[[str], Awaitable[GatewayConnection]], servers: Servers, uris: Sequence[str]
    ) -> None:
        self._open = open_
        self._servers = servers
        self._untried = deque(servers.in_order(uris))
        self._undecided = set(uris)
        self._tries: dict[asyncio.Task[GatewayConnection], Try] = {}
        # The first failure of a server in service.
        self._rejection: BaseException | None = None

    async def run(self) -> GatewayConnection:
        """The connection of the first server that accepts it.

        Raises TimeoutError, OSError and the driver's errors: the first one of a server in service, or else the last.
        """
        accepted = self._servers.next_accepted
        try:
            while True:
                if self._untried:
                    self._try(self._untried.popleft())
                await self._wait(accepted)
                if accepted.done():
                    self._try_anew(accepted.result())
                    accepted = self._servers.next_accepted
                for one in [one for one in self._tries if one.done()]:
                    if (error := one.exception()) is None:
                        self._servers.has_accepted(self._tries.pop(one).uri)
                        return one.result()
                    self._failed(self._tries.pop(one).uri, error)
        finally:
            self._end()

    async def _wait(self, accepted: asyncio.Future[str]) -> None:
        awaited: list[asyncio.Future[Any]] = [*self._tries, accepted]
        head_start = HEAD_START_SECONDS if self._untried else None
        await asyncio.wait(awaited, timeout=head_start, return_when=asyncio.FIRST_COMPLETED)

    def _try_anew(self, uri: str) -> None:
        """Try a server once more that did not respond and now has accepted another connection.

        It may have been frozen or cut off, and TCP repeats an attempt ever more slowly.
        """
        began = [one.began for one in self._tries.values() if one.uri == uri]
        if began and max(began) <= asyncio.get_running_loop().time() - RETRY_SECONDS:
            self._try(uri)

    def _try(self, uri: str, delay: float = 0) -> None:
        began = asyncio.get_running_loop().time() + delay
        self._tries[asyncio.create_task(self._connection(uri, delay))] = Try(uri, began)

    async def _connection(self, uri: str, delay: float) -> GatewayConnection:
        if delay:
            await asyncio.wait([self._servers.next_accepted], timeout=delay)
        return await self._open(uri)

    def _failed(self, uri: str, error: BaseException) -> None:
        self._undecided.discard(uri)
        if isinstance(error, TimeoutError):
            self._servers.is_silent(uri)
        if self._rejection is None and not isinstance(error, OUT_OF_SERVICE):
            self._rejection = error
        if not self._undecided or not isinstance(error, FAILURES):
            raise self._rejection or error
        if not isinstance(error, TimeoutError):
            self._try(uri, RETRY_SECONDS)

    def _end(self) -> None:
        # Without waiting for them: a cancellation meanwhile would lose the connection that is returned.
        for one in self._tries:
            one.cancel()
            one.add_done_callback(_close)


def _close(surplus: asyncio.Task[GatewayConnection]) -> None:
    if not surplus.cancelled() and surplus.exception() is None:
        surplus.result().terminate()
