"""The connection pool. Connections are opened on demand and kept.

It replaces the driver's pool, whose reset of the session after each use costs as much as the call itself. This pool
knows which caller may have left something in a session. It prefers connections that are clean for the next caller, and
cleans the others while they are idle, or at the latest before another caller gets them.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Set
from contextlib import asynccontextmanager, suppress

import asyncpg

from pgmq_gateway.database.cleaning import clean
from pgmq_gateway.database.driver import BROKEN, SERVER_ERRORS, Connection, GatewayConnection, loggable
from pgmq_gateway.database.opening import Opening
from pgmq_gateway.database.servers import Servers
from pgmq_gateway.errors import PoolTimeout, Unavailable

logger = logging.getLogger("pgmq_gateway")

# After this time without use a connection is closed.
IDLE_TIMEOUT_SECONDS = 300
IDLE_CHECK_SECONDS = 60
CLOSE_TIMEOUT_SECONDS = 5
# After this time without use a connection is cleaned. A caller that calls in a loop gets it again before that.
CLEAN_AFTER_SECONDS = 0.01
# Between two retirements: their cause may persist.
RETIRE_INTERVAL_SECONDS = 1.0


class ConnectionPool:
    """At most `size` connections, opened with `connect`.

    acquire_timeout  seconds that a caller waits for a free connection
    servers          what is known about the servers
    timeouts         calls so far that got none in time, although connections work
    lost             connections that broke, or could not be cleaned
    opening          the attempts to open one
    """

    def __init__(
        self,
        size: int,
        acquire_timeout: float,
        connect: Callable[[], Awaitable[GatewayConnection]],
        servers: Servers | None = None,
    ) -> None:
        self._size = size
        self._servers = servers or Servers()
        self._acquire_timeout = acquire_timeout
        # Number of connections that are open or being opened, and the open ones.
        self._opened = 0
        self._open: set[GatewayConnection] = set()
        self._retired_at = -RETIRE_INTERVAL_SECONDS
        # Whether the server may be lost: connections were, or could not be opened, and none has been opened since.
        self._lost = False
        # Whether they were lost because their server does not respond.
        self._silent = False
        # Each with the loop's time of its release, the newest last. Last in, first out: surplus connections reach the
        # idle timeout.
        self._idle: dict[GatewayConnection, float] = {}
        self._waiting: deque[asyncio.Future[GatewayConnection]] = deque()
        self._closing: set[asyncio.Task[None]] = set()
        # Connections that are being cleaned, which are not idle meanwhile.
        self._cleaning: dict[GatewayConnection, asyncio.Task[None]] = {}
        self._idle_check: asyncio.TimerHandle | None = None
        self._cleaning_check: asyncio.TimerHandle | None = None
        self._all_released: asyncio.Future[None] | None = None
        self.timeouts = 0
        self.lost = 0
        self.opening = Opening(connect, succeeded=self._add, failed=self._failed, resumed=self._open_more)

    @property
    def open(self) -> int:
        """Number of connections, including those being opened."""
        return self._opened

    @property
    def idle(self) -> int:
        """Number of open connections that are not in use."""
        return len(self._idle)

    @property
    def in_use(self) -> set[GatewayConnection]:
        """The connections that are neither idle nor closed."""
        return self._open.difference(self._idle)

    @property
    def available(self) -> bool:
        """True if `acquire` needs no connection that is in use."""
        return bool(self._idle) or self._opened < self._size

    @property
    def reachable(self) -> bool:
        """False from the loss of the server, or a failure to connect, until a connection works."""
        return self._works or not self._lost

    @property
    def _works(self) -> bool:
        """True if a connection is open that has not been retired."""
        return any(not one.retired for one in self._open)

    async def wait_ended(self) -> PoolTimeout | Unavailable:
        """The error of a call that waited in vain: connections are busy, or none works. Waits until that is known."""
        await self._servers.decided()
        if not self._works:
            return Unavailable()
        self.timeouts += 1
        return PoolTimeout()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[GatewayConnection]:
        """A connection, released at the end of the `with` block. Raises what `acquire` raises."""
        connection = await self.acquire()
        try:
            yield connection
        finally:
            self.release(connection)

    async def acquire(self, caller: Hashable = None) -> GatewayConnection:
        """A connection on which no other caller has left anything. It must be released. None: no caller has.

        Raises PoolTimeout when none becomes free in time, Unavailable when the database cannot be reached.
        """
        connection = self._take_idle(caller)
        if connection is None or not connection.is_clean_for(caller):
            connection = await self._wait_for_one(connection, caller)
        connection.last_opened = self.opening.number
        return connection

    async def _wait_for_one(self, connection: GatewayConnection | None, caller: Hashable) -> GatewayConnection:
        """Clean the connection, or wait for another one."""
        try:
            async with asyncio.timeout(self._acquire_timeout):
                while True:
                    connection = connection or await self._opened_or_free()
                    if connection.is_clean_for(caller) or await self._cleaned(connection):
                        return connection
                    connection = None
        except TimeoutError:
            raise await self.wait_ended() from None

    def retire(self, *, lost: bool = True) -> None:
        """Replace all current connections, those in use on their release.

        lost  whether the server is shutting down or has become a standby; otherwise its sessions have new settings
        """
        self._retired_at = asyncio.get_running_loop().time()
        self._replace(self._open, lost=lost)

    def broke(self, connection: GatewayConnection) -> None:
        """Replace the connections to this server that were open when the call began that broke: they can be as dead."""
        earlier = (one for one in self._open if one.number <= connection.last_opened)
        self._replace({one for one in earlier if one.server == connection.server})

    def disconnect(self, server: str | None = None) -> None:
        """Close all connections to a server that does not respond, those in use too; None: all servers."""
        silent = {one for one in self._open if server is None or one.server == server}
        for connection in silent.difference(self._idle):
            terminate(connection)
        self._replace(silent)
        self._end_waits()

    def doubt(self) -> None:
        """Open a connection to find out whether the server can still be reached: it has ended one of its sessions."""
        self._replace(set())

    def _replace(self, connections: Set[GatewayConnection], *, lost: bool = True) -> None:
        for connection in connections:
            connection.retired = True
        self._lost = self._lost or lost
        for connection in connections & self._idle.keys():
            del self._idle[connection]
            self._end(connection)
        self._open_more()

    @property
    def can_retire(self) -> bool:
        """True if RETIRE_INTERVAL_SECONDS have passed since the last retirement."""
        return asyncio.get_running_loop().time() - self._retired_at >= RETIRE_INTERVAL_SECONDS

    def release(self, connection: GatewayConnection, *, left_by: Hashable = None) -> None:
        """Return a connection to the pool. One with an open transaction or another encoding is closed instead.

        left_by  the caller whose transaction may have left something in the session; None: nothing new was left
        """
        connection.commit_interrupted = False
        if left_by is not None:
            connection.left_by = left_by
        if not connection.is_closed() and (connection.retired or _is_unusable(connection)):
            connection.terminate()
        if connection.is_closed():
            self.lost += 1
            self._removed(connection)
        else:
            self._servers.has_responded(connection.server)
            self._hand_over(connection)

    async def close(self) -> None:
        """Close all connections, those in use on their release."""
        self._all_released = asyncio.get_running_loop().create_future()
        for timer in (self._idle_check, self._cleaning_check):
            if timer is not None:
                timer.cancel()
        while self._idle:
            self._close(self._idle.popitem()[0])
        self.opening.stop(cancel=not self._waiting)
        if self._opened:
            await self._all_released

    def _take_idle(self, caller: Hashable) -> GatewayConnection | None:
        """The newest idle connection that is clean for the caller, or else the oldest one; None without any.

        The caller that left something on the oldest one is the least likely to come back.
        """
        while self._idle:
            oldest = next(iter(self._idle))
            connection = next((one for one in reversed(self._idle) if one.is_clean_for(caller)), oldest)
            del self._idle[connection]
            if not connection.is_closed():
                return connection
            self.lost += 1
            self._removed(connection)
        return None

    async def _opened_or_free(self) -> GatewayConnection:
        if self._silent:
            raise Unavailable
        future: asyncio.Future[GatewayConnection] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        if self._short and self.opening.paused and self._opened < self._size:
            self._waiting.pop()
            raise Unavailable
        self._open_more()
        try:
            return await future
        except asyncio.CancelledError:
            if future in self._waiting:
                self._waiting.remove(future)
            elif not future.cancelled() and future.exception() is None:
                # Assigned and cancelled in the same turn of the loop.
                self.release(future.result())
            raise

    def _end_waits(self) -> None:
        """End the wait of calls for a server that does not respond, unless connections to another one work.

        They have waited for seconds, and it can take as long until there is another connection.
        """
        if self._works:
            return
        self._silent = True
        while (first := self._first_waiting()) is not None:
            first.set_exception(Unavailable())

    def _hand_over(self, connection: GatewayConnection) -> None:
        """Assign the connection to the oldest waiting call, or keep it idle."""
        if (first := self._first_waiting()) is not None:
            first.set_result(connection)
        elif self._all_released is not None:
            self._close(connection)
        else:
            loop = asyncio.get_running_loop()
            self._idle[connection] = loop.time()
            self._idle_check = self._idle_check or loop.call_later(IDLE_CHECK_SECONDS, self._close_idle)
            if connection.left_by is not None and self._cleaning_check is None:
                self._cleaning_check = loop.call_later(CLEAN_AFTER_SECONDS, self._clean_idle)

    def _open_more(self) -> None:
        """Open connections for waiting calls; if the server may be lost, one, even if no call waits."""
        while self._opened < self._size and not self.opening.paused and self._needs_more:
            self._opened += 1
            self.opening.begin()

    def _add(self, connection: GatewayConnection) -> None:
        self._lost = self._silent = False
        connection.number = self.opening.number
        connection.add_termination_listener(lambda _: self._has_closed(connection))
        self._open.add(connection)
        self._hand_over(connection)
        self._open_more()

    def _has_closed(self, connection: GatewayConnection) -> None:
        """Forget a connection that has closed; one in use still counts until its release."""
        self._open.discard(connection)
        if self._idle.pop(connection, None) is not None:
            self.lost += 1
            self._removed(connection)

    def _failed(self, error: BaseException | None) -> None:
        """Report an attempt's failure to the calls that no other attempt may still serve. None: it was cancelled."""
        if error is not None:
            self._report(error)
        self._removed()

    def _report(self, error: BaseException) -> None:
        if isinstance(error, (*BROKEN, asyncpg.PostgresError)):
            if self._waiting or self.reachable:
                logger.warning("cannot connect to the database; calls receive 503 meanwhile: %s", loggable(error))
            error = Unavailable()
        self._lost = self._lost or not self._works
        while self._short and (first := self._first_waiting()) is not None:
            first.set_exception(error)

    @property
    def _needs_more(self) -> bool:
        if self._lost and not self.opening.running:
            return bool(self._waiting) or self._all_released is None
        return self.reachable and self._short

    @property
    def _short(self) -> bool:
        """True if more calls wait than connections are being opened, or cleaned, which takes less time."""
        return len(self._waiting) > self.opening.running + len(self._cleaning)

    def _first_waiting(self) -> "asyncio.Future[GatewayConnection] | None":
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                return future
        return None

    def _removed(self, connection: GatewayConnection | None = None) -> None:
        """Count one connection less, and open another if one is needed. `connection` is None for a failed attempt."""
        self._opened -= 1
        if connection is not None:
            self._open.discard(connection)
        if self._all_released is not None:
            if not self._opened and not self._all_released.done():
                self._all_released.set_result(None)
        else:
            self._open_more()

    def _close_idle(self) -> None:
        loop = asyncio.get_running_loop()
        for connection in self._unused(IDLE_TIMEOUT_SECONDS):
            del self._idle[connection]
            self._close(connection)
        self._idle_check = loop.call_later(IDLE_CHECK_SECONDS, self._close_idle) if self._idle else None

    def _clean_idle(self) -> None:
        loop = asyncio.get_running_loop()
        for connection in self._unused(CLEAN_AFTER_SECONDS):
            if connection.left_by is not None:
                del self._idle[connection]
                self._cleaning[connection] = loop.create_task(self._clean(connection))
        waits = any(one.left_by is not None for one in self._idle)
        self._cleaning_check = loop.call_later(CLEAN_AFTER_SECONDS, self._clean_idle) if waits else None

    def _unused(self, seconds: float) -> list[GatewayConnection]:
        """The connections that have been idle for this time, the oldest first."""
        latest = asyncio.get_running_loop().time() - seconds
        return [one for one, since in self._idle.items() if since <= latest]

    async def _clean(self, connection: GatewayConnection) -> None:
        cleaned = await self._cleaned(connection)
        # Not in a callback of the task: a call that arrives before it would wait for this connection.
        del self._cleaning[connection]
        if cleaned:
            self.release(connection)
        else:
            self._open_more()

    async def _cleaned(self, connection: GatewayConnection) -> bool:
        """Clean a connection. False if that failed: then it is closed."""
        cleaned = False
        try:
            await clean(connection)
            cleaned = True
        except (*BROKEN, *SERVER_ERRORS) as error:
            logger.warning("closing a connection that cannot be cleaned: %s", loggable(error))
        finally:
            if cleaned:
                connection.left_by = None
            else:
                self.lost += 1
                self._end(connection)
        return cleaned

    def _close(self, connection: GatewayConnection) -> None:
        task = asyncio.ensure_future(self._closed(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _closed(self, connection: GatewayConnection) -> None:
        try:
            with suppress(*BROKEN):
                await connection.close(timeout=CLOSE_TIMEOUT_SECONDS)
        finally:
            self._removed(connection)

    def _end(self, connection: GatewayConnection) -> None:
        terminate(connection)
        self._removed(connection)


def terminate(connection: Connection) -> None:
    """Close a connection without waiting for the server."""
    with suppress(asyncpg.InterfaceError):
        connection.terminate()


def _is_unusable(connection: Connection) -> bool:
    """True if a transaction is open, or a SET without LOCAL changed client_encoding.

    With encodings other than UTF-8 the driver sends text from freed memory.
    """
    # The codec, not the reported name: PgBouncer reports the name as the driver sent it at startup, quotes included.
    utf8 = connection.get_settings().get_text_codec().name == "utf-8"
    if utf8 and not connection.is_in_transaction():
        return False
    logger.warning("closing a connection with an open transaction or an encoding other than UTF-8")
    return True
