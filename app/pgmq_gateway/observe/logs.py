"""The format of the log: one line for each event, without data that callers sent."""

import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import TracebackType

from pgmq_gateway.observe.output import STDERR

# PostgREST's names.
LEVELS = {
    "crit": logging.CRITICAL,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}
# The innermost frames of a traceback are logged.
MAX_FRAMES = 20
# Values that need no quotes after `name=`.
PLAIN = re.compile(r"[!#-<>-~]+")

logger = logging.getLogger("pgmq_gateway")


def configure(level: str, form: str) -> None:
    """Configure logging to stderr.

    level  one of LEVELS, for the gateway's own events; libraries log at warning
    form   `json`: one object a line; otherwise text
    """
    handler = Handler()
    STDERR.report = handler.report
    handler.setFormatter(Json() if form == "json" else Text())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logger.setLevel(LEVELS.get(level, logging.WARNING))
    sys.excepthook = _crashed


def fields(record: logging.LogRecord) -> Mapping[str, object]:
    """Named values of an event, passed as `extra={"fields": …}`."""
    found: Mapping[str, object] = getattr(record, "fields", {})
    return found


class Handler(logging.Handler):
    """Logs to stderr without waiting for its reader."""

    def emit(self, record: logging.LogRecord) -> None:
        STDERR.write(self.format(record))

    def report(self, missing: int) -> str:
        """The line that replaces dropped ones."""
        text = "%d lines of the log were dropped because stderr was not read"
        return self.format(logger.makeRecord(logger.name, logging.WARNING, __file__, 0, text, (missing,), None))


class Text(logging.Formatter):
    """A line of text, with a traceback on further, indented lines. Critical events are printed without their level."""

    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno >= logging.CRITICAL else f"{record.levelname}: "
        named = "".join(f" {name}={_plain(value)}" for name, value in fields(record).items())
        lines = [f"pgmq-gateway: {level}{printable(_message(record))}{named}"]
        return "\n".join([*lines, *(f"    {line}" for line in _traceback(record))])


class Json(logging.Formatter):
    """A line of JSON: time (RFC 3339), level, pid, message, the event's fields, and `trace`, a list of lines."""

    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "pid": os.getpid(),
            "message": _message(record),
            **fields(record),
        }
        if trace := list(_traceback(record)):
            event["trace"] = trace
        return json.dumps(event, separators=(",", ":"), default=str)


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    # After the first line, asyncio prints objects, which can contain data of a caller.
    return text.partition("\n")[0] if record.name == "asyncio" else text


def _traceback(record: logging.LogRecord) -> Iterator[str]:
    """An exception's traceback without its message, which can contain data of a caller."""
    error = record.exc_info[1] if record.exc_info else None
    while error is not None:
        yield f"{type(error).__module__}.{type(error).__qualname__}, raised at"
        for frame in traceback.extract_tb(error.__traceback__, limit=-MAX_FRAMES):
            yield f"  {frame.filename}:{frame.lineno} in {frame.name}: {frame.line}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _plain(value: object) -> str:
    text = str(value)
    return text if PLAIN.fullmatch(text) else json.dumps(text)


def printable(text: str) -> str:
    """The text on one line; unprintable characters are escaped as in Python (log injection)."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logger.critical(
        "internal error: %s; please report it with the traceback", kind.__name__, exc_info=(kind, error, trace)
    )
