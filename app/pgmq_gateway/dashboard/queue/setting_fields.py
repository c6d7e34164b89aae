"""The fields of a queue's settings: one for each row of pgmq_admin.setting_ranges."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nicegui import ui
from nicegui.elements.mixins.disableable_element import DisableableElement

from pgmq_gateway.dashboard.api import Row
from pgmq_gateway.dashboard.parts.widgets import field

# Integers beyond it are not exact in JavaScript: as the largest value it stands for no limit.
MAX_SAFE_INTEGER = 2**53 - 1


@dataclass(frozen=True)
class Wording:
    """The texts of one setting. `unset` says what applies without a value, where the default is null."""

    label: str
    unit: str = ""
    unset: str = ""
    help: str = ""


class SettingField(ABC):
    """One setting. Its value is None without one.

    initial   the default
    present   the value that the queue has
    input     the element with the value
    """

    input: DisableableElement

    def __init__(self, range: Row, wording: Wording, present: object) -> None:
        self.name: str = range["setting"]
        self.initial: object = range["initial"]
        self.present = present
        self.range = range
        self.wording = wording

    @property
    @abstractmethod
    def value(self) -> object:
        """The value that saving would give the queue."""

    @property
    def changed(self) -> bool:
        return self.value != self.present

    @property
    def sent(self) -> object:
        """The value for set_queue_settings, to which null restores the default."""
        return None if self.value == self.initial else self.value

    def validate(self) -> bool:
        """Show the field's error, if it has one."""
        return True

    @abstractmethod
    def refuse(self, error: str) -> None:
        """Show an error of the API beside the field."""

    @abstractmethod
    def on_change(self, handler: Callable[[], None]) -> None:
        """Call the handler after each change."""


class NumberField(SettingField):
    """A number; empty for the default."""

    input: ui.input

    def __init__(self, range: Row, wording: Wording, present: object) -> None:
        super().__init__(range, wording, present)
        unit = f" ({wording.unit})" if wording.unit else ""
        placeholder = f"{self.initial}" if self.initial is not None else wording.unset
        self.input = field(f"{wording.label}{unit}", _plain(present, self.initial), validation=self._error)
        self.input.props("stack-label clearable inputmode=decimal autocomplete=off").classes("setting")
        self.input.props["placeholder"] = placeholder
        default = "" if self.initial is None else f"Default {self.initial:,}."
        self.input.props["hint"] = " ".join(text for text in (f"{self._bounds}.", default, wording.help) if text)

    @property
    def value(self) -> object:
        text = (self.input.value or "").strip()
        return self.initial if not text else float(text) if "." in text else int(text)

    @property
    def changed(self) -> bool:
        return self._error(self.input.value) is not None or super().changed

    def validate(self) -> bool:
        return bool(self.input.validate())

    def refuse(self, error: str) -> None:
        self.input.error = error

    def on_change(self, handler: Callable[[], None]) -> None:
        self.input.on_value_change(handler)

    @property
    def _bounds(self) -> str:
        smallest, largest = int(self.range["smallest"]), int(self.range["largest"])
        return f"{smallest} or more" if largest == MAX_SAFE_INTEGER else f"{smallest:,} to {largest:,}"

    @property
    def _fractional(self) -> bool:
        return bool(self.range["largest"] == 1)

    def _error(self, text: str | None) -> str | None:
        text = (text or "").strip()
        pattern = r"[0-9]+([.][0-9]+)?" if self._fractional else r"[0-9]{1,16}"
        if not text or (re.fullmatch(pattern, text) and self.range["smallest"] <= float(text) <= self.range["largest"]):
            return None
        kind = "number" if self._fractional else "whole number"
        return f"Enter a {kind}: {self._bounds}, or nothing for the default."


class ChoiceField(SettingField):
    """One of some strings; without a default, also none of them."""

    input: ui.select

    def __init__(self, range: Row, wording: Wording, present: object, choices: Sequence[str]) -> None:
        super().__init__(range, wording, present)
        # What is set stays among the choices.
        names = dict.fromkeys(choice for choice in (*choices, present) if choice)
        options = {
            name: f"{str(name).replace('_', ' ')}{' (default)' if name == self.initial else ''}" for name in names
        }
        if self.initial is None:
            options = {"": wording.unset, **{name: str(name) for name in names}}
        self.input = ui.select(options, label=wording.label, value=present or "")
        self.input.props("outlined dense options-dense stack-label").classes("field setting")
        self.input.props["hint"] = wording.help

    @property
    def value(self) -> object:
        return self.input.value or None

    def refuse(self, error: str) -> None:
        self.input.error = error

    def on_change(self, handler: Callable[[], None]) -> None:
        self.input.on_value_change(lambda: self._changed(handler))

    def _changed(self, handler: Callable[[], None]) -> None:
        self.input.error = None
        handler()


class SwitchField(SettingField):
    """True or false."""

    input: ui.switch

    def __init__(self, range: Row, wording: Wording, present: object) -> None:
        super().__init__(range, wording, present)
        with ui.element("div").classes("setting-switch"):
            self.input = ui.switch(wording.label, value=bool(present)).props("dense")
            self._note = ui.label(wording.help).classes("muted")

    @property
    def value(self) -> object:
        return bool(self.input.value)

    def refuse(self, error: str) -> None:
        self._note.text = error

    def on_change(self, handler: Callable[[], None]) -> None:
        self.input.on_value_change(handler)


def setting_field(range: Row, wording: Wording, present: object, queues: Sequence[str]) -> SettingField:
    """The field for a setting. `queues` are the choices of a string without choices of its own."""
    if range["type"] == "boolean":
        return SwitchField(range, wording, present)
    if range["type"] == "number":
        return NumberField(range, wording, present)
    return ChoiceField(range, wording, present, range["choices"] or queues)


def _plain(present: object, initial: object) -> str:
    return "" if present is None or present == initial else str(present)
