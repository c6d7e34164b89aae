"""uvicorn's HTTP/1.1 protocol, hardened: enforces size and time limits, and rejects requests that two parsers could
read differently (request smuggling).

A rejected request gets its error response in its turn, after the responses to earlier requests, and the connection is
closed.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from pgmq_gateway.errors import BodyTooLong, GatewayError, HeadTooLong, Malformed, TooManyConnections, TooSlow
from pgmq_gateway.http.bounds import Bounds
from pgmq_gateway.http.direct import Direct, DirectExchange
from pgmq_gateway.http.memory import Memory
from pgmq_gateway.http.parking import FLOW_REQUESTS, FlowRequests
from pgmq_gateway.http.request_line import RequestLines
from pgmq_gateway.http.response import error_response, header_lines
from pgmq_gateway.http.traffic import Traffic
from pgmq_gateway.http.transport import ClientTransport

MAX_HEADERS = 100
# Pipelined requests of one connection that may wait for an earlier one. They are already in memory.
MAX_PIPELINED = 100
VERSIONS = ("1.0", "1.1")

# The part of a request that a connection receives next. Plain numbers: they are compared many times a request.
IDLE, HEAD, BODY = range(3)
CHECKED = frozenset({b"expect", b"host", b"transfer-encoding"})
# Requests with one of these always pass uvicorn.
NOT_DIRECT = frozenset({b"expect", b"upgrade"})


class Protocol(HttpToolsProtocol):
    """A client's connection. The server calls `sweep` about once a second, so that no request needs a timer."""

    def __init__(
        self,
        bounds: Callable[[], Bounds],
        traffic: Traffic | None,
        memory: Memory,
        direct: Direct | None,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._bounds = bounds()
        self._traffic = traffic
        self._memory = memory
        self._direct = direct
        self._stage = IDLE
        # The time at which `sweep` first found the present stage, and bytes of a body since then.
        self._since: float | None = None
        self._arrived = 0
        # Of the present request: Host headers, Transfer-Encoding, and bytes of its body received after the response.
        self._hosts = 0
        self._transfer_encoding: bytes | None = None
        self._discarded = 0
        # Bytes of the present head in earlier data, and of the data being read.
        self._earlier = self._now = 0
        self._request_lines = RequestLines()
        # Of the last request, and the data of the next one while that waits for its turn.
        self._flow_requests: FlowRequests | None = None
        self._parked = b""
        # The error response to send after the responses to earlier requests.
        self._rejection: GatewayError | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._client = ClientTransport(transport, self.loop, lambda: self._stage != IDLE, self._memory)
        super().connection_made(self._client)  # type: ignore[arg-type]
        # The next response, or part of one, is written once the kernel has the former: a slow client of a stream holds
        # it up, and what it has not taken is never more than one part.
        self._client.set_write_buffer_limits(0)
        if len(self.connections) > self._bounds.max_connections:
            self._reject(TooManyConnections())

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.lost()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._rejection is not None or self._client.ended:
            return
        if self._flow_requests is not None and self._flow_requests.full and self._stage == IDLE and self._all_answered:
            self._park(self._flow_requests, data)
            return
        self._receive(data)

    def _receive(self, data: bytes) -> None:
        fresh = self._stage == IDLE and self._all_answered
        if fresh and self._try_direct(data):
            return
        stage, cycle = self._stage, self.cycle
        data = self._request_lines.encoded(data, begins=stage == IDLE)
        self._now = len(data)
        try:
            self._read(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._reject(cause if isinstance(cause, GatewayError) else Malformed(str(error)))
            return
        if self._stage == IDLE:
            if fresh and self.cycle is not cycle:
                self._learn(data)
            return
        if self._stage == HEAD:
            # Data in which another request ends is not counted: where the head began in it is unknown.
            self._earlier = self._earlier + len(data) if self.cycle is cycle and stage != BODY else 0
            if self._earlier > self._bounds.max_head_bytes:
                self._reject(HeadTooLong(self._bounds.max_head_bytes))

    def _try_direct(self, data: bytes) -> bool:
        """Pass a request to the application without ASGI, if data is exactly one with a known head."""
        if self._direct is None:
            return False
        request = self._direct.heads.find(data)
        if request is None or len(data) - len(request.body) > self._bounds.max_head_bytes:
            return False
        flow_requests = self._flow_requests
        if flow_requests is not None:
            flow_requests.in_process += 1
        exchange = DirectExchange(self, self._direct.server_headers, request, flow_requests)
        self.cycle = exchange  # type: ignore[assignment]
        task = self.loop.create_task(self._direct.handle(exchange))
        self.tasks.add(task)
        task.add_done_callback(exchange.finish)
        return True

    def _learn(self, data: bytes) -> None:
        """Keep the head of a request that has arrived as a whole, unless one of its headers concerns the protocol."""
        if self._direct is None or not self.cycle.keep_alive or self._transfer_encoding is not None:
            return
        if all(name not in NOT_DIRECT for name, _ in self.headers):
            self._direct.heads.learn(data, self.cycle.scope)  # type: ignore[arg-type]

    def _park(self, flow_requests: FlowRequests, data: bytes) -> None:
        self._parked += data
        self.flow.pause_reading()
        flow_requests.park(self)

    def resume(self) -> None:
        """Process the data that waited for its turn, if any."""
        data, self._parked = self._parked, b""
        if data and not self.transport.is_closing():
            self.flow.resume_reading()
            self._receive(data)

    def _read(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as ended:
                # The parser leaves the body to the other protocol. A server may ignore an upgrade (RFC 9110, section
                # 7.8). The body must not be parsed as the next request: that would be request smuggling.
                data = self._without_upgrade() + data[ended.args[0] :]
                self.parser = httptools.HttpRequestParser(self)

    def _without_upgrade(self) -> bytes:
        line = b"".join((self.parser.get_method(), b" ", self.url, b" HTTP/1.1\r\n"))
        headers = (b"".join((name, b": ", value, b"\r\n")) for name, value in self.headers if name != b"upgrade")
        return b"".join((line, *headers, b"\r\n"))

    def on_message_begin(self) -> None:
        HttpToolsProtocol.on_message_begin(self)
        self._stage = HEAD
        self._since = self._transfer_encoding = None
        self._hosts = self._discarded = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._stage == BODY:
            # A trailer: it may not act as a header (RFC 9110, section 6.5.1).
            return
        # The parser keeps white space behind a value, which is not part of it (RFC 9110, section 5.5).
        name, value = name.lower(), value.rstrip(b" \t")
        if name in CHECKED:
            self._check_header(name, value)
        self.headers.append((name, value))

    def _check_header(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            self._hosts += 1
        elif name == b"transfer-encoding":
            self._transfer_encoding = value.lower() if self._transfer_encoding is None else b"more than one"
        elif value.lower() == b"100-continue":
            self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        """Start the request, or raise what is wrong with its head."""
        if self._earlier + self._now > self._bounds.max_head_bytes:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self._bounds.max_head_bytes:
                raise HeadTooLong(self._bounds.max_head_bytes)
        if len(self.headers) > MAX_HEADERS:
            raise HeadTooLong(MAX_HEADERS, "headers")
        if len(self.pipeline) >= MAX_PIPELINED:
            raise Malformed(f"More than {MAX_PIPELINED} pipelined requests are waiting")
        self._check_head()
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise Malformed("CONNECT is not supported: this server is not a proxy")
            return
        earlier: Any = self.cycle
        HttpToolsProtocol.on_headers_complete(self)
        if self.pipeline:
            earlier.followed = True
        self._stage, self._since, self._arrived, self._earlier = BODY, None, 0, 0

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        if self._flow_requests is not None:
            self._flow_requests.in_process += 1
            cycle.scope[FLOW_REQUESTS] = self._flow_requests  # type: ignore[literal-required]
        HttpToolsProtocol._start_asgi_task(self, cycle, app)

    def _check_head(self) -> None:
        """RFC 9112: section 2.3 (version), 3.2 (target, Host), 6.1 (Transfer-Encoding)."""
        version = self.parser.get_http_version()
        if version not in VERSIONS:
            raise Malformed(f"HTTP version {version} is not supported; use 1.0 or 1.1")
        if self._hosts != 1 and (version == "1.1" or self._hosts):
            raise Malformed(f"A request must have exactly one Host header, not {self._hosts}")
        if self._transfer_encoding is not None and (self._transfer_encoding != b"chunked" or version == "1.0"):
            raise Malformed("The only supported Transfer-Encoding is chunked, in HTTP/1.1")
        if b"#" in self.url:
            raise Malformed("The request target must not contain a fragment (#)")

    def on_body(self, body: bytes) -> None:
        """Receive a part of a body. After an early response the rest is discarded, up to the size limit of a body."""
        self._arrived += len(body)
        if not self.cycle.response_complete:
            HttpToolsProtocol.on_body(self, body)
            return
        self._discarded += len(body)
        if self._discarded > self._bounds.max_body_bytes:
            raise BodyTooLong(self._bounds.max_body_bytes)

    def on_message_complete(self) -> None:
        if self._stage == HEAD:
            # The head asked for an upgrade; it is parsed once more without.
            return
        HttpToolsProtocol.on_message_complete(self)
        self._stage, self._since = IDLE, None

    def on_response_complete(self) -> None:
        """Start the next pipelined request, or wait for one."""
        self.server_state.total_requests += 1
        if not self.pipeline:
            # The body of the answered request: it would stay in memory until the next request.
            self.cycle.body = bytearray()
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._rejection is not None:
            self.respond(self._rejection)
        elif self._stage == IDLE:
            self._since = None
            cycle: Any = self.cycle
            direct = isinstance(cycle, DirectExchange)
            self._flow_requests = cycle.flow_requests if direct else cycle.scope.get(FLOW_REQUESTS)

    def sweep(self, now: float) -> None:
        """Apply the timeouts and the minimum rates. `now`: the server's time."""
        bounds = self._bounds
        self._client.reset_if_slow(now, bounds.send_timeout, bounds.min_rate)
        if self._rejection is not None or self._client.ended:
            return
        if self._parked:
            self._since = None
            # The flow may be alone now, or its requests may all wait for a lock.
            if self._flow_requests is not None:
                self._flow_requests.widen_if_stalled()
            if self._flow_requests is None or not self._flow_requests.full:
                self.resume()
            return
        if self._since is None or (self._stage != IDLE and self.flow.read_paused):
            # While the server does not read, the client is not late.
            self._since, self._arrived = now, 0
            return
        taken = now - self._since
        if self._stage == IDLE:
            self._close_idle(taken)
        elif self._stage == HEAD and taken > bounds.head_timeout:
            self._reject(TooSlow("headers", f"They took longer than {bounds.head_timeout:g} seconds."))
        elif self._stage == BODY and taken >= bounds.body_timeout:
            if self._arrived <= bounds.min_rate * taken:
                self._reject(TooSlow("body", f"Less than {bounds.min_rate:g} bytes a second arrived."))
            self._since, self._arrived = now, 0

    def _close_idle(self, taken: float) -> None:
        timeout = self._bounds.keep_alive_timeout
        if self.cycle is None:
            timeout = self._bounds.head_timeout
        if self._all_answered and taken > timeout:
            self.transport.close()

    def _reject(self, error: GatewayError) -> None:
        """Read nothing more from the client, and send the error in the turn of the request that was being received."""
        cycle, begun = self.cycle, self._stage == BODY
        if begun and self.pipeline:
            self.pipeline.popleft()
            begun = False
        elif begun and cycle.response_started:
            self._client.half_close()
            return
        if begun:
            # `Request.body` raises it, so that the application counts and logs it.
            cycle.rejection = error  # type: ignore[attr-defined]
            cycle.disconnected = True
            cycle.message_event.set()
        elif not self._all_answered:
            self._rejection = error
            return
        self.respond(error, counted=not begun)

    @property
    def _all_answered(self) -> bool:
        if self.cycle is None:
            return True
        return self.cycle.response_complete

    def respond(self, error: GatewayError, *, counted: bool = True) -> None:
        """Send an error, and close the connection."""
        response = error_response(error, verbose=self._bounds.verbose)
        message = response.message(header_lines(self.server_state.default_headers), close=True)
        self.transport.write(message)
        self._client.half_close()
        self.connections.discard(self)
        if self._traffic is not None and counted:
            self._traffic.answered(response.status, response.code, 0)
