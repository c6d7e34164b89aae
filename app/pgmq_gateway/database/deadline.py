"""A statement timeout that reports whether the statement was cancelled or had already committed."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import asyncpg

from pgmq_gateway.database.driver import Connection
from pgmq_gateway.errors import StatementTimeout

T = TypeVar("T")

# For the result of a statement after the cancel request; then the connection is closed.
CANCEL_TIMEOUT_SECONDS = 5


async def within(seconds: float, connection: Connection, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, a statement on this connection that the server cancels after `seconds`.

    The driver's own timeout stops waiting once the cancel request is sent, although a statement that is committing at
    that moment still succeeds. Raises StatementTimeout when the statement was cancelled; when the server does not
    respond, closes the connection, and `work` raises the resulting error.
    """
    loop = asyncio.get_running_loop()
    cancelling: list[asyncio.Task[None]] = []
    timers: list[asyncio.TimerHandle] = []

    def cancel() -> None:
        cancelling.append(loop.create_task(_cancel(connection)))
        timers.append(loop.call_later(CANCEL_TIMEOUT_SECONDS, connection.terminate))

    timers.append(loop.call_later(seconds, cancel))
    try:
        return await work
    except asyncpg.QueryCanceledError:
        if not cancelling:
            raise
        raise StatementTimeout from None
    finally:
        for timer in timers:
            timer.cancel()
        if cancelling:
            # A cancel request that is still in flight would cancel the connection's next statement.
            await asyncio.wait(cancelling)


async def _cancel(connection: Connection) -> None:
    try:
        async with asyncio.timeout(CANCEL_TIMEOUT_SECONDS):
            # The driver has no public method that cancels a statement.
            await connection._cancel(asyncio.get_running_loop().create_future())  # type: ignore[attr-defined]
    except (TimeoutError, OSError):
        connection.terminate()
