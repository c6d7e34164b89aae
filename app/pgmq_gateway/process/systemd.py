"""What a service manager is told (systemd's sd_notify(3) protocol); without one, nothing."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Awaitable, MutableMapping
from typing import Self

logger = logging.getLogger("pgmq_gateway")

# How long all else may wait for a manager that does not listen.
PATIENCE_SECONDS = 1.0


class Manager:
    """The service manager.

    address   of its socket; one that begins with `@` is abstract; None: there is nobody to tell
    watchdog  seconds within which it wants a sign of life; None: it wants none
    """

    def __init__(self, address: str | None = None, watchdog: float | None = None) -> None:
        self._address = None if address is None else address.replace("@", "\0", 1)
        self._watchdog = watchdog

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> Self:
        """The one that the environment names, taken out of it: processes of ours have nothing to tell."""
        address = environment.pop("NOTIFY_SOCKET", None)
        seconds = int(environment.pop("WATCHDOG_USEC", 0)) / 1e6
        mine = environment.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        return cls(address or None, seconds if seconds and mine else None)

    def ready(self, status: str) -> None:
        """It serves; `status` is what `systemctl status` shows."""
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Settings are read again, until `ready` (Type=notify-reload)."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", "STATUS=Reading the settings again")

    def stopping(self) -> None:
        """It finishes what it has begun."""
        self._tell("STOPPING=1", "STATUS=Finishing the requests in flight")

    def tasks(self) -> list[Awaitable[None]]:
        """What has to run beside the server."""
        return [self._live(self._watchdog / 2)] if self._address and self._watchdog else []

    async def _live(self, interval: float) -> None:
        while True:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(interval)

    def _tell(self, *states: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
                wire.settimeout(PATIENCE_SECONDS)
                wire.connect(self._address)
                wire.send("\n".join(states).encode())
        except OSError as error:
            logger.warning("cannot tell the service manager: %s", error.strerror or "it does not listen")
