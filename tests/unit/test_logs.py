"""The format of the log: one line for each event, no log injection, no data of callers."""

import json
import logging
import sys
from collections.abc import Callable

import pytest

from pgmq_gateway.observe.logs import Json, Text
from pgmq_gateway.observe.output import STDERR

CANARY = "canary-4e1f"

Event = Callable[..., logging.LogRecord]


@pytest.fixture
def event() -> Event:
    """event("…", name=…): a record of the log."""

    def make(message: str, *arguments: object, level: int = logging.WARNING, **more: object) -> logging.LogRecord:
        name = str(more.pop("name", "pgmq_gateway"))
        record = logging.LogRecord(name, level, __file__, 1, message, arguments, None)
        record.__dict__.update(more)
        return record

    return make


def failure() -> ValueError:
    """An exception with a cause, both with data of a caller in their messages."""
    known: dict[str, str] = {}
    failed = ValueError(f"cannot read {CANARY}")
    try:
        try:
            known[CANARY]
        except KeyError as error:
            raise failed from error
    except ValueError as error:
        return error
    return failed


def test_text_is_one_line_for_any_content(event: Event) -> None:
    line = Text().format(event("no %s", "a\nforged\r\x1b[31m\u2028line", fields={"path": 'a "b\n', "status": 200}))
    assert line == (r"pgmq-gateway: WARNING: no a\nforged\r\x1b[31m\u2028line" + r' path="a \"b\n" status=200')


def test_critical_events_are_printed_without_their_level(event: Event) -> None:
    assert Text().format(event("the port is taken", level=logging.CRITICAL)) == "pgmq-gateway: the port is taken"


def test_json_is_an_object_a_line(event: Event) -> None:
    line = Json().format(event("no %s", "a\nb\u2028", fields={"status": 200}))
    assert "\n" not in line
    found = json.loads(line)
    assert found.pop("time").endswith("+00:00")
    assert found.pop("pid") > 0
    assert found == {"level": "warning", "message": "no a\nb\u2028", "status": 200}


@pytest.mark.parametrize("form", [Text(), Json()])
def test_a35_a_traceback_says_where_and_not_with_what(event: Event, form: logging.Formatter) -> None:
    error = failure()
    told = form.format(event("failed", exc_info=(type(error), error, error.__traceback__)))
    assert CANARY not in told
    for expected in ("builtins.ValueError", "builtins.KeyError", "test_logs.py", "in failure"):
        assert expected in told
    assert all(line.startswith("    ") for line in told.splitlines()[1:])


@pytest.mark.parametrize("form", [Text(), Json()])
def test_a35_what_asyncio_says_of_the_objects_in_question_is_left_out(event: Event, form: logging.Formatter) -> None:
    told = form.format(event(f"Task exception was never retrieved\nfuture: {failure()!r}", name="asyncio"))
    assert "never retrieved" in told
    assert CANARY not in told


def test_a_crash_is_logged(capfd: pytest.CaptureFixture[str]) -> None:
    before = sys.excepthook, logging.root.handlers[:], logging.getLogger("pgmq_gateway").level
    try:
        from pgmq_gateway.observe import logs

        logs.configure("error", "json")
        error = failure()
        sys.excepthook(type(error), error, error.__traceback__)
        assert STDERR.flush()
    finally:
        sys.excepthook, logging.root.handlers[:] = before[0], before[1]
        logging.getLogger("pgmq_gateway").setLevel(before[2])
    found = json.loads(capfd.readouterr().err)
    assert (found["level"], CANARY in str(found)) == ("critical", False)
