"""The filter above the messages."""

import json
from collections import defaultdict
from collections.abc import Awaitable, Callable

from nicegui import ui

from pgmq_gateway import strictjson
from pgmq_gateway.dashboard.parts.widgets import button, field
from pgmq_gateway.dashboard.queue.moments import instant, time_field

STATES = {"": "Any state", "visible": "Visible", "delayed": "Delayed", "in_flight": "In flight"}
ARCHIVED = {"state": "archived"}


class Filters:
    """Fields that make one filter. `changed` is awaited when it has changed, and all fields can be read."""

    def __init__(self, changed: Callable[[], Awaitable[None]]) -> None:
        self._changed = changed
        self._archived = False
        self.chosen: dict[str, object] = {}
        with ui.element("form").classes("filters").props('aria-label="Filter" role=search') as form:
            self._state = ui.select(STATES, value="", label="State").props("outlined dense options-dense")
            ids = field("Ids", validation=_wrong_ids).props('placeholder="1, 5, 9" inputmode=numeric')
            contains = field("Payload contains", validation=_wrong_json).props("placeholder='{\"user\": 7}'")
            self._more = button("More filters", self._toggle, icon="tune").props("type=button aria-expanded=false")
            self._clear = button("Clear", self.clear).props("type=button")
            self._others = ui.element("div").classes("more filters")
        form.on("submit.prevent", self._apply)
        self._others.set_visibility(False)
        self._clear.set_visibility(False)
        self._texts: dict[str, ui.input] = {}
        self._add(ids=ids, contains=contains)
        self._state.on_value_change(self._apply)

    def _add(self, **places: ui.input) -> None:
        """Fields, by what they are to a filter."""
        self._texts |= places
        for place in places.values():
            place.props("stack-label hide-bottom-space autocomplete=off spellcheck=false debounce=350")
            place.on_value_change(self._apply)

    def _add_others(self) -> None:
        with self._others:
            self._add(
                path=field("Payload path").props("placeholder='$.amount > 100'"),
                headers=field("Headers contain", validation=_wrong_json).props("placeholder='{\"trace\": 1}'"),
                after=time_field("Sent from"),
                before=time_field("Sent before"),
                least=field("Reads, at least", validation=_wrong_number).props("inputmode=numeric"),
                most=field("Reads, at most", validation=_wrong_number).props("inputmode=numeric"),
            )

    def of_archive(self, archived: bool) -> None:
        """Whether this is about the archive, whose messages have but one state."""
        self._archived = archived
        self._state.set_visibility(not archived)
        self.chosen = self._whole({name: value for name, value in self.chosen.items() if name != "state"})

    @property
    def described(self) -> str:
        """What it says, in words."""
        said = [f"{name} {json.dumps(value, ensure_ascii=False)}" for name, value in self.chosen.items()]
        return ", ".join(said).replace("_", " ")

    @property
    def empty(self) -> bool:
        """Whether all messages match."""
        return not self.chosen or self.chosen == ARCHIVED

    async def clear(self) -> None:
        """Match all."""
        self._state.value = ""
        for place in self._texts.values():
            place.value = ""
        await self._apply()

    def _toggle(self) -> None:
        if "path" not in self._texts:
            self._add_others()
        self._others.set_visibility(not self._others.visible)
        self._more.props(f"aria-expanded={str(self._others.visible).lower()}")

    async def _apply(self) -> None:
        if not all(place.validate() for place in self._texts.values()):
            return
        made = self._whole(await self._read())
        if made == self.chosen:
            return
        self.chosen = made
        self._clear.set_visibility(not self.empty)
        await self._changed()

    def _whole(self, made: dict[str, object]) -> dict[str, object]:
        if self._archived:
            return {**made, **ARCHIVED}
        return {**({"state": self._state.value} if self._state.value else {}), **made}

    async def _read(self) -> dict[str, object]:
        typed = defaultdict(str, {name: place.value for name, place in self._texts.items()})
        values = {
            "msg_ids": [int(word) for word in _words(typed["ids"])],
            "contains": _json(typed["contains"]),
            "path": typed["path"],
            "headers_contain": _json(typed["headers"]),
            "sent_after": await instant(typed["after"]),
            "sent_before": await instant(typed["before"]),
            "min_read_ct": _number(typed["least"]),
            "max_read_ct": _number(typed["most"]),
        }
        return {name: value for name, value in values.items() if value is not None and value not in ("", [])}


def _words(text: str) -> list[str]:
    return (text or "").replace(",", " ").split()


def _json(text: str) -> object:
    return strictjson.loads(text) if (text or "").strip() else None


def _number(text: str) -> int | None:
    return int(text) if (text or "").strip() else None


def _wrong_ids(text: str) -> str | None:
    return None if all(word.isdecimal() for word in _words(text)) else "Numbers, with commas between them."


def _wrong_number(text: str) -> str | None:
    return None if not text or text.strip().isdecimal() else "A whole number."


def _wrong_json(text: str) -> str | None:
    try:
        _json(text)
    except (ValueError, RecursionError) as error:
        return f"No JSON: {error}"
    return None
