"""A JSON viewer with folding, which shows numbers with all the digits that Postgres has."""

import json
import re
from collections.abc import Iterator
from typing import Any

from nicegui import ui
from nicegui.element import Element

from pgmq_gateway.dashboard.parts.widgets import copy, icon_button, words

# Longer texts are shown without folding.
MAX_LINES = 4000
# Invisible characters, and bidirectional controls, which can disguise text (CVE-2021-42574): shown as escapes.
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\x7f-\x9f]")

Line = list[object]


class Number(str):
    """A number as it was written."""

    __slots__ = ()


class JsonView(Element, component="../static/json_view.js"):
    """Lines of JSON, in which objects and arrays can be folded. Text is never parsed as HTML."""

    def __init__(self, lines: list[Line], label: str) -> None:
        super().__init__()
        self._props["lines"] = lines
        self._props["label"] = label


def viewer(text: str, label: str) -> None:
    with ui.element("div").classes("code"):
        shown = lines(text)
        if shown is None:
            with ui.element("pre").props(f'tabindex=0 role=region aria-label="{label}"').classes("plain"):
                words(INVISIBLE.sub(_code, text), "code")
        else:
            JsonView(shown, label)
        icon_button("content_copy", f"Copy {label}", lambda: copy(pretty(text), label))


def lines(text: str) -> list[Line] | None:
    """(depth, member's name, text, kind, number of lines to fold) of each line; None when there are too many."""
    try:
        made = list(_value(_read(text), 0, "", ""))
    except RecursionError:
        return None
    return made if len(made) <= MAX_LINES else None


def pretty(text: str) -> str:
    """JSON on several lines, with the numbers' own digits. Invalid JSON is returned unchanged."""
    try:
        return "\n".join(
            f"{'  ' * int(str(depth))}{name}{shown}" for depth, name, shown, *_ in _value(_read(text), 0, "", "")
        )
    except (ValueError, RecursionError):
        return text


def _read(text: str) -> object:
    value: object = json.loads(text, parse_int=Number, parse_float=Number)
    return value


def _value(value: Any, depth: int, name: str, comma: str) -> Iterator[Line]:  # noqa: ANN401 any JSON
    if isinstance(value, Number):
        yield [depth, name, f"{value}{comma}", "number", 0]
    elif isinstance(value, str):
        yield [depth, name, f"{_quoted(value)}{comma}", "string", 0]
    elif isinstance(value, dict | list) and value:
        yield from _members(value, depth, name, comma)
    else:
        yield [depth, name, f"{json.dumps(value)}{comma}", "word", 0]


def _members(value: dict[str, Any] | list[Any], depth: int, name: str, comma: str) -> Iterator[Line]:
    first, last = "{}" if isinstance(value, dict) else "[]"
    members = (
        [(f"{_quoted(key)}: ", member) for key, member in value.items()]
        if isinstance(value, dict)
        else [("", member) for member in value]
    )
    within: list[Line] = []
    for place, (key, member) in enumerate(members, 1):
        within += _value(member, depth + 1, key, "," if place < len(members) else "")
    yield [depth, name, first, "open", len(within) + 1]
    yield from within
    yield [depth, "", f"{last}{comma}", "close", 0]


def _quoted(text: str) -> str:
    return INVISIBLE.sub(_code, json.dumps(text, ensure_ascii=False))


def _code(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
