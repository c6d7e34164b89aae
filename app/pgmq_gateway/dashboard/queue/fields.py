"""Fields for the arguments of actions."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from nicegui import ui

from pgmq_gateway.dashboard.parts.widgets import button, field
from pgmq_gateway.dashboard.queue.moments import instant, time_field

DELAYS = {60: "1 min", 300: "5 min", 900: "15 min", 3600: "1 h", 86400: "1 day"}
MIN_PER_SECOND, MAX_PER_SECOND = 0.001, 1e6


class Delay:
    """Fields for a delay: a number of seconds, or a time."""

    def __init__(self) -> None:
        with ui.element("div").classes("row-of").props('role=group aria-label="From now"'):
            for seconds, label in DELAYS.items():
                button(label, lambda seconds=seconds: self._preset(seconds))
        with ui.element("div").classes("fields"):
            self._seconds = field("Seconds from now", "60", validation=_seconds_error)
            self._until = time_field("Or until")
        self._seconds.props("hide-bottom-space inputmode=numeric autofocus autocomplete=off")

    def _preset(self, seconds: int) -> None:
        self._seconds.value, self._until.value = str(seconds), ""

    async def arguments(self, *, by_filter: bool) -> Mapping[str, object] | None:
        """The arguments of postpone, or of apply, which takes seconds only; None when a field is invalid."""
        until = await instant(self._until.value)
        if until and by_filter:
            left = (datetime.fromisoformat(until) - datetime.now(UTC)).total_seconds()
            return {"seconds": max(0, math.ceil(left))}
        if until:
            return {"until": until}
        return {"seconds": int(self._seconds.value)} if self._seconds.validate() else None


def _seconds_error(text: str) -> str | None:
    return None if (text or "").strip().isdecimal() else "Enter a whole number of seconds."


def queue_select(others: Sequence[str]) -> ui.select:
    def error(value: str | None) -> str | None:
        return None if value else "Select a queue."

    select = ui.select(list(others), label="To queue", with_input=True, validation=error)
    select.props("outlined dense options-dense autofocus").without_auto_validation()
    return select.on_value_change(lambda: select.validate())


def origin_select(others: Sequence[str]) -> ui.select:
    """The queue to redrive to; empty: the one that each letter came from."""
    options = {"": "The queues they came from", **{name: name for name in others}}
    return ui.select(options, value="", label="To queue").props("outlined dense options-dense")


def rate_field() -> ui.input:
    """A number of messages per second. Empty: all at once."""
    made = field("Messages per second", validation=_rate_error).props("stack-label placeholder='all at once'")
    return made.props("hide-bottom-space inputmode=decimal autocomplete=off")


def rate(text: str) -> float | None:
    return float(text) if (text or "").strip() else None


def _rate_error(text: str) -> str | None:
    try:
        value = rate(text)
    except ValueError:
        value = math.nan
    return (
        None
        if value is None or MIN_PER_SECOND <= value <= MAX_PER_SECOND
        else "Enter a number from 0.001 to 1,000,000."
    )
