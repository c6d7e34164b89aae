"""Server-sent events (HTML, section 9.2): the parts of a stream's body."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import msgspec

MEDIA_TYPE = "text/event-stream"
# Milliseconds after which an EventSource connects again.
RETRY = b"retry: 2000\n\n"
ALIVE = b": alive\n\n"
UNAVAILABLE = b": database unavailable\n\n"
# For tables without last_read_at.
DEFAULT_LEASE_SECONDS = 30.0


class Reason(StrEnum):
    """The end of a stream without an error."""

    TOKEN_EXPIRED = "token_expired"  # noqa: S105 no password
    MAX_DURATION = "max_duration"
    SHUTDOWN = "shutdown"
    RELOAD = "reload"
    PIPELINED = "pipelined"


class Row(msgspec.Struct):
    """The columns of a message that a stream needs."""

    receipt: str
    queue_name: str
    vt: str
    last_read_at: str | None

    @property
    def lease(self) -> float:
        """Seconds."""
        if self.last_read_at is None:
            return DEFAULT_LEASE_SECONDS
        return (datetime.fromisoformat(self.vt) - datetime.fromisoformat(self.last_read_at)).total_seconds()


_texts = msgspec.json.Decoder(list[msgspec.Raw])
_row = msgspec.json.Decoder(Row)


def read_rows(body: str) -> list[tuple[Row, bytes]]:
    """The rows of a JSON array, with their text as Postgres wrote it: numbers keep their digits."""
    return [(_row.decode(text), bytes(text)) for text in _texts.decode(body)]


def messages(rows: Iterable[tuple[Row, bytes]]) -> bytes:
    """An event for each row."""
    return b"".join([_event(b"message", text, row.receipt.encode()) for row, text in rows])


def end(reason: Reason) -> bytes:
    """The last event of a stream that the client can open again."""
    return _event(b"end", msgspec.json.encode({"reason": reason}))


def error(body: bytes) -> bytes:
    """The last event of a stream that failed."""
    return _event(b"error", body)


def _event(name: bytes, data: bytes, id_: bytes = b"") -> bytes:
    # Postgres writes JSON on one line, and a line break can only stand between its tokens.
    lines = data.replace(b"\r", b" ").replace(b"\n", b" ")
    return b"%bevent: %b\ndata: %b\n\n" % (b"id: %b\n" % id_ if id_ else b"", name, lines)
