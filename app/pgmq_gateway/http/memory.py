"""Memory that a process holds for its clients, and its limit."""

import ctypes
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from pgmq_gateway.control_group import ROOT, memory_limits

MAX_DEFAULT_BYTES = 1 << 30
# mallopt(3): blocks of this size and more are mapped, and so returned when they are freed.
M_MMAP_THRESHOLD = -3
LARGE_BLOCK_BYTES = 1 << 20


class Reader(Protocol):
    """A client that has not taken its whole response yet."""

    @property
    def unsent(self) -> int:
        """Bytes that the client has not taken and the kernel does not hold."""

    def reset(self) -> None:
        """Close the connection at once."""


class Memory:
    """Bytes of request bodies and of responses that clients have not taken.

    A response that does not fit costs the clients that have been reading for longest their connections; a body that
    does not fit even then is rejected.

    limit  maximum of bytes
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held = 0
        # The longest-reading client first. A response is in memory as a whole until its last byte is taken.
        self._unsent: dict[Reader, int] = {}

    def hold(self, size: int) -> bool:
        """Hold so many more bytes. Returns whether they fit."""
        self._held += size
        return self._held <= self.limit or self.fits(0)

    def release(self, size: int) -> None:
        self._held -= size

    def await_reader(self, reader: Reader, size: int) -> None:
        """Hold a part of a response until its client has taken everything."""
        self._held += size
        self._unsent[reader] = self._unsent.get(reader, 0) + size

    def forget(self, reader: Reader) -> None:
        """The client has taken everything, or its connection is closed."""
        self._held -= self._unsent.pop(reader, 0)

    def fits(self, size: int) -> bool:
        """True if there is room for so many more bytes. Makes room by closing connections of slow readers."""
        if self._held + size <= self.limit:
            return True
        for reader in [reader for reader in self._unsent if not reader.unsent]:
            self.forget(reader)
        while self._unsent and self._held + size > self.limit:
            slowest = next(iter(self._unsent))
            self.forget(slowest)
            slowest.reset()
        return self._held + size <= self.limit


def return_large_blocks() -> None:
    """Have the C library return freed bodies and responses to the system.

    By default glibc maps fewer and larger blocks as it frees some, and keeps up to 32 MiB each in its heap: after 60
    responses of 10 MB with a limit of 100 MB, the process had 466 MB, and 162 MB with this.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)


def default_limit(root: Path = ROOT) -> int:
    """Half of the memory of the machine or of the control group, at most 1 GiB."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(min([machine, *memory_limits(root)]) // 2, MAX_DEFAULT_BYTES)
