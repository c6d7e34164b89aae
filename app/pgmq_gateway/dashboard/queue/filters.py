"""The filter above the messages: a search, conditions on fields, and further fields."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nicegui import background_tasks, ui
from nicegui.elements.mixins.value_element import ValueElement

from pgmq_gateway.dashboard.parts.widgets import button, field, titled, words
from pgmq_gateway.dashboard.queue.conditions import OPERATORS, condition
from pgmq_gateway.dashboard.queue.location import Location
from pgmq_gateway.dashboard.queue.moments import instant, local, time_field
from pgmq_gateway.dashboard.queue.searches import (
    REASONS,
    STATES,
    Texts,
    described,
    filter_of,
    ids_error,
    json_error,
    number_error,
)
from pgmq_gateway.dashboard.queue.views import LETTERS, MESSAGES

TIMES = ("sent_after", "sent_before")
OTHERS = ("ids", "path", "headers", *TIMES, "min_reads", "max_reads", "group")

# Awaited with the texts of the fields and the conditions.
Changed = Callable[[Texts, Sequence[str]], Awaitable[None]]


class Filters:
    """The fields. `changed` is awaited when all are valid and one differs."""

    def __init__(self, changed: Changed, location: Location) -> None:
        self._changed = changed
        self._fields: dict[str, ValueElement[Any]] = {}
        # By field of a time: its text in the browser's zone, and the instant.
        self._instants: dict[str, tuple[str, str]] = {}
        self._silent = False
        with ui.element("form").classes("filters").props('aria-label="Filter" role=search') as form:
            for name, options in (("state", STATES), ("reason", REASONS), ("origin", {"": "Any queue"})):
                self._add(name, ui.select(options, value="", label=name.capitalize()).props("options-dense"))
            search = field("Search").props("placeholder='word or {\"user\": 7}'").classes("long")
            self._add("search", search.props('clearable aria-label="Search payloads"'))
            self._condition = button("Add condition", self._show_builder, icon="add").props("type=button")
            self._more = button("More filters", self._toggle, icon="tune").props("type=button aria-expanded=false")
            self._clear = button("Clear", self.clear).props("type=button")
            self._builder = Builder(self.add)
            self._chips = ui.element("div").classes("row-of chips").props('role=group aria-label="Conditions"')
            self._others = ui.element("div").classes("more filters")
        form.on("submit.prevent", self._apply)
        self._others.set_visibility(False)
        self.show(location)

    def _add(self, name: str, made: ValueElement[Any]) -> None:
        made.props("outlined dense stack-label hide-bottom-space")
        if isinstance(made, ui.input):
            made.props("autocomplete=off spellcheck=false debounce=350")
        made.on_value_change(lambda: None if self._silent else self._apply())
        self._fields[name] = made

    def _add_others(self) -> None:
        with self._others:
            self._add("ids", field("Ids", validation=ids_error).props('placeholder="1, 5, 9"'))
            self._add("path", field("Payload path").props("placeholder='$.amount > 100'"))
            self._add("headers", field("Headers contain", validation=json_error).props("placeholder='{\"trace\": 1}'"))
            self._add("sent_after", time_field("Sent at or after"))
            self._add("sent_before", time_field("Sent before"))
            self._add("min_reads", field("Min. reads", validation=number_error).props("inputmode=numeric"))
            self._add("max_reads", field("Max. reads", validation=number_error).props("inputmode=numeric"))
            self._add("group", field("Group"))

    def show(self, location: Location) -> None:
        """Put a location's filter into the fields."""
        self._location = location
        for name, view in (("state", MESSAGES), ("reason", LETTERS), ("origin", LETTERS)):
            self._fields[name].set_visibility(location.view is view)
        if any(location.texts.get(name) for name in OTHERS) and not self._others.visible:
            self._toggle()
        self._instants = {name: ("", location.texts[name]) for name in TIMES if location.texts.get(name)}
        if (origin := location.texts.get("origin", "")) not in self._origin.options:
            self._origin.set_options({**dict(self._origin.options), origin: origin})
        for name, made in self._fields.items():
            self._put(made, "" if name in TIMES else location.texts.get(name, ""))
        if self._instants:
            background_tasks.create(self._show_times(), name="times")
        self._show_conditions()

    def _put(self, made: ValueElement[Any], text: str) -> None:
        self._silent = True
        made.value = text
        self._silent = False

    async def _show_times(self) -> None:
        """Show the times in the browser's zone, once it has the page."""
        client = self._others.client
        await client.connected()
        for name, (_, at) in list(self._instants.items()):
            with self._others:
                text = await local(at)
            if not client.is_deleted and self._instants.get(name) == ("", at):
                self._instants[name] = (text, at)
                self._put(self._fields[name], text)

    def _show_conditions(self) -> None:
        where = self._location.where
        self._clear.set_visibility(not self.empty)
        self._chips.clear()
        self._chips.set_visibility(bool(where))
        with self._chips:
            for text in where:
                with ui.element("span").classes("chip"):
                    words(text)
                    remove = words("✕", "button").props("type=button")
                    remove.on("click", lambda text=text: self._remove(text))
                    titled(remove, f"Remove the condition {text}")

    @property
    def _origin(self) -> ui.select:
        made = self._fields["origin"]
        assert isinstance(made, ui.select)
        return made

    def offer(self, origins: Sequence[str]) -> None:
        """Let the user select one of these queues as origin."""
        options = {"": "Any queue", **{name: name for name in origins}}
        if options != self._origin.options and self._origin.value in options:
            self._origin.set_options(options)

    @property
    def value(self) -> dict[str, object]:
        """The filter of the API."""
        return filter_of(self._location.view, self._location.texts, self._location.where)

    @property
    def described(self) -> str:
        """The filter in words; empty when all messages of the view match."""
        return "" if self.empty else described(self._location.texts, self._location.where)

    @property
    def empty(self) -> bool:
        """All messages of the view match."""
        return self.value == self._location.view.filter

    async def clear(self) -> None:
        await self._changed({}, ())

    async def add(self, text: str) -> None:
        """Add a condition on a field."""
        if text not in self._location.where:
            await self._changed(self._location.texts, (*self._location.where, text))

    async def _remove(self, text: str) -> None:
        await self._changed(self._location.texts, tuple(other for other in self._location.where if other != text))

    def _show_builder(self) -> None:
        self._builder.toggle()

    def _toggle(self) -> None:
        if "path" not in self._fields:
            self._add_others()
        self._others.set_visibility(not self._others.visible)
        self._more.props(f"aria-expanded={str(self._others.visible).lower()}")

    async def _apply(self) -> None:
        if not all(made.validate() for made in self._fields.values() if isinstance(made, ui.input)):
            return
        texts = {name: str(made.value or "") for name, made in self._fields.items() if name not in TIMES}
        for name in TIMES:
            if name in self._fields:
                texts[name] = await self._instant(name)
        texts = {name: text for name, text in texts.items() if text}
        if texts != self._location.texts:
            await self._changed(texts, self._location.where)

    async def _instant(self, name: str) -> str:
        text = str(self._fields[name].value or "")
        known, at = self._instants.get(name, ("", ""))
        if text != known:
            at = await instant(text) or ""
            self._instants[name] = (text, at)
        return at


