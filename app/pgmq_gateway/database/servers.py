"""Which servers of the database respond, shared by all connectors of a gateway and its pool."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

# A server that did not respond is tried after the others for this time.
SILENT_SECONDS = 60.0


class Servers:
    """Servers by their URIs."""

    def __init__(self) -> None:
        # Until when each server that did not respond is tried last, in the event loop's time.
        self._silent: dict[str, float] = {}
        self._next: asyncio.Future[str] | None = None
        # The duration of the newest login.
        self._login_seconds: dict[str, float] = {}
        # When the newest call ended, and since when a login is tried because calls take long.
        self._responded: dict[str, float] = {}
        self._probed: dict[str, float] = {}
        # Set at the end of a probe, and then replaced.
        self._decided = asyncio.Event()

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

    def has_logged_in(self, uri: str, seconds: float) -> None:
        """Note how long a login took."""
        self._login_seconds[uri] = seconds

    def login_seconds(self, uri: str) -> float:
        """The duration of the newest login to a server; 0 if there was none."""
        return self._login_seconds.get(uri, 0)

    def has_responded(self, uri: str) -> None:
        """Note that a call has ended."""
        self._responded[uri] = asyncio.get_running_loop().time()

    def responded_since(self, uri: str, time: float) -> bool:
        """True if a call has ended since then."""
        return self._responded.get(uri, -1) >= time

    @contextmanager
    def probed(self, uri: str) -> Iterator[None]:
        """During the `with` block it is found out whether a server still responds."""
        self._probed[uri] = asyncio.get_running_loop().time()
        try:
            yield
        finally:
            del self._probed[uri]
            self._decided.set()
            self._decided = asyncio.Event()

    async def decided(self) -> None:
        """Wait while a server is probed and no call on it has ended since."""
        while any(not self.responded_since(uri, since) for uri, since in self._probed.items()):
            await self._decided.wait()
