"""A client's connection on its way out: buffered writes, stalled clients, and how the connection is closed."""

import asyncio
import socket
import struct
from array import array
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import Any

from pgmq_gateway.http.memory import Memory

# The time for which a half-closed connection is kept for a client that is still sending.
LINGER_SECONDS = 2
# Half-closed connections at once. Further ones are closed in both directions.
MAX_LINGERING = 64
# The kernel takes that much at once, so that only a client with unsent data has more in memory.
SMALL_BYTES = 16 * 1024


class ClientTransport:
    """A transport that buffers writes until the next turn of the event loop.

    uvicorn writes head and body separately, and each write is a system call and often a packet of its own.

    receiving  whether a part of a request is still to come
    memory     counts what the client has not taken
    ended      nothing more is written, and received data is discarded
    """

    lingering = 0

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        receiving: Callable[[], bool],
        memory: Memory,
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._receiving = receiving
        self._memory = memory
        self._buffer: list[bytes] = []
        self._written = 0
        # Since when the client's rate has been measured, None while it has taken everything; acknowledged until then.
        self._measured_at: float | None = None
        self._acknowledged = 0
        self._linger: asyncio.TimerHandle | None = None
        self.ended = False

    def write(self, data: bytes) -> None:
        if not self._buffer:
            self._loop.call_soon(self._flush)
        self._buffer.append(data)

    def close(self) -> None:
        """Flush and close. While a request is still coming in, half-close instead."""
        if self._receiving():
            self.half_close()
        elif not self.ended:
            self.ended = True
            self._flush()
            self._transport.close()

    def half_close(self) -> None:
        """Flush, close the sending side, and the whole connection soon after.

        A full close makes the kernel of a client that is still sending discard a response which the client has not
        read yet (RFC 9112, section 9.6).
        """
        if self.ended:
            return
        self.ended = True
        self._flush()
        if self._transport.is_closing() or ClientTransport.lingering >= MAX_LINGERING:
            self._transport.close()
            return
        ClientTransport.lingering += 1
        self._transport.write_eof()
        # Received data is discarded, but has to be read: else a full buffer keeps the client from reading.
        self._transport.resume_reading()
        self._linger = self._loop.call_later(LINGER_SECONDS, self._transport.abort)

    def is_closing(self) -> bool:
        return self.ended or self._transport.is_closing()

    def lost(self) -> None:
        """The connection is closed."""
        self.ended = True
        self._memory.forget(self)
        if self._linger is not None:
            ClientTransport.lingering -= 1
            self._linger.cancel()
            self._linger = None

    @property
    def unsent(self) -> int:
        size: int = self._transport.get_write_buffer_size()
        return size

    def reset_if_slow(self, now: float, period: float, min_rate: float) -> None:
        """Reset the connection if its client has taken less than `min_rate` bytes a second during the last period.

        now  the server's time
        """
        unsent = self.unsent
        if not unsent:
            self._measured_at = None
            self._memory.forget(self)
            return
        acknowledged = self._written - unsent - self._unacknowledged()
        if self._measured_at is not None and now - self._measured_at < period:
            return
        if self._measured_at is not None and acknowledged - self._acknowledged <= min_rate * (now - self._measured_at):
            self.reset()
        self._measured_at, self._acknowledged = now, acknowledged

    def reset(self) -> None:
        """Close with RST: the kernel would keep unsent data for a client that reads none of it."""
        self.ended = True
        client = self._transport.get_extra_info("socket")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _unacknowledged(self) -> int:
        """Bytes in the kernel's send buffer, which holds megabytes."""
        count = array("i", [0])
        # Without this ioctl, a client counts as stalled only once the kernel accepts no more data.
        with suppress(OSError):
            ioctl(self._transport.get_extra_info("socket").fileno(), TIOCOUTQ, count)
        return count[0]

    def _flush(self) -> None:
        data, self._buffer = b"".join(self._buffer), []
        # The connection may have been closed since the write.
        if not data or self._transport.is_closing():
            return
        unsent = self.unsent
        if len(data) > SMALL_BYTES or unsent:
            if not unsent:
                # Earlier parts of a stream, which the client has taken.
                self._memory.forget(self)
            self._memory.fits(len(data))
            # It may have been the slowest client itself.
            if self._transport.is_closing():
                return
            self._memory.await_reader(self, len(data))
        self._written += len(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 everything else is the transport's
        return getattr(self._transport, name)
