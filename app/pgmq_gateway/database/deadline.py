"""A time limit for a statement, at whose end it is known whether the statement has been cancelled or done."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import asyncpg

from pgmq_gateway.database.driver import Connection
from pgmq_gateway.errors import StatementTimeout

T = TypeVar("T")

# How long a server may take to say what became of a statement that it was told to cancel.
ANSWER_SECONDS = 5


async def within(limit: float, connection: Connection, work: Coroutine[Any, Any, T]) -> T:
    """What comes of `work`, a statement on this connection, which the server cancels after `limit` seconds.

    Not the driver's own timer: that ends the wait when the request to cancel is sent, and a statement that is being
    committed just then is done all the same. Raises StatementTimeout when it was cancelled; when the server does not
    say, the connection is closed, and `work` raises what it then does.
    """
    loop = asyncio.get_running_loop()
    sending: list[asyncio.Task[None]] = []
    timers: list[asyncio.TimerHandle] = []

    def end() -> None:
        sending.append(loop.create_task(_cancel(connection)))
        timers.append(loop.call_later(ANSWER_SECONDS, connection.terminate))

    timers.append(loop.call_later(limit, end))
    try:
        return await work
    except asyncpg.QueryCanceledError:
        if not sending:
            raise
        raise StatementTimeout from None
    finally:
        for timer in timers:
            timer.cancel()
        if sending:
            # A request to cancel that is still on its way would hit the next statement.
            await asyncio.wait(sending)


async def _cancel(connection: Connection) -> None:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            # The driver sends such requests for itself only.
            await connection._cancel(asyncio.get_running_loop().create_future())  # type: ignore[attr-defined]
    except (TimeoutError, OSError):
        connection.terminate()