class Builder:
    """The row of fields that builds a condition. `add` is awaited with it."""

    def __init__(self, add: Callable[[str], Awaitable[None]]) -> None:
        self._add = add
        with ui.element("div").classes("builder").props('role=group aria-label="New condition"') as self._row:
            self._field = field("Field").props("placeholder=customer.id stack-label autofocus")
            self._operator = ui.select(list(OPERATORS), value="=", label="Is").props("outlined dense options-dense")
            self._value = field("Value", validation=_value_error).props("stack-label hide-bottom-space")
            button("Add", self._submit, "primary").props("type=button")
        for made in (self._field, self._value):
            made.props("autocomplete=off spellcheck=false autocapitalize=off")
            made.on("keydown.enter.prevent", self._submit)
        self._row.set_visibility(False)

    def toggle(self) -> None:
        self._row.set_visibility(not self._row.visible)
        if self._row.visible:
            self._field.run_method("focus")

    async def _submit(self) -> None:
        text = f"{(self._field.value or '').strip()} {self._operator.value} {(self._value.value or '').strip()}"
        if condition(text) is None:
            self._value.error = "Enter a field, such as customer.id, and a value."
            return
        self._value.error = None
        self._field.value = self._value.value = ""
        self._row.set_visibility(False)
        await self._add(text)


def _value_error(_: str) -> None:
    """Clears the error of an earlier value."""
