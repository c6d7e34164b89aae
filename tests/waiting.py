"""Waiting for what other processes will do soon."""

import time
from collections.abc import Callable

from tests.server import PATIENCE


def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
