"""Small parts that pages share, in the theme's dress: buttons, fields, copyable code, errors of the API."""

import json
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from pgmq_gateway.dashboard.api import Problem, Row

Kind = Literal["plain", "primary", "danger"]
E = TypeVar("E", bound=ui.element)

Handler = Callable[..., Any]

FACTS = ("Code", "Message", "Details", "Hint")


def button(text: str, on_click: Handler | None = None, kind: Kind = "plain", icon: str | None = None) -> ui.button:
    """A button with words."""
    made = ui.button(text, on_click=on_click, color=None, icon=icon)
    return made.props("no-caps unelevated dense").classes(f"button {kind}")


def icon_button(icon: str, label: str, on_click: Handler | None = None) -> ui.button:
    """A button with a picture; `label` is its tooltip and its name for screen readers."""
    made = ui.button(icon=icon, on_click=on_click, color=None).props("flat dense").classes("button icon")
    return titled(made, label)


def labelled(element: E, label: str) -> E:
    """The element with a name for screen readers. Not by props("…"), where a quote would begin another property."""
    element.props["aria-label"] = label
    return element


def titled(element: E, label: str) -> E:
    """The element with a name for screen readers that is its tooltip too."""
    element.props["title"] = label
    return labelled(element, label)


def field(label: str, value: str = "", **more: Any) -> ui.input:  # noqa: ANN401 ui.input's own
    """A line to type in."""
    return ui.input(label, value=value, **more).props("outlined dense").classes("field")


def code(text: str, label: str, whole: Callable[[], str] | None = None) -> ui.element:
    """Text to copy, as it is. `label` says what it is; `whole` is what is copied, when not all of it is shown."""
    with ui.element("div").classes("code") as box:
        with labelled(ui.element("pre").props("tabindex=0 role=region"), label):
            words(text, "code")
        icon_button("content_copy", f"Copy {label}", lambda: copy(whole() if whole else text, label))
    return box


def words(text: str, tag: str = "span") -> TextElement:
    """Text in an element of HTML, never read as HTML itself."""
    return TextElement(tag=tag, text=text)


def heading(text: str, level: int = 2) -> TextElement:
    """A heading."""
    return words(text, f"h{level}")


def problem(error: Problem, title: str = "") -> ui.element:
    """An error of the API, as it is."""
    with ui.element("div").classes("stack").props("role=alert") as box:
        if title:
            words(title, "p")
        with ui.element("dl").classes("problem"):
            facts = (error.code or str(error.status or ""), error.message, error.details, error.hint)
            for name, value in zip(FACTS, facts, strict=True):
                if value:
                    words(name, "dt")
                    words(value, "dd")
    return box


def badge(text: str, level: Literal["", "good", "warn", "bad"] = "") -> TextElement:
    """A short word in a frame."""
    return words(text).classes(f"badge {level}")


def total(name: str) -> ui.label:
    """The place of one number among those on top of a page, in a list of class `totals`."""
    with ui.element("div").classes("total"):
        words(name, "dt")
        with ui.element("dd"):
            return ui.label("-")


def finding(row: Row, address: str | None = None) -> None:
    """What the lint has found, as it says it; `address` leads to the queue that it is about."""
    with ui.element("p").classes("notice"):
        words(f"{row['level']}: ").classes("level")
        if address is not None:
            ui.link(row["queue_name"], address)
            words(": ")
        words(f"{row['message']} {row.get('hint') or ''}")


def moment(iso: str | None) -> ui.element:
    """A time as Postgres writes it, in the browser's zone and words; the tooltip has it in UTC."""
    place = ui.element("time").classes("number")
    if iso is not None:
        place.props["datetime"] = iso
        place.props[":textContent"] = f"new Date({json.dumps(iso)}).toLocaleString()"
        place.props[":title"] = f"new Date({json.dumps(iso)}).toISOString()"
    return place


class Failure:
    """A place for the latest error of what a person has asked for."""

    def __init__(self) -> None:
        self._place = ui.element("div").classes("stack")
        self.clear()

    def show(self, error: Problem, title: str = "") -> None:
        """Put the error there, in place of another."""
        self.clear()
        self._place.set_visibility(True)
        with self._place:
            problem(error, title)

    def clear(self) -> None:
        """No error."""
        self._place.clear()
        self._place.set_visibility(False)


def copy(text: str, label: str) -> None:
    """Put text on the clipboard of the person."""
    ui.run_javascript(f"copyText({json.dumps(text)})")
    ui.notify(f"Copied: {label}", position="bottom", timeout=1500)
