"""A pool's attempts to open connections: they pause after a failed one."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from pgmq_gateway.backoff import Backoff
from pgmq_gateway.database.driver import GatewayConnection

# Back-off after a failed attempt.
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.05, 1.0


class Opening:
    """Attempts with `connect`. They continue when the call that needs a connection stops waiting.

    Otherwise a server that does not respond would never reach its connect timeout where that is longer than the acquire
    timeout.

    number    connections opened so far
    failures  failed attempts
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[GatewayConnection]],
        *,
        succeeded: Callable[[GatewayConnection], None],
        failed: Callable[[BaseException | None], None],
        resumed: Callable[[], None],
    ) -> None:
        """Called at the end of each attempt, with None for a cancelled one, and at the end of a pause."""
        self._connect = connect
        self._succeeded, self._failed, self._resumed = succeeded, failed, resumed
        self._attempts: set[asyncio.Future[GatewayConnection]] = set()
        # Runs after a failed attempt; until its end there is no other one.
        self._pause: asyncio.TimerHandle | None = None
        self._backoff = Backoff(FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS)
        self._stopped = False
        # Set when a connection is opened, and then replaced.
        self._another = asyncio.Event()
        self.number = 0
        self.failures = 0

    @property
    def running(self) -> int:
        """The number of attempts that have not ended."""
        return len(self._attempts)

    @property
    def paused(self) -> bool:
        """True if no attempt may begin now."""
        return self._pause is not None

    def begin(self) -> None:
        """Begin an attempt."""
        attempt = asyncio.ensure_future(self._connect())
        self._attempts.add(attempt)
        attempt.add_done_callback(self._ended)

    def resume(self) -> None:
        """End the pause: another connection has found a server that accepts connections."""
        if self._pause is not None:
            self._pause.cancel()
            self._resume()

    def stop(self, *, cancel: bool) -> None:
        """Pause no more.

        cancel  whether the attempts are cancelled too
        """
        self._stopped = True
        if self._pause is not None:
            self._pause.cancel()
        if cancel:
            for attempt in self._attempts:
                attempt.cancel()

    async def wait_for_more(self, number: int, patience: float) -> None:
        """Wait until more than `number` connections have been opened, or for `patience` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self.number <= number:
                    await self._another.wait()

    def _ended(self, attempt: asyncio.Future[GatewayConnection]) -> None:
        self._attempts.discard(attempt)
        if attempt.cancelled():
            self._failed(None)
        elif (error := attempt.exception()) is not None:
            self.failures += 1
            # Attempts that failed together count as one failure.
            if self._pause is None and not self._stopped:
                self._pause = asyncio.get_running_loop().call_later(self._backoff.delay(), self._resume)
            self._failed(error)
        else:
            self.number += 1
            self._backoff.reset()
            self._another.set()
            self._another = asyncio.Event()
            self._succeeded(attempt.result())

    def _resume(self) -> None:
        self._pause = None
        self._resumed()
