"""Times in the browser's zone, converted from and to the API's."""

import json

from nicegui import ui
from nicegui.element import Element

from pgmq_gateway.dashboard.parts.widgets import field


class Moment(Element, component="../static/moment.js"):
    """A time. `kind` is local, utc, or relative: the time from now, which is updated every second."""

    def __init__(self, at: str, kind: str) -> None:
        super().__init__()
        self._props["at"] = at
        self._props["kind"] = kind


def time_field(label: str) -> ui.input:
    """A date and time input, in the browser's zone."""
    return field(label).props("type=datetime-local step=1 stack-label")


async def local(at: str) -> str:
    """The text of a time field for an instant, in the browser's zone."""
    text: str = await ui.run_javascript(f"localTime({json.dumps(at)})")
    return text.replace(" ", "T")


async def instant(text: str) -> str | None:
    """The value of a time field in UTC (ISO 8601), converted by the browser; None when it is empty."""
    if not text:
        return None
    code = f"(time => isNaN(time) ? null : time.toISOString())(new Date({json.dumps(text)}))"
    found: str | None = await ui.run_javascript(code)
    return found
