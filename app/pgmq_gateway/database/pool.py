"""Connections to the database, opened when they are needed and kept.

Not the driver's pool: what it does around each call, chiefly for sessions that leave something behind, costs as much as
sending the call. Here calls leave nothing behind.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import asyncpg

from pgmq_gateway.backoff import Backoff
from pgmq_gateway.database.driver import BROKEN, Connection, said
from pgmq_gateway.errors import PoolTimeout, Unavailable

logger = logging.getLogger("pgmq_gateway")

# Seconds after which a connection that nobody has needed is closed, and how often they are looked through.
IDLE_SECONDS = 300
LOOK_SECONDS = 60
# Seconds that a connection may take to say goodbye.
CLOSE_SECONDS = 5
# Seconds without attempts to connect after a failed one.
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.05, 1.0
# Seconds between two retirements for the same reason: what made one necessary may last.
RETIRE_INTERVAL = 1.0


class Connections:
    """At most `size` connections, made by `connect`.

    patience  seconds that somebody may wait for one
    timeouts  how many so far got none in time
    opened    connections so far
    lost      those of them that were found broken, or on which something was left
    failed    attempts to open one that failed
    """

    def __init__(self, size: int, patience: float, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._size = size
        self._patience = patience
        self._connect = connect
        # Those that are open or being opened, by number, and the open ones.
        self._opened = 0
        self._open: set[Connection] = set()
        # Those in use that are to be closed once they are given back.
        self._retired: set[Connection] = set()
        self._retired_at = -RETIRE_INTERVAL
        # The loop's time before which there are no attempts to connect.
        self._again = 0.0
        self._backoff = Backoff(FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS)
        # With the loop's time at which each came free; the last that came is the next to go.
        self._idle: deque[tuple[Connection, float]] = deque()
        # Attempts to open one. They belong to the pool: a call that stops waiting ends none, so that a server that does
        # not respond is found to be silent even when calls wait for less time than an attempt may take.
        self._attempts: set[asyncio.Task[Connection]] = set()
        self._waiting: deque[asyncio.Future[Connection]] = deque()
        self._closing: set[asyncio.Task[None]] = set()
        self._look: asyncio.TimerHandle | None = None
        self._all_back: asyncio.Future[None] | None = None
        self.timeouts = 0
        self.opened = 0
        self.lost = 0
        self.failed = 0

    @property
    def open(self) -> int:
        """Connections that there are, those that are being opened included."""
        return self._opened

    @property
    def idle(self) -> int:
        """Open connections that nobody uses."""
        return len(self._idle)

    @property
    def spare(self) -> bool:
        """Whether one can be had without waiting for somebody else's."""
        return bool(self._idle) or self._opened < self._size

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[Connection]:
        """A connection for the length of a `with` block. Raises what `take` raises."""
        connection = await self.take()
        try:
            yield connection
        finally:
            self.give_back(connection)

    async def take(self) -> Connection:
        """A connection, to be given back whatever happens.

        Raises PoolTimeout when none comes free, Unavailable when the database cannot be reached.
        """
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.is_closed():
                return connection
            self.lost += 1
            self._opened -= 1
            self._open.discard(connection)
        try:
            async with asyncio.timeout(self._patience):
                return await self._opened_or_free()
        except TimeoutError:
            self.timeouts += 1
            raise PoolTimeout from None

    def retire(self, *, at_once: bool = False) -> None:
        """Use none of the present connections for another call: the server that they lead to is going, or gone.

        at_once  also end the calls that are running: the server does not answer any more
        """
        self._retired_at = asyncio.get_running_loop().time()
        while self._idle:
            self._end(self._idle.pop()[0])
        self._retired |= self._open
        if at_once:
            for connection in self._open:
                terminate(connection)

    @property
    def may_retire(self) -> bool:
        """Whether the last retirement is some time ago."""
        return asyncio.get_running_loop().time() - self._retired_at >= RETIRE_INTERVAL

    def give_back(self, connection: Connection) -> None:
        """Take a connection back, open or closed. Nobody else gets one on which something is left."""
        if not connection.is_closed() and (connection in self._retired or _left_over(connection)):
            connection.terminate()
        if connection.is_closed():
            self.lost += 1
            self._gone(connection)
        else:
            self._hand_over(connection)

    async def close(self) -> None:
        """Close all, those in use once they have been given back."""
        self._all_back = asyncio.get_running_loop().create_future()
        if self._look is not None:
            self._look.cancel()
        while self._idle:
            self._close(self._idle.pop()[0])
        if not self._waiting:
            for attempt in self._attempts:
                attempt.cancel()
        if self._opened:
            await self._all_back

    async def _opened_or_free(self) -> Connection:
        future: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        if self._opened < self._size:
            self._attempt()
        try:
            return await future
        except asyncio.CancelledError:
            if future in self._waiting:
                self._waiting.remove(future)
            elif not future.cancelled() and future.exception() is None:
                # Handed over at the moment of the cancellation.
                self.give_back(future.result())
            raise

    def _hand_over(self, connection: Connection) -> None:
        """To the call that has waited longest, or to the idle ones."""
        if (first := self._first_waiting()) is not None:
            first.set_result(connection)
        elif self._all_back is not None:
            self._close(connection)
        else:
            loop = asyncio.get_running_loop()
            self._idle.append((connection, loop.time()))
            self._look = self._look or loop.call_later(LOOK_SECONDS, self._close_unneeded)

    def _attempt(self) -> None:
        self._opened += 1
        attempt = asyncio.ensure_future(self._new())
        self._attempts.add(attempt)
        attempt.add_done_callback(self._attempted)

    def _attempted(self, attempt: asyncio.Task[Connection]) -> None:
        self._attempts.discard(attempt)
        if attempt.cancelled():
            self._gone()
        elif (error := attempt.exception()) is not None:
            self._failed(error)
        else:
            self.opened += 1
            self._open.add(attempt.result())
            self._hand_over(attempt.result())

    def _failed(self, error: BaseException) -> None:
        """Report an attempt's failure to the oldest waiting call, unless another attempt may still serve it."""
        self.failed += 1
        if isinstance(error, (*BROKEN, asyncpg.PostgresError)):
            logger.warning("cannot connect to the database: %s", said(error))
            error = Unavailable()
        if self._short and (first := self._first_waiting()) is not None:
            first.set_exception(error)
        self._gone()

    async def _new(self) -> Connection:
        """A new connection. While the database refuses, few attempts are made, however many calls there are."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        if began < self._again:
            raise Unavailable
        try:
            connection = await self._connect()
        except (*BROKEN, asyncpg.PostgresError):
            # Those that have tried at the same time count once.
            if began >= self._again:
                self._again = loop.time() + self._backoff.delay()
            raise
        self._again = 0.0
        self._backoff.reset()
        return connection

    @property
    def _short(self) -> bool:
        """Whether more calls wait than attempts are being made."""
        return len(self._waiting) > len(self._attempts)

    def _first_waiting(self) -> "asyncio.Future[Connection] | None":
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                return future
        return None

    def _gone(self, connection: Connection | None = None) -> None:
        """One connection less, so another may be opened for a waiting call; None for an attempt that failed."""
        self._opened -= 1
        if connection is not None:
            self._open.discard(connection)
            self._retired.discard(connection)
        if self._all_back is not None:
            if not self._opened and not self._all_back.done():
                self._all_back.set_result(None)
        elif self._short:
            self._attempt()

    def _close_unneeded(self) -> None:
        loop = asyncio.get_running_loop()
        while self._idle and self._idle[0][1] < loop.time() - IDLE_SECONDS:
            self._close(self._idle.popleft()[0])
        self._look = loop.call_later(LOOK_SECONDS, self._close_unneeded) if self._idle else None

    def _close(self, connection: Connection) -> None:
        task = asyncio.ensure_future(self._closed(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _closed(self, connection: Connection) -> None:
        try:
            with suppress(*BROKEN):
                await connection.close(timeout=CLOSE_SECONDS)
        finally:
            self._gone(connection)

    def _end(self, connection: Connection) -> None:
        terminate(connection)
        self._gone(connection)


def terminate(connection: Connection) -> None:
    """Close a connection at once, if it is not closed already."""
    with suppress(asyncpg.InterfaceError):
        connection.terminate()


def _left_over(connection: Connection) -> bool:
    """Whether a transaction is open, or a function has changed the session's encoding by a SET without LOCAL: with
    encodings other than UTF-8 the driver sends text from memory that it has freed."""
    # The driver's codec, not the reported text: PgBouncer reports what the driver sent at the start, quotes included.
    utf8 = connection.get_settings().get_text_codec().name == "utf-8"
    if utf8 and not connection.is_in_transaction():
        return False
    logger.warning("closing a connection with an open transaction or an encoding other than UTF-8")
    return True
