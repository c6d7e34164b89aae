"""Supervised child processes, restarted with exponential back-off when they exit.

A child stops when its stdin is closed, so that it does not outlive its parent.
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

# Delays between the exit of a process and the start of the next one.
FIRST_RESTART_SECONDS, LONGEST_RESTART_SECONDS = 0.1, 10.0
# Messages to a child are lines of JSON. Settings can contain whole key sets.
MAX_LINE_BYTES = 1 << 24
# A process that ran for this long resets the back-off.
HEALTHY_SECONDS = 30.0


def run_module(name: str) -> tuple[str, ...]:
    """The command that runs a module of this package.

    -P, because -m puts the current folder first in sys.path: an `http` package there would be imported instead.
    """
    return (sys.executable, "-P", "-m", name)


class Child(ABC):
    """A supervised process. `name` is its name in the log."""

    name: str

    def __init__(self) -> None:
        self._process: Process | None = None
        self._stopping = asyncio.Event()

    async def keep(self) -> None:
        """Keep a process running until `stop` is called."""
        loop, backoff = asyncio.get_running_loop(), Backoff(FIRST_RESTART_SECONDS, LONGEST_RESTART_SECONDS)
        while not self._stopping.is_set():
            started = loop.time()
            status = await self.run()
            if self._stopping.is_set():
                return
            if loop.time() - started > HEALTHY_SECONDS:
                backoff.reset()
            delay = backoff.delay()
            logger.warning("%s exited with status %s; restarting it in %.1f s", self.name, status, delay)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stopping.wait()

    async def run(self) -> int:
        """Start a process, wait for its exit, and return its status."""
        self._process = process = await self.start()
        if self._stopping.is_set():
            self.stop()
        await self.listen(process)
        return await process.wait()

    @abstractmethod
    async def start(self) -> Process:
        """Start a process and send it its settings.

        In a session of its own: Ctrl-C in a terminal signals all others, and the parent decides when a child stops.
        """

    @abstractmethod
    async def listen(self, process: Process) -> None:
        """Read the process' stdout until it is closed."""

    def stop(self) -> None:
        """Stop the process with SIGTERM and do not restart it."""
        self._stopping.set()
        self.signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()


async def lines_of_parent(stdin: IO[bytes] | IO[str] = sys.stdin) -> AsyncIterator[bytes]:
    """The lines that the parent sends, until its end of the pipe is closed, by exit or crash too."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader(limit=MAX_LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), stdin)
    while line := await reader.readline():
        yield line


async def end_with_parent() -> None:
    """Send this process SIGTERM when its parent has exited."""
    async for _ in lines_of_parent():
        pass
    os.kill(os.getpid(), signal.SIGTERM)
