"""The filter above the messages."""

import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from pgmq_gateway import strictjson
from pgmq_gateway.dashboard.parts.widgets import button, field
from pgmq_gateway.dashboard.queue import headers
from pgmq_gateway.dashboard.queue.moments import instant, time_field
from pgmq_gateway.dashboard.queue.views import LETTERS, MESSAGES, View

REASONS = {"": "Any reason", **headers.REASONS}
STATES = {"": "Any state", "visible": "Visible", "delayed": "Delayed", "in_flight": "In flight", "parked": "Parked"}


class Filters:
    """The fields of a filter, and its value. `changed` is awaited when all fields are valid and the value differs."""

    def __init__(self, changed: Callable[[], Awaitable[None]], view: View) -> None:
        self._changed = changed
        self.value: dict[str, object] = {}
        with ui.element("form").classes("filters").props('aria-label="Filter" role=search') as form:
            self._state = ui.select(STATES, value="", label="State").props("outlined dense options-dense")
            self._reason = ui.select(REASONS, value="", label="Reason").props("outlined dense options-dense")
            self._origin = ui.select({"": "Any queue"}, value="", label="Origin").props("outlined dense options-dense")
            ids = field("Ids", validation=_ids_error).props('placeholder="1, 5, 9" inputmode=numeric')
            contains = field("Payload contains").props("placeholder='word or {\"user\": 7}'").classes("long")
            self._more = button("More filters", self._toggle, icon="tune").props("type=button aria-expanded=false")
            self._clear = button("Clear", self.clear).props("type=button")
            self._others = ui.element("div").classes("more filters")
        form.on("submit.prevent", self._apply)
        self._others.set_visibility(False)
        self._clear.set_visibility(False)
        self._texts: dict[str, ui.input] = {}
        self._add_fields(ids=ids, contains=contains)
        for select in (self._state, self._reason, self._origin):
            select.on_value_change(self._apply)
        self.show(view)

    def _add_fields(self, **places: ui.input) -> None:
        self._texts |= places
        for place in places.values():
            place.props("stack-label hide-bottom-space autocomplete=off spellcheck=false debounce=350")
            place.on_value_change(self._apply)

    def _add_others(self) -> None:
        with self._others:
            self._add_fields(
                path=field("Payload path").props("placeholder='$.amount > 100'"),
                headers=field("Headers contain", validation=_json_error).props("placeholder='{\"trace\": 1}'"),
                after=time_field("Sent at or after"),
                before=time_field("Sent before"),
                min_reads=field("Min. reads", validation=_number_error).props("inputmode=numeric"),
                max_reads=field("Max. reads", validation=_number_error).props("inputmode=numeric"),
                group=field("Group"),
            )

    def show(self, view: View) -> None:
        """Filter the messages of a view. The fields keep their values."""
        self._view = view
        self._state.set_visibility(view is MESSAGES)
        for select in (self._reason, self._origin):
            select.set_visibility(view is LETTERS)
        others = {name: value for name, value in self.value.items() if name not in ("state", "dead")}
        self.value = {**others, **self._of_view()}

    def offer(self, origins: Sequence[str]) -> None:
        """Let the user select one of these queues as origin."""
        options = {"": "Any queue", **{name: name for name in origins}}
        if options != self._origin.options and self._origin.value in options:
            self._origin.set_options(options)

    @property
    def described(self) -> str:
        """The filter in words; empty when all messages of the view match."""
        if self.empty:
            return ""
        conditions = (f"{name} {json.dumps(value, ensure_ascii=False)}" for name, value in self.value.items())
        return ", ".join(conditions).replace("_", " ")

    @property
    def empty(self) -> bool:
        """All messages match."""
        return self.value == self._view.filter

    async def clear(self) -> None:
        self._state.value = self._reason.value = self._origin.value = ""
        for place in self._texts.values():
            place.value = ""
        await self._apply()

    async def show_group(self, name: str) -> None:
        """Filter by a group alone."""
        if not self._others.visible:
            self._toggle()
        self._state.value = ""
        for member, place in self._texts.items():
            place.value = name if member == "group" else ""
        await self._apply()

    def _toggle(self) -> None:
        if "path" not in self._texts:
            self._add_others()
        self._others.set_visibility(not self._others.visible)
        self._more.props(f"aria-expanded={str(self._others.visible).lower()}")

    async def _apply(self) -> None:
        if not all(place.validate() for place in self._texts.values()):
            return
        value = {**self._of_view(), **await self._typed()}
        if value == self.value:
            return
        self.value = value
        self._clear.set_visibility(not self.empty)
        await self._changed()

    def _of_view(self) -> dict[str, object]:
        """The conditions that other views do not have."""
        if self._view is MESSAGES:
            return {"state": self._state.value} if self._state.value else {}
        if self._view is LETTERS:
            # The header has the name in lower case.
            wanted = {"reason": self._reason.value, "queue": self._origin.value.lower()}
            return {"dead": {name: value for name, value in wanted.items() if value}}
        return dict(self._view.filter)

    async def _typed(self) -> dict[str, object]:
        typed = defaultdict(str, {name: place.value for name, place in self._texts.items()})
        values = {
            "msg_ids": [int(word) for word in _words(typed["ids"])],
            **_search(typed["contains"]),
            "path": typed["path"],
            "group": typed["group"],
            "headers_contain": _json(typed["headers"]),
            "sent_after": await instant(typed["after"]),
            "sent_before": await instant(typed["before"]),
            "min_read_ct": _number(typed["min_reads"]),
            "max_read_ct": _number(typed["max_reads"]),
        }
        return {name: value for name, value in values.items() if value is not None and value not in ("", [])}


def _search(text: str) -> dict[str, object]:
    """The condition on the payload: JSON contains an object, array or quoted string; other words are text."""
    text = (text or "").strip()
    try:
        value = _json(text)
    except (ValueError, RecursionError):
        value = None
    return {"contains": value} if isinstance(value, (dict, list, str)) else {"text": text}


def _words(text: str) -> list[str]:
    return (text or "").replace(",", " ").split()


def _json(text: str) -> object:
    return strictjson.loads(text) if (text or "").strip() else None


def _number(text: str) -> int | None:
    return int(text) if (text or "").strip() else None


def _ids_error(text: str) -> str | None:
    return None if all(word.isdecimal() for word in _words(text)) else "Enter ids separated by commas."


def _number_error(text: str) -> str | None:
    return None if not text or text.strip().isdecimal() else "Enter a whole number."


def _json_error(text: str) -> str | None:
    try:
        _json(text)
    except (ValueError, RecursionError):
        return 'Enter JSON, such as {"trace": 1}.'
    return None
