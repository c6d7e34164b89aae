"""The bar above the messages: what can be done with those that are chosen, and with all that match."""

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from pgmq_gateway.dashboard.parts.quantities import count
from pgmq_gateway.dashboard.parts.widgets import button, words
from pgmq_gateway.dashboard.queue.actions import Action

Do = Callable[[Action], Awaitable[None]]


class Bar:
    """Buttons for some actions. `to_chosen` and `to_all` do one of them."""

    def __init__(self, actions: Sequence[Action], to_chosen: Do, to_all: Do, choose_none: Callable[[], None]) -> None:
        with ui.element("div").classes("row-of bar").props('role=toolbar aria-label="Actions"'):
            self._said = words("").classes("chosen").props("role=status")
            self._buttons = [_button(action, to_chosen) for action in actions]
            self._none = button("Choose none", choose_none).classes("medium")
            ui.element("div").classes("grow")
            with button("All that match", icon="expand_more").props("aria-haspopup=menu"), ui.menu().props("role=menu"):
                for action in actions:
                    _item(action, to_all)

    def show(self, chosen: int) -> None:
        """How many messages are chosen."""
        self._said.text = f"{count(chosen)} chosen"
        for one in (*self._buttons, self._none):
            one.enabled = chosen > 0


def _button(action: Action, do: Do) -> ui.button:
    made = button(action.label, lambda: do(action), icon=action.icon)
    return made.classes("lossy" if action.lossy else "")


def _item(action: Action, do: Do) -> None:
    ui.menu_item(f"{action.label}…", lambda: do(action)).props("role=menuitem").classes("lossy" if action.lossy else "")
