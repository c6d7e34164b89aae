"""Waits for conditions that other processes meet."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tests.server import TIMEOUT_SECONDS

Result = TypeVar("Result")


def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` is true."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def repeated(call: Callable[[], Result], again: Callable[[Result], bool]) -> Result:
    """The first result of a call for which `again` is false."""
    results = []

    def last() -> bool:
        results.append(call())
        return not again(results[-1])

    until(last)
    return results[-1]


async def until_async(condition: Callable[[], object | Awaitable[object]]) -> None:
    """Wait until `condition` is true, while other tasks run. It may be a coroutine function."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        result = condition()
        if await result if isinstance(result, Awaitable) else result:
            return
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)
