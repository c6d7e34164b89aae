"""A client's connection on its way out: what is written, what of it is stuck, and how the connection ends."""

import asyncio
import socket
import struct
from array import array
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import Any

# How long a client that is still sending may take to hear that nobody listens.
LINGER_SECONDS = 2
# Connections that may take that time at once; further ones are closed hard.
MOST_LINGERING = 64


class Wire:
    """A transport that gathers what is written until the event loop comes round.

    uvicorn writes head and body apart, and each write is a system call and often a packet of its own.

    unread  whether a part of a request is still to come
    ended   nothing more is written, and what comes in is not for anybody
    """

    lingering = 0

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, unread: Callable[[], bool]
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._unread = unread
        self._gathered: list[bytes] = []
        self._written = 0
        self._taken = 0
        self._taken_at = 0.0
        self._goodbye: asyncio.TimerHandle | None = None
        self.ended = False

    def write(self, data: bytes) -> None:
        """Have it written soon."""
        if not self._gathered:
            self._loop.call_soon(self._flush)
        self._gathered.append(data)

    def close(self) -> None:
        """Write what is gathered, and close; where a request is still coming in, part."""
        if self._unread():
            self.part()
        elif not self.ended:
            self.ended = True
            self._flush()
            self._transport.close()

    def part(self) -> None:
        """Write what is gathered, close this side's half, and soon the rest.

        A plain close would make the system of a client that is still sending throw away the answer which it has not
        read yet (RFC 9112, section 9.6).
        """
        if self.ended:
            return
        self.ended = True
        self._flush()
        if self._transport.is_closing() or Wire.lingering >= MOST_LINGERING:
            self._transport.close()
            return
        Wire.lingering += 1
        self._transport.write_eof()
        # What is sent meanwhile goes nowhere, but it has to be taken.
        self._transport.resume_reading()
        self._goodbye = self._loop.call_later(LINGER_SECONDS, self._transport.abort)

    def cut(self) -> None:
        """Throw away what is left, here and in the system, which would keep it for a client that takes none of it."""
        client = self._transport.get_extra_info("socket")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether nothing more can be written."""
        return self.ended or self._transport.is_closing()

    def lost(self) -> None:
        """The connection is gone."""
        self.ended = True
        if self._goodbye is not None:
            Wire.lingering -= 1
            self._goodbye.cancel()
            self._goodbye = None

    def stuck(self, now: float, patience: float) -> bool:
        """Whether there is something to write, and the client has taken none of it for `patience` seconds."""
        left = self._transport.get_write_buffer_size()
        taken = self._written - left - (self._in_system() if left else 0)
        if not left or taken != self._taken:
            self._taken, self._taken_at = taken, now
            return False
        return now - self._taken_at > patience

    def _in_system(self) -> int:
        """Bytes that the client's system has not acknowledged: megabytes may go by before this one's asks for more."""
        count = array("i", [0])
        # Where there is no such question, it is the megabytes that count.
        with suppress(OSError):
            ioctl(self._transport.get_extra_info("socket").fileno(), TIOCOUTQ, count)
        return count[0]

    def _flush(self) -> None:
        gathered, self._gathered = b"".join(self._gathered), []
        # The client may have gone since it was gathered.
        if gathered and not self._transport.is_closing():
            self._written += len(gathered)
            self._transport.write(gathered)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 whatever else the transport has
        return getattr(self._transport, name)
