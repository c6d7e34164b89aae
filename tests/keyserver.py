"""A JWKS server with correct and faulty answers."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


class KeyServer(ThreadingHTTPServer):
    """Sends the same response to every GET.

    requests  the headers of the received requests
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: Answer = content(b"{}")
        self.requests: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        """The URL of the JWK set."""
        return f"http://127.0.0.1:{self.server_port}/keys"

    def serve(self, *keys: object, **headers: str) -> None:
        """Replace the keys of the set and the headers of the response."""
        self.answer = content(json.dumps({"keys": keys}).encode(), 200, **headers)

    def handle_error(self, *_: object) -> None:
        """Ignore clients that disconnect, which some tests do on purpose."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, KeyServer)
        server.requests.append(dict(self.headers))
        server.answer(self)

    def log_message(self, *_: object) -> None:
        """Write no access log."""


def content(body: bytes, status: int = 200, **headers: str) -> Answer:
    """An answer with this body; Content_Length="" leaves the length out."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        sent = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
        for name, value in sent.items():
            if value:
                handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def trickle(body: bytes) -> Answer:
    """A response whose body takes two seconds, padded with spaces."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + body)
        for _ in range(100):
            handler.wfile.write(b" ")
            time.sleep(0.02)

    return answer


def silence(handler: BaseHTTPRequestHandler) -> None:
    """No response until the client disconnects."""
    handler.connection.settimeout(30)
    handler.rfile.read(1)


def cut(handler: BaseHTTPRequestHandler) -> None:
    """Half a response."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")


def chunks(body: bytes, size: int) -> Answer:
    """A chunked body with so many bytes of padding."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        handler.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n")
        for _ in range(0, size, 4096):
            handler.wfile.write(b"1000\r\n" + b" " * 4096 + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")

    return answer


@contextmanager
def running(context: ssl.SSLContext | None = None) -> Iterator[KeyServer]:
    """A running key server; with TLS if there is a context."""
    with KeyServer() as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
