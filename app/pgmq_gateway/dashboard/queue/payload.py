"""A JSON viewer with folding, which shows numbers with all the digits that Postgres has."""

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from nicegui import ui
from nicegui.element import Element

from pgmq_gateway.dashboard.parts.widgets import copy, icon_button, words
from pgmq_gateway.dashboard.queue.conditions import equality
from pgmq_gateway.dashboard.queue.images import image_type

# Longer texts are shown without folding.
MAX_LINES = 4000
# Invisible characters, and bidirectional controls, which can disguise text (CVE-2021-42574): shown as escapes.
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\x7f-\x9f]")

Line = list[object]
# Names of members, from the outermost; None within an array of an array, which no condition searches.
Path = tuple[str, ...] | None
Filter = Callable[[str], Awaitable[None]]


class Number(str):
    """A number as it was written."""

    __slots__ = ()


class JsonView(Element, component="../static/json_view.js"):
    """Lines of JSON, in which objects and arrays can be folded. Text is never parsed as HTML.

    filter  called with the condition that a value of the payload equals; None: values are not clickable
    """

    def __init__(self, lines: list[Line], label: str, filter: Filter | None) -> None:
        super().__init__()
        self._props["lines"] = lines
        self._props["label"] = label
        self._props["filters"] = filter is not None
        if filter is not None:
            self.on("filter", lambda event: filter(str(event.args)))


def viewer(text: str, label: str, filter: Filter | None = None) -> None:
    with ui.element("div").classes("code"):
        shown = lines(text)
        if shown is None:
            with ui.element("pre").props(f'tabindex=0 role=region aria-label="{label}"').classes("plain"):
                words(INVISIBLE.sub(_code, text), "code")
        else:
            JsonView(shown, label, filter)
        icon_button("content_copy", f"Copy {label}", lambda: copy(pretty(text), label))


def lines(text: str) -> list[Line] | None:
    """The lines; None when there are too many.

    Each is depth, member's name, text, kind and number of lines to fold; a value's also has the condition that the
    field equals it, and the type of the image that it contains, both empty if there is none.
    """
    try:
        made = list(_value(_read(text), 0, "", "", ()))
    except RecursionError:
        return None
    return made if len(made) <= MAX_LINES else None


def pretty(text: str) -> str:
    """JSON on several lines, with the numbers' own digits. Invalid JSON is returned unchanged."""
    try:
        return "\n".join(
            f"{'  ' * int(str(depth))}{name}{shown}" for depth, name, shown, *_ in _value(_read(text), 0, "", "", ())
        )
    except (ValueError, RecursionError):
        return text


def _read(text: str) -> object:
    value: object = json.loads(text, parse_int=Number, parse_float=Number)
    return value


def _value(value: Any, depth: int, name: str, comma: str, path: Path) -> Iterator[Line]:  # noqa: ANN401 any JSON
    if isinstance(value, Number):
        yield [depth, name, f"{value}{comma}", "number", 0, equality(path, value, "number"), ""]
    elif isinstance(value, str):
        yield [depth, name, f"{_quoted(value)}{comma}", "string", 0, equality(path, value, "string"), image_type(value)]
    elif isinstance(value, dict | list) and value:
        yield from _members(value, depth, name, comma, path)
    else:
        text = json.dumps(value)
        yield [
            depth,
            name,
            f"{text}{comma}",
            "word",
            0,
            "" if text in ("{}", "[]") else equality(path, text, "word"),
            "",
        ]


def _members(value: dict[str, Any] | list[Any], depth: int, name: str, comma: str, path: Path) -> Iterator[Line]:
    first, last = "{}" if isinstance(value, dict) else "[]"
    # The path of an array's items is its own: conditions search them all.
    members = (
        [(f"{_quoted(key)}: ", member, None if path is None else (*path, key)) for key, member in value.items()]
        if isinstance(value, dict)
        else [("", member, None if isinstance(member, list) else path) for member in value]
    )
    within: list[Line] = []
    for place, (key, member, inner) in enumerate(members, 1):
        within += _value(member, depth + 1, key, "," if place < len(members) else "", inner)
    yield [depth, name, first, "open", len(within) + 1, "", ""]
    yield from within
    yield [depth, "", f"{last}{comma}", "close", 0, "", ""]


def _quoted(text: str) -> str:
    return INVISIBLE.sub(_code, json.dumps(text, ensure_ascii=False))


def _code(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
