"""Accepts connections in one of several workers that listen on the same socket.

Calls share transactions within a process only, so connections gather in few workers: all workers are notified of a new
connection, and each waits before it accepts, for longer the higher its number. While the first one has time for it,
the others find that it is gone. A worker with many connections waits until those with fewer have had their turn.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sized
from typing import NamedTuple

# So many busy connections are enough for one worker: its shared transactions are large and its processor is busy. Then
# it has its turn after the other workers, and after those with half as many at each doubling.
ENOUGH_CONNECTIONS = 64
# The difference between the waiting times of two workers: some turns of a busy event loop.
STEP_SECONDS = 0.002
# All steps, of however many workers.
MAX_ROUND_SECONDS = 0.02
# After an error such as too many open files.
RETRY_SECONDS = 0.1


class Rank(NamedTuple):
    """The place of a worker among those that listen on one socket: the first one has number 0."""

    number: int
    workers: int


def patience(rank: Rank, connections: int) -> float:
    """Seconds that a worker with so many connections waits before it accepts another one."""
    step = min(STEP_SECONDS, MAX_ROUND_SECONDS / rank.workers)
    rounds = (connections // ENOUGH_CONNECTIONS).bit_length()
    return step * (rank.number + rounds * rank.workers)


class Acceptor:
    """Accepts connections from `start` to `stop`.

    listening    the socket of all workers
    protocol     creates the protocol of a connection
    connections  those of this worker
    """

    def __init__(
        self, listening: socket.socket, rank: Rank, protocol: Callable[[], asyncio.Protocol], connections: Sized
    ) -> None:
        self._listening = listening
        self._rank = rank
        self._protocol = protocol
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        # Accepted, and not yet in `connections`.
        self._opening: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._listening.setblocking(False)
        self._await_arrival()

    async def stop(self) -> None:
        """Accept the connections that have arrived, and no more."""
        self._loop.remove_reader(self._listening)
        if self._timer is not None:
            self._timer.cancel()
        with contextlib.suppress(OSError):
            for _ in range(socket.SOMAXCONN):
                self._accept_one()
        await asyncio.gather(*self._opening)

    def _await_arrival(self) -> None:
        self._timer = None
        self._loop.add_reader(self._listening, self._arrived)

    def _arrived(self) -> None:
        if delay := self._patience:
            self._loop.remove_reader(self._listening)
            self._timer = self._loop.call_later(delay, self._accept)
        else:
            self._accept()

    @property
    def _patience(self) -> float:
        return patience(self._rank, len(self._connections) + len(self._opening))

    def _accept(self) -> None:
        """Accept connections until there is none, or it is another worker's turn."""
        delay = self._patience
        try:
            self._accept_one()
            while self._patience == delay:
                self._accept_one()
        except BlockingIOError:
            pass
        except OSError:
            self._loop.remove_reader(self._listening)
            self._timer = self._loop.call_later(RETRY_SECONDS, self._await_arrival)
            return
        self._await_arrival()

    def _accept_one(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except ConnectionAbortedError:
            return
        opening = self._loop.create_task(self._open(connection))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)

    async def _open(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        await self._loop.connect_accepted_socket(self._protocol, connection)
