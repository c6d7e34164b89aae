"""Which servers of the database do not respond, shared by all connectors of a gateway."""

import asyncio
from collections.abc import Sequence

# A server that did not respond is tried after the others for this time.
SILENT_SECONDS = 60.0


class Servers:
    """Servers by their URIs."""

    def __init__(self) -> None:
        # Until when each server that did not respond is tried last, in the event loop's time.
        self._silent: dict[str, float] = {}
        self._next: asyncio.Future[str] | None = None

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
        if self._next is not None:
            self._next.set_result(uri)
            self._next = None

    @property
    def next_accepted(self) -> asyncio.Future[str]:
        """The next server that accepts a connection. It must not be cancelled, because it is shared."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        return self._next
