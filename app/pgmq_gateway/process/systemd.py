"""Notifies a service manager (systemd's sd_notify(3) protocol)."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Awaitable, MutableMapping
from typing import Self

logger = logging.getLogger("pgmq_gateway")

NOTIFY_TIMEOUT_SECONDS = 1.0


class Manager:
    """The service manager.

    address   its socket; `@` starts an abstract address; None: there is no service manager
    watchdog  the interval in seconds in which it expects a notification; None: no watchdog
    """

    def __init__(self, address: str | None = None, watchdog: float | None = None) -> None:
        self._address = None if address is None else address.replace("@", "\0", 1)
        self._watchdog = watchdog

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> Self:
        """The service manager from the environment. Its variables are removed: child processes must not notify it."""
        address = environment.pop("NOTIFY_SOCKET", None)
        seconds = int(environment.pop("WATCHDOG_USEC", 0)) / 1e6
        mine = environment.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        return cls(address or None, seconds if seconds and mine else None)

    def ready(self, status: str) -> None:
        """The gateway serves. `status` is shown by `systemctl status`."""
        self._notify("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """A reload began; `ready` ends it (Type=notify-reload)."""
        self._notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", "STATUS=Reloading the settings")

    def stopping(self) -> None:
        self._notify("STOPPING=1", "STATUS=Finishing the requests in flight")

    def tasks(self) -> list[Awaitable[None]]:
        """Tasks to run while the gateway serves: the watchdog's notifications."""
        return [self._watch(self._watchdog / 2)] if self._address and self._watchdog else []

    async def _watch(self, interval: float) -> None:
        while True:
            self._notify("WATCHDOG=1")
            await asyncio.sleep(interval)

    def _notify(self, *states: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
                connection.settimeout(NOTIFY_TIMEOUT_SECONDS)
                connection.connect(self._address)
                connection.send("\n".join(states).encode())
        except OSError as error:
            logger.warning("cannot notify the service manager: %s", error.strerror or "timeout")
