"""How the gateway's processes write their logs: one line for each event, and in no line what a caller has sent."""

import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import TracebackType

# PostgREST's names.
LEVELS = {
    "crit": logging.CRITICAL,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}
# Frames of a traceback that are told: those next to the fault.
MOST_FRAMES = 20
# What needs no quotes behind `name=`.
PLAIN = re.compile(r"[!#-<>-~]+")

logger = logging.getLogger("pgmq_gateway")


def configure(level: str, form: str) -> None:
    """Write logs to stderr from now on.

    level  one of LEVELS, for the gateway's own events; of its libraries, warnings and errors are told
    form   `json`: an object a line; else text
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if form == "json" else Text())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logger.setLevel(LEVELS.get(level, logging.WARNING))
    sys.excepthook = _crashed


def fields(record: logging.LogRecord) -> Mapping[str, object]:
    """What an event has besides its message: the `extra` of this name."""
    found: Mapping[str, object] = getattr(record, "fields", {})
    return found


class Text(logging.Formatter):
    """A line of text. A traceback follows on lines of its own, indented; what ends the program needs no level."""

    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno >= logging.CRITICAL else f"{record.levelname}: "
        named = "".join(f" {name}={_plain(value)}" for name, value in fields(record).items())
        lines = [f"pgmq-gateway: {level}{_printable(_message(record))}{named}"]
        return "\n".join([*lines, *(f"    {line}" for line in _story(record))])


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
        if story := list(_story(record)):
            event["trace"] = story
        return json.dumps(event, separators=(",", ":"), default=str)


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    # Behind the first line, asyncio shows the objects in question, which may hold what a caller sent.
    return text.partition("\n")[0] if record.name == "asyncio" else text


def _story(record: logging.LogRecord) -> Iterator[str]:
    """How an exception came about, without its text: a driver's or a decoder's may show what a caller sent."""
    error = record.exc_info[1] if record.exc_info else None
    while error is not None:
        yield f"{type(error).__module__}.{type(error).__qualname__}, raised at"
        for frame in traceback.extract_tb(error.__traceback__, limit=-MOST_FRAMES):
            yield f"  {frame.filename}:{frame.lineno} in {frame.name}: {frame.line}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _plain(value: object) -> str:
    text = str(value)
    return text if PLAIN.fullmatch(text) else json.dumps(text)


def _printable(text: str) -> str:
    """One line, whatever a stranger put into it: what cannot be printed is escaped as in Python."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logger.critical("this should not have happened: %s", kind.__name__, exc_info=(kind, error, trace))
