"""Raw HTTP over a socket, for malformed requests."""

import re
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from tests.server import TIMEOUT_SECONDS, Server


class Answer(msgspec.Struct):
    """A raw response; `headers` by name in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of an error, which must have the four members."""
        body: dict[str, Any] = msgspec.json.decode(self.body)
        assert list(body) == ["code", "details", "hint", "message"], self
        return str(body["code"])


@contextmanager
def connected(server: Server, buffer: int | None = None) -> Iterator[socket.socket]:
    """A connection; `buffer`: the size of its receive buffer."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.socket() as connection:
        connection.settimeout(TIMEOUT_SECONDS)
        if buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.connect((host, int(port)))
        yield connection


def exchange(server: Server, sent: bytes) -> list[Answer]:
    """All responses to these bytes. The server must close the connection."""
    with connected(server) as connection:
        connection.sendall(sent)
        return answers(connection)


def answers(connection: socket.socket) -> list[Answer]:
    """All responses until the server closes its side."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return list(_parsed(received))


def ask(connection: socket.socket, sent: bytes) -> Answer:
    """The response to a request, on a connection that stays open."""
    connection.sendall(sent)
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
        if b"\r\n\r\n" in received:
            (answer,) = _parsed(received)
            if len(answer.body) == int(answer.headers.get("content-length", "0")):
                return answer
    raise AssertionError(f"the server has closed the connection after {received!r}")


def endless(server: Server, head: bytes, chunk: bytes, most: int) -> tuple[list[Answer], int]:
    """Send a head and up to `most` bytes of chunks until the server closes its side. Returns responses and bytes."""
    with connected(server) as connection:
        connection.sendall(head)
        received, sent = b"", 0
        while sent < most:
            try:
                connection.sendall(chunk)
                sent += len(chunk)
                if select.select([connection], [], [], 0)[0]:
                    got = connection.recv(65536)
                    received += got
                    if not got:
                        break
            except OSError:
                break
        return list(_parsed(received)), sent


def _parsed(received: bytes) -> Iterator[Answer]:
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        line, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
        status = re.fullmatch(r"HTTP/1\.1 ([0-9]{3}) .*", line)
        assert status, line
        length = int(headers.get("content-length", "0"))
        yield Answer(int(status[1]), headers, received[:length])
        received = received[length:]


def post(path: str, body: bytes, *lines: str, length: bool = True, content_type: str = "application/json") -> bytes:
    """A POST with further header lines."""
    framing = (f"Content-Length: {len(body)}",) if length else ()
    head = (f"POST {path} HTTP/1.1", "Host: gateway", f"Content-Type: {content_type}", *framing, *lines, "", "")
    return "\r\n".join(head).encode("latin-1") + body
