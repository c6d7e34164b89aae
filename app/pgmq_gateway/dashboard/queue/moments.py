"""Times between the person's clock and the API's."""

import json

from nicegui import ui
from nicegui.element import Element

from pgmq_gateway.dashboard.parts.widgets import field


class Moment(Element, component="../static/moment.js"):
    """A time; kind: local and utc write it out, left says how far it is from now, and counts."""

    def __init__(self, at: str, kind: str) -> None:
        super().__init__()
        self._props["at"] = at
        self._props["kind"] = kind


def time_field(label: str) -> ui.input:
    """A time to choose, in the person's zone."""
    return field(label).props("type=datetime-local step=1 stack-label")


async def instant(text: str) -> str | None:
    """What a time field says, as the API takes it; None when it says nothing. The browser knows the zone."""
    if not text:
        return None
    code = f"(time => isNaN(time) ? null : time.toISOString())(new Date({json.dumps(text)}))"
    found: str | None = await ui.run_javascript(code)
    return found
