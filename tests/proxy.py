"""A TCP proxy, in a thread, with faults that tests switch on and off."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

T = TypeVar("T")

# The sender of bytes.
Side = Literal["client", "server"]
SIDES: tuple[Side, ...] = ("client", "server")
# A host and a port, or a Unix socket.
Address = tuple[str, int] | Path
# Called with the number of the connection and the client's bytes before they are forwarded.
Tap = Callable[[int, bytes], None]

CHUNK = 65536
TIMEOUT_SECONDS = 30
# With SO_LINGER on and a time of 0, closing sends RST.
NO_LINGER = struct.pack("ii", 1, 0)
# With a rate, bytes are sent in this many slices.
SLICES_PER_SECOND = 20


class Proxy:
    """Forwards connections to `target` during a `with` block.

    The attributes apply to all connections in both directions, as soon as they are set:

    latency  seconds by which each chunk is delayed
    rate     bytes per second and direction of each connection; None: no limit
    slicing  maximum bytes of one packet; None: chunks as received
    """

    def __init__(self, target: Address, listen: Path | None = None, tap: Tap | None = None) -> None:
        """`listen` is the path of the Unix socket; without it, the proxy listens on a free TCP port of 127.0.0.1."""
        self.latency = 0.0
        self.rate: float | None = None
        self.slicing: int | None = None
        self._target, self._path, self._tap = target, listen, tap
        self._port = 0
        self._reserved: socket.socket | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._flowing: dict[Side, asyncio.Event] = {"client": asyncio.Event(), "server": asyncio.Event()}
        self._left: dict[Side, int] = {}
        self._mark: bytes | None = None
        self._marked: _Link | None = None
        self._links: set[_Link] = set()
        self._count = 0

    def __enter__(self) -> Self:
        self._thread.start()
        if self._path is None:
            self._reserved = _bound(0)
            self._port = self._reserved.getsockname()[1]
        self._do(self._heal())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._reserved is not None:
            self._reserved.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    @property
    def port(self) -> int:
        """The TCP port of the proxy on 127.0.0.1."""
        return self._port

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self._links)

    @property
    def accepted(self) -> int:
        """The number of connections accepted so far."""
        return self._count

    def aim(self, target: Address) -> None:
        """Forward new connections to another address."""
        self._target = target

    def cut(self) -> None:
        """Reset all connections (RST); new ones are forwarded."""
        self._do(self._cut())

    def cut_after(self, side: Side, number: int = 0, mark: bytes | None = None) -> None:
        """Forward this number of bytes from this side, then reset the connection that sends more.

        cut_after("server") loses the next response, after the statement was executed.

        mark  counts and cuts only the connection whose client sends these bytes next, from that chunk on; without it,
              any query of the gateway's own may be the one that is cut
        """
        self._do(self._arm(side, number, mark))

    def freeze(self, *sides: Side) -> None:
        """Forward nothing and close nothing (a half-open network). New connections are accepted and get no response.

        sides  senders whose bytes are held back; default: both
        """
        self._do(self._freeze(sides or SIDES))

    def refuse(self) -> None:
        """Refuse new connections (ECONNREFUSED); open ones continue."""
        self._do(self._refuse())

    def heal(self) -> None:
        """End all faults. Bytes held back by `freeze` are forwarded."""
        self.latency, self.rate, self.slicing = 0.0, None, None
        self._do(self._heal())

    def _do(self, task: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(task, self._loop).result(TIMEOUT_SECONDS)

    async def _listen(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._accept, self._path)
        else:
            self._server = await asyncio.start_server(self._accept, sock=_bound(self._port))

    async def _refuse(self) -> None:
        if self._server is not None:
            # In Python 3.11 a server that closes leaves the sockets open that it has accepted in this turn of the loop.
            for listening in self._server.sockets:
                self._loop.remove_reader(listening.fileno())
            for _ in range(3):
                await asyncio.sleep(0)
            self._server.close()
            self._server = None

    async def _cut(self) -> None:
        for link in list(self._links):
            link.reset()

    async def _arm(self, side: Side, number: int, mark: bytes | None) -> None:
        self._left[side] = number
        self._mark, self._marked = mark, None

    async def _freeze(self, sides: tuple[Side, ...]) -> None:
        for side in sides:
            self._flowing[side].clear()

    async def _heal(self) -> None:
        self._left.clear()
        for flowing in self._flowing.values():
            flowing.set()
        if self._server is None:
            await self._listen()

    async def _end(self) -> None:
        await self._refuse()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _accept(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._count += 1
        link = _Link(self._count, back)
        self._links.add(link)
        try:
            server, forth = await self._connect()
            link.writers.append(forth)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump("client", client, forth, link))
                both.create_task(self._pump("server", server, back, link))
        except* OSError:
            link.reset()
        except* asyncio.CancelledError:
            # The proxy stops; asyncio would log a task that ends as cancelled.
            pass
        finally:
            self._links.discard(link)
            link.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, Path):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection(*self._target)

    async def _pump(
        self, side: Side, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: "_Link"
    ) -> None:
        while chunk := await reader.read(CHUNK):
            if side == "client":
                self._note(chunk, link)
            if self.latency:
                await asyncio.sleep(self.latency)
            await self._flowing[side].wait()
            allowed = self._allowed(side, len(chunk), link)
            await self._send(writer, chunk[:allowed])
            if allowed < len(chunk):
                link.reset()
                return
        await self._flowing[side].wait()
        with contextlib.suppress(OSError):
            writer.write_eof()

    def _note(self, chunk: bytes, link: "_Link") -> None:
        """Pass a client's bytes to the tap, and look for the mark in them."""
        if self._tap is not None:
            self._tap(link.number, chunk)
        if self._mark is not None and self._marked is None and self._mark in chunk:
            self._marked = link

    def _allowed(self, side: Side, number: int, link: "_Link") -> int:
        """The number of bytes, of `number`, that are still forwarded."""
        left = self._left.get(side)
        if left is None or (self._mark is not None and link is not self._marked):
            return number
        if left >= number:
            self._left[side] = left - number
            return number
        # The fault happens once: the client's next connection works.
        del self._left[side]
        return left

    async def _send(self, writer: asyncio.StreamWriter, chunk: bytes) -> None:
        while chunk:
            rate = self.rate
            size = min(self.slicing or CHUNK, max(1, int(rate / SLICES_PER_SECOND)) if rate else CHUNK)
            writer.write(chunk[:size])
            await writer.drain()
            await asyncio.sleep(min(size, len(chunk)) / rate if rate else 0)
            chunk = chunk[size:]


class _Link:
    """A client's connection and the one to the target."""

    def __init__(self, number: int, back: asyncio.StreamWriter) -> None:
        self.number = number
        self.writers = [back]

    def reset(self) -> None:
        for writer in self.writers:
            with contextlib.suppress(OSError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            writer.transport.abort()

    def close(self) -> None:
        for writer in self.writers:
            writer.close()


def _bound(port: int) -> socket.socket:
    """A socket bound with SO_REUSEPORT: one that does not listen reserves the port while none listens."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound
