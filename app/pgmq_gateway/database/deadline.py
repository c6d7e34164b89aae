"""Cancels a running statement after its time limit, or when its client has gone, and reports what became of it."""

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import asyncpg

from pgmq_gateway.database.driver import Connection
from pgmq_gateway.errors import CommitInterrupted, GatewayError, StatementTimeout
from pgmq_gateway.http.exchange import ClientGone

T = TypeVar("T")

# For the result of a statement after the first cancel request; then the connection is closed.
CANCEL_TIMEOUT_SECONDS = 5
# Between cancel requests: one that reaches the server before the statement does has no effect.
CANCEL_AGAIN_SECONDS = 1
# Between checks of whether the client has gone. Most calls end before the first one, so they cost no more than a timer.
CLIENT_CHECK_SECONDS = 0.1


async def within(
    seconds: float,
    connection: Connection,
    work: Coroutine[Any, Any, T],
    *,
    abandoned: Callable[[], bool] | None = None,
    error: GatewayError | None = None,
) -> T:
    """The result of `work`, a statement on this connection that the server cancels after `seconds`; 0: no limit.

    The driver's own timeout stops waiting once the cancel request is sent, although a statement that is committing at
    that moment still succeeds. When the statement was cancelled, raises `error`, or else StatementTimeout; when it
    succeeded after the cancel request, CommitInterrupted; and ClientGone in both cases if `abandoned` was the reason.
    When the server does not respond, closes the connection, and `work` raises the resulting error.
    """
    supervision = _Supervision(connection, seconds, abandoned)
    try:
        result = await work
    except asyncpg.QueryCanceledError:
        if not supervision.cancelling:
            raise
        raise ClientGone if supervision.client_gone else error or StatementTimeout() from None
    finally:
        await supervision.end()
    if supervision.cancelling:
        raise ClientGone if supervision.client_gone else CommitInterrupted
    return result


class _Supervision:
    """The timers of a statement.

    cancelling   the task that sends a cancel request, once there is one
    client_gone  whether it is sent because the client has gone
    """

    def __init__(self, connection: Connection, seconds: float, abandoned: Callable[[], bool] | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._abandoned = abandoned
        self._ends = self._loop.time() + seconds if seconds else math.inf
        self._timer = self._next_check()
        self.cancelling: asyncio.Task[None] | None = None
        self.client_gone = False

    async def end(self) -> None:
        self._timer.cancel()
        if self.cancelling is not None:
            if self._connection.is_closed():
                self.cancelling.cancel()
            # A cancel request that is still in flight would cancel the connection's next statement.
            await asyncio.wait([self.cancelling])

    def _next_check(self) -> asyncio.TimerHandle:
        client_check = math.inf if self._abandoned is None else self._loop.time() + CLIENT_CHECK_SECONDS
        return self._loop.call_at(min(self._ends, client_check), self._check)

    def _check(self) -> None:
        self.client_gone = self._abandoned is not None and self._abandoned()
        if self.client_gone or self._loop.time() >= self._ends:
            self._cancel(self._loop.time() + CANCEL_TIMEOUT_SECONDS)
        else:
            self._timer = self._next_check()

    def _cancel(self, gives_up: float) -> None:
        if self._loop.time() >= gives_up:
            self._connection.terminate()
            return
        if self.cancelling is None or self.cancelling.done():
            self.cancelling = self._loop.create_task(_cancel(self._connection))
        self._timer = self._loop.call_later(CANCEL_AGAIN_SECONDS, self._cancel, gives_up)


async def _cancel(connection: Connection) -> None:
    try:
        async with asyncio.timeout(CANCEL_TIMEOUT_SECONDS):
            # The driver has no public method that cancels a statement.
            await connection._cancel(asyncio.get_running_loop().create_future())  # type: ignore[attr-defined]
    except (TimeoutError, OSError):
        connection.terminate()
