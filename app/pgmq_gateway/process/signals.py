"""Signals of a process: handled from its start to its end, so that none of them interrupts a shutdown."""

import asyncio
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Self

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """SIGTERM and SIGINT.

    Before the event loop runs, they end the process with status 0. Before the service runs, they cancel the task that
    starts it. While it runs, they call `action`. Afterwards they are ignored: the process is about to exit.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting: asyncio.Task[None] | None = None
        self._action: Callable[[], None] | None = None

    def install(self) -> Self:
        # Not with the event loop's handlers, which last no longer than the loop.
        for number in STOP_SIGNALS:
            signal.signal(number, self._received)
        return self

    @contextmanager
    def cancelling(self) -> Iterator[None]:
        """Within the block, and outside of `calling`, a signal cancels the present task."""
        self._loop, self._starting = asyncio.get_running_loop(), asyncio.current_task()
        try:
            yield
        finally:
            self._starting = None

    @contextmanager
    def calling(self, action: Callable[[], None]) -> Iterator[None]:
        """Within the block, a signal calls `action`. After it, signals are ignored."""
        self._loop, self._starting, self._action = asyncio.get_running_loop(), None, action
        try:
            yield
        finally:
            self._action = None

    def _received(self, _number: int, _frame: FrameType | None) -> None:
        if self._loop is None:
            raise SystemExit(0)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._act)

    def _act(self) -> None:
        if self._action is not None:
            self._action()
        elif self._starting is not None:
            self._starting.cancel()
            # A second signal must not interrupt what the task does at its end.
            self._starting = None


@contextmanager
def handled(handlers: Mapping[signal.Signals, Callable[[], object]]) -> Iterator[None]:
    """Handle signals in the event loop during the block, and ignore them afterwards.

    By default they would kill the process before it has stopped what it started.
    """
    loop = asyncio.get_running_loop()
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
