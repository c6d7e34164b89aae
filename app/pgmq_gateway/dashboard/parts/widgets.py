"""Buttons, fields, copyable code, errors of the API, and other small elements."""

import json
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from pgmq_gateway.dashboard.api import Problem

Kind = Literal["plain", "primary", "danger"]
E = TypeVar("E", bound=ui.element)

Handler = Callable[..., Any]

ERROR_MEMBERS = ("Code", "Message", "Details", "Hint")


def button(text: str, on_click: Handler | None = None, kind: Kind = "plain", icon: str | None = None) -> ui.button:
    made = ui.button(text, on_click=on_click, color=None, icon=icon)
    return made.props("no-caps unelevated dense").classes(f"button {kind}")


def icon_button(icon: str, label: str, on_click: Handler | None = None) -> ui.button:
    """A button with an icon. `label` is its tooltip and its name for screen readers."""
    made = ui.button(icon=icon, on_click=on_click, color=None).props("flat dense").classes("button icon")
    return titled(made, label)


def labelled(element: E, label: str) -> E:
    """Set the name for screen readers. Not with props("…"): there a quote in the label would start another property."""
    element.props["aria-label"] = label
    return element


def titled(element: E, label: str) -> E:
    """Set the tooltip, which is also the name for screen readers."""
    element.props["title"] = label
    return labelled(element, label)


def field(label: str, value: str = "", **more: Any) -> ui.input:  # noqa: ANN401 ui.input's own
    return ui.input(label, value=value, **more).props("outlined dense").classes("field")


def code(text: str, label: str, whole: Callable[[], str] | None = None) -> ui.element:
    """Preformatted text with a copy button. `whole` returns the text to copy, when `text` is an excerpt or masked."""
    with ui.element("div").classes("code") as box:
        with labelled(ui.element("pre").props("tabindex=0 role=region"), label):
            words(text, "code")
        icon_button("content_copy", f"Copy {label}", lambda: copy(whole() if whole else text, label))
    return box


def words(text: str, tag: str = "span") -> TextElement:
    """An HTML element with text, which is never parsed as HTML."""
    return TextElement(tag=tag, text=text)


def heading(text: str, level: int = 2) -> TextElement:
    return words(text, f"h{level}")


def problem(error: Problem, title: str = "") -> ui.element:
    """Code, message, details and hint of an API error."""
    with ui.element("div").classes("stack").props("role=alert") as box:
        if title:
            words(title, "p")
        with ui.element("dl").classes("problem"):
            values = (error.code or str(error.status or ""), error.message, error.details, error.hint)
            for name, value in zip(ERROR_MEMBERS, values, strict=True):
                if value:
                    words(name, "dt")
                    words(value, "dd")
    return box


def badge(text: str, level: Literal["", "good", "warn", "bad"] = "") -> TextElement:
    return words(text).classes(f"badge {level}")


def total(name: str) -> ui.label:
    """The label for one number, within a list (dl) of class `totals`."""
    with ui.element("div").classes("total"):
        words(name, "dt")
        with ui.element("dd"):
            return ui.label("-")


class Failure:
    """A place on the page that shows the latest error, and is hidden without one."""

    def __init__(self) -> None:
        self._place = ui.element("div").classes("stack")
        self.clear()

    def show(self, error: Problem, title: str = "") -> None:
        self.clear()
        self._place.set_visibility(True)
        with self._place:
            problem(error, title)

    def clear(self) -> None:
        self._place.clear()
        self._place.set_visibility(False)


def copy(text: str, label: str) -> None:
    """Write text to the browser's clipboard."""
    ui.run_javascript(f"copyText({json.dumps(text)})")
    ui.notify(f"Copied: {label}", position="bottom", timeout=1500)
