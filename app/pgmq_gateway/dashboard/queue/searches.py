"""Searches: the texts of the filter's fields, and the filter of the API that they amount to."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from pgmq_gateway import strictjson
from pgmq_gateway.dashboard.queue import headers
from pgmq_gateway.dashboard.queue.conditions import condition
from pgmq_gateway.dashboard.queue.views import LETTERS, MESSAGES, View

REASONS = {"": "Any reason", **headers.REASONS}
STATES = {"": "Any state", "visible": "Visible", "delayed": "Delayed", "in_flight": "In flight", "parked": "Parked"}

# By the names of fields, which the URL has too. Times are in UTC.
Texts = Mapping[str, str]


def words_of(text: str) -> list[str]:
    return (text or "").replace(",", " ").split()


def ids_error(text: str) -> str | None:
    return None if all(word.isdecimal() for word in words_of(text)) else "Enter ids separated by commas."


def number_error(text: str) -> str | None:
    return None if not text or text.strip().isdecimal() else "Enter a whole number."


def json_error(text: str) -> str | None:
    try:
        _json(text)
    except (ValueError, RecursionError):
        return 'Enter JSON, such as {"trace": 1}.'
    return None


def _time_error(text: str) -> str | None:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return "Enter a time."
    return None


def _choice(options: Mapping[str, str]) -> Callable[[str], str | None]:
    return lambda text: None if text in options else "Select an option."


def _any(_: str) -> None:
    return None


# The error in a field's text.
FIELDS: Mapping[str, Callable[[str], str | None]] = {
    "state": _choice(STATES),
    "reason": _choice(REASONS),
    "origin": _any,
    "search": _any,
    "ids": ids_error,
    "path": _any,
    "headers": json_error,
    "sent_after": _time_error,
    "sent_before": _time_error,
    "min_reads": number_error,
    "max_reads": number_error,
    "group": _any,
}


def filter_of(view: View, texts: Texts, where: Sequence[str]) -> dict[str, object]:
    """The filter of the API. `where`: the conditions on fields."""
    given = {name: texts.get(name) or "" for name in FIELDS}
    values = {
        "msg_ids": [int(word) for word in words_of(given["ids"])],
        **_search(given["search"]),
        "path": _path(given["path"], where),
        "group": given["group"],
        "headers_contain": _json(given["headers"]),
        "sent_after": given["sent_after"],
        "sent_before": given["sent_before"],
        "min_read_ct": _number(given["min_reads"]),
        "max_read_ct": _number(given["max_reads"]),
    }
    typed = {name: value for name, value in values.items() if value is not None and value not in ("", [])}
    return {**_of_view(view, given), **typed}


def described(texts: Texts, where: Sequence[str]) -> str:
    """The filter in words."""
    return ", ".join([*(f"{name.replace('_', ' ')} {text}" for name, text in texts.items() if text), *where])


def _of_view(view: View, given: Texts) -> dict[str, object]:
    """The conditions that other views do not have."""
    if view is MESSAGES:
        return {"state": given["state"]} if given["state"] else {}
    if view is LETTERS:
        # The header has the name in lower case.
        wanted = {"reason": given["reason"], "queue": given["origin"].lower()}
        return {"dead": {name: value for name, value in wanted.items() if value}}
    return dict(view.filter)


def _path(path: str, where: Sequence[str]) -> str:
    """A path alone may be any expression; beside conditions it must be a predicate."""
    conditions = [found.path for text in where if (found := condition(text))]
    return " && ".join([*conditions, f"({path})"] if path else conditions) if conditions else path


def _search(text: str) -> dict[str, object]:
    """The condition on the payload: JSON contains an object, array or quoted string; other words are text."""
    text = text.strip()
    try:
        value = _json(text)
    except (ValueError, RecursionError):
        value = None
    return {"contains": value} if isinstance(value, (dict, list, str)) else {"text": text}


def _json(text: str) -> object:
    return strictjson.loads(text) if (text or "").strip() else None


def _number(text: str) -> int | None:
    return int(text) if text.strip() else None
