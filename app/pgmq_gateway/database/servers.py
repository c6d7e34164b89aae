"""Which servers of the database do not respond, shared by all connectors of a gateway."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

# A server that did not respond is tried after the others for this time.
SILENT_SECONDS = 60.0


class Servers:
    """Servers by their URIs."""

    def __init__(self) -> None:
        # Until when each server that did not respond is tried last, in the event loop's time.
        self._silent: dict[str, float] = {}
        # Set when a server accepts a connection, and then replaced.
        self._accepted = asyncio.Event()

    def in_order(self, uris: Sequence[str]) -> list[str]:
        """In the given order, those that did not respond lately at the end."""
        now = asyncio.get_running_loop().time()
        return sorted(uris, key=lambda uri: self._silent.get(uri, now) > now)

    def is_silent(self, uri: str) -> None:
        """Note that a server did not respond in time."""
        self._silent[uri] = asyncio.get_running_loop().time() + SILENT_SECONDS

    def has_accepted(self, uri: str) -> None:
        """Note that a server has accepted a connection."""
        self._silent.pop(uri, None)
        self._accepted.set()
        self._accepted = asyncio.Event()

    async def wait_for_one(self, patience: float) -> None:
        """Wait until any server accepts a connection, or for `patience` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._accepted.wait()
