"""A process of ours that another one of ours keeps running: when it dies, it is started again, ever more slowly.

It ends when its stdin does, so that it does not outlive its parent.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from abc import ABC, abstractmethod
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from typing import IO

from pgmq_gateway.backoff import Backoff

logger = logging.getLogger("pgmq_gateway")

# Seconds between the exit of a process and the start of the next one.
FIRST_RESTART_SECONDS, LONGEST_RESTART_SECONDS = 0.1, 10.0
# Bytes of the longest line of orders: settings hold whole sets of keys.
LONGEST = 1 << 24
# Seconds that one has to live for its death not to count as being like the one before.
HEALTHY_SECONDS = 30.0


def run_module(name: str) -> tuple[str, ...]:
    """The command that runs a module of this package.

    -P, because -m puts the current folder in front of sys.path: an `app` or `http` there would be imported instead.
    """
    return (sys.executable, "-P", "-m", name)


class Child(ABC):
    """One process, and what takes its place. `name` is what the log calls it."""

    name: str

    def __init__(self) -> None:
        self._process: Process | None = None
        self._stopping = asyncio.Event()

    async def keep(self) -> None:
        """Have one running until `stop`."""
        loop, backoff = asyncio.get_running_loop(), Backoff(FIRST_RESTART_SECONDS, LONGEST_RESTART_SECONDS)
        while not self._stopping.is_set():
            started = loop.time()
            status = await self.run()
            if self._stopping.is_set():
                return
            if loop.time() - started > HEALTHY_SECONDS:
                backoff.reset()
            delay = backoff.delay()
            logger.warning("%s ended with status %s; starting another in %.1f s", self.name, status, delay)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stopping.wait()

    async def run(self) -> int:
        """Start one, wait for its end, and give its status."""
        self._process = process = await self.start()
        if self._stopping.is_set():
            self.stop()
        await self.listen(process)
        return await process.wait()

    @abstractmethod
    async def start(self) -> Process:
        """A new process that has its orders."""

    @abstractmethod
    async def listen(self, process: Process) -> None:
        """Hear what it says."""

    def stop(self) -> None:
        """End it and start no other."""
        self._stopping.set()
        self.signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """Pass a signal on."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it without asking."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()


async def lines_of_parent(stdin: IO[bytes] | IO[str] = sys.stdin) -> AsyncIterator[bytes]:
    """What a child is told, until the other end is closed, whatever has become of the parent."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader(limit=LONGEST)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), stdin)
    while line := await reader.readline():
        yield line


async def end_with_parent() -> None:
    """Drain a child once its parent has gone."""
    async for _ in lines_of_parent():
        pass
    os.kill(os.getpid(), signal.SIGTERM)
