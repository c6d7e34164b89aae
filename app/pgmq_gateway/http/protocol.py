"""HTTP/1.1 as uvicorn speaks it, within bounds, and stricter where two readers could disagree about what was sent.

Whatever is refused here gets its answer in its turn, behind those to earlier requests, and ends the connection.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from pgmq_gateway.errors import BodyTooLong, GatewayError, HeadTooLong, Malformed, TooManyConnections, TooSlow
from pgmq_gateway.http.bounds import Bounds
from pgmq_gateway.http.response import failed
from pgmq_gateway.http.traffic import Traffic
from pgmq_gateway.http.transport import Wire

MOST_HEADERS = 100
# Requests of one connection that may wait for an earlier one: they are in memory already.
MOST_PIPELINED = 100
VERSIONS = ("1.0", "1.1")


# What of a request a connection is receiving. Plain numbers: they are looked at many times a request.
NOTHING, HEAD, BODY = range(3)
# Headers that are looked at here.
NOTED = frozenset({b"expect", b"host", b"transfer-encoding"})


class Protocol(HttpToolsProtocol):
    """A connection. `sweep` is to be called about once a second: then no request needs a timer of its own."""

    def __init__(
        self,
        bounds: Callable[[], Bounds],
        traffic: Traffic | None,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._bounds = bounds()
        self._traffic = traffic
        self._stage = NOTHING
        # When the present stage began: the loop's time; None until the end of the data in which it did.
        self._since: float | None = None
        # Of the present head: its Hosts, and its Transfer-Encoding; of its body, what comes after the answer.
        self._hosts = 0
        self._coding: bytes | None = None
        self._unheard = 0
        # Bytes of the present head in earlier data, and of the data being read.
        self._earlier = self._now = 0
        # What is to be said once all earlier requests are answered.
        self._last_word: GatewayError | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, if there is room."""
        self._wire = Wire(transport, self.loop, lambda: self._stage != NOTHING)
        super().connection_made(self._wire)  # type: ignore[arg-type]
        self._since = self.loop.time()
        if len(self.connections) > self._bounds.connections:
            self._refuse(TooManyConnections())

    def connection_lost(self, exc: Exception | None) -> None:
        """Take no notice of it any more."""
        self._wire.lost()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what came in."""
        if self._last_word is not None or self._wire.ended:
            return
        stage, cycle = self._stage, self.cycle
        self._now = len(data)
        try:
            self._read(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, GatewayError) else Malformed(str(error)))
            return
        if self._stage == NOTHING:
            return
        if self._since is None:
            self._since = self.loop.time()
        if self._stage == HEAD:
            # Data in which something else ends counts as nothing: where the head began in it, is not known.
            self._earlier = self._earlier + len(data) if self.cycle is cycle and stage != BODY else 0
            if self._earlier > self._bounds.head:
                self._refuse(HeadTooLong(self._bounds.head))

    def _read(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as ended:
                # The parser leaves the body to the other protocol. Nobody has to change to one (RFC 9110, section 7.8),
                # and where the body would then be taken for the next request, strangers could make one of it.
                data = self._without_upgrade() + data[ended.args[0] :]
                self.parser = httptools.HttpRequestParser(self)

    def _without_upgrade(self) -> bytes:
        line = b"".join((self.parser.get_method(), b" ", self.url, b" HTTP/1.1\r\n"))
        headers = (b"".join((name, b": ", value, b"\r\n")) for name, value in self.headers if name != b"upgrade")
        return b"".join((line, *headers, b"\r\n"))

    def on_message_begin(self) -> None:
        """A head begins."""
        HttpToolsProtocol.on_message_begin(self)
        self._stage = HEAD
        self._since = self._coding = None
        self._hosts = self._unheard = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """One more header, or something behind the body that would like to be one (RFC 9110, section 6.5.1)."""
        if self._stage == BODY:
            return
        name = name.lower()
        if name in NOTED:
            self._note(name, value)
        self.headers.append((name, value))

    def _note(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            self._hosts += 1
        elif name == b"transfer-encoding":
            self._coding = value.lower() if self._coding is None else b"more than one"
        elif value.lower() == b"100-continue":
            self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        """A request begins, unless there is something about its head that should not be."""
        if self._earlier + self._now > self._bounds.head:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self._bounds.head:
                raise HeadTooLong(self._bounds.head)
        if len(self.headers) > MOST_HEADERS:
            raise HeadTooLong(MOST_HEADERS, "headers")
        if len(self.pipeline) >= MOST_PIPELINED:
            raise Malformed(f"More than {MOST_PIPELINED} requests wait for an earlier one")
        self._check_head()
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise Malformed("This is no proxy")
            return
        HttpToolsProtocol.on_headers_complete(self)
        self._stage, self._since, self._earlier = BODY, None, 0

    def _check_head(self) -> None:
        """RFC 9112: section 2.3 (version), 3.2 (target, Host), 6.1 (Transfer-Encoding)."""
        version = self.parser.get_http_version()
        if version not in VERSIONS:
            raise Malformed("Unsupported HTTP version")
        if self._hosts != 1 and (version == "1.1" or self._hosts):
            raise Malformed("There must be one Host header")
        if self._coding is not None and (self._coding != b"chunked" or version == "1.0"):
            raise Malformed("The only Transfer-Encoding is chunked, in HTTP/1.1")
        if b"#" in self.url:
            raise Malformed("The request target is none of a resource")

    def on_body(self, body: bytes) -> None:
        """A part of the body; of one whose request is answered already, no more is heard than others may send."""
        if not self.cycle.response_complete:
            HttpToolsProtocol.on_body(self, body)
            return
        self._unheard += len(body)
        if self._unheard > self._bounds.body:
            raise BodyTooLong(self._bounds.body)

    def on_message_complete(self) -> None:
        """A request is here."""
        if self._stage == HEAD:
            # It is to be read once more, without the upgrade.
            return
        HttpToolsProtocol.on_message_complete(self)
        self._stage = NOTHING

    def on_response_complete(self) -> None:
        """Go on with the next request, if it is here already."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._last_word is not None:
            self._say(self._last_word)
        elif self._stage == NOTHING:
            self._since = self.loop.time()

    def sweep(self, now: float) -> None:
        """End the connection where something takes too long. `now`: the loop's time."""
        if self._wire.stuck(now, self._bounds.send_seconds):
            self._wire.cut()
        if self._since is None or self._last_word is not None or self._wire.ended:
            return
        taken = now - self._since
        if self._stage == NOTHING:
            self._sweep_idle(taken)
        elif self.flow.read_paused:
            # It is this side that does not listen.
            self._since = now
        elif self._stage == HEAD and taken > self._bounds.head_seconds:
            self._refuse(TooSlow("headers", self._bounds.head_seconds))
        elif self._stage == BODY and taken > self._bounds.body_seconds:
            self._refuse(TooSlow("body", self._bounds.body_seconds))

    def _sweep_idle(self, taken: float) -> None:
        patience = self._bounds.idle_seconds
        if self.cycle is None:
            patience = self._bounds.head_seconds
        if self._all_answered and taken > patience:
            self.transport.close()

    def _refuse(self, error: GatewayError) -> None:
        """Take nothing more from the client, and tell it why in the turn of the request that it has begun."""
        cycle, begun = self.cycle, self._stage == BODY
        if begun and self.pipeline:
            self.pipeline.popleft()
            begun = False
        elif begun and cycle.response_started:
            # It has its answer.
            self._wire.part()
            return
        if begun:
            cycle.disconnected = True
            cycle.message_event.set()
        elif not self._all_answered:
            self._last_word = error
            return
        self._say(error)

    @property
    def _all_answered(self) -> bool:
        if self.cycle is None:
            return True
        return self.cycle.response_complete

    def _say(self, error: GatewayError) -> None:
        response = failed(error, verbose=self._bounds.verbose)
        headers = [f"{name.lower()}: {value}\r\n".encode() for name, value in response.headers]
        ours = ((name, value) for name, value in self.server_state.default_headers if name != b"connection")
        default = [b"".join((name, b": ", value, b"\r\n")) for name, value in ours]
        framing = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(response.body)
        self.transport.write(b"".join((STATUS_LINE[response.status], *default, *headers, framing, response.body)))
        self._wire.part()
        self.connections.discard(self)
        if self._traffic is not None:
            self._traffic.answered(response.status, response.code, 0)
