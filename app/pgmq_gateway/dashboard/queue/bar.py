"""The toolbar above the messages: actions on the selected messages, and on all matching ones."""

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from pgmq_gateway.dashboard.parts.quantities import count
from pgmq_gateway.dashboard.parts.widgets import button, titled, words
from pgmq_gateway.dashboard.queue.actions import Action

Run = Callable[[Action], Awaitable[None]]


class Bar:
    """The buttons of some actions, which run them on the selected or on all matching messages."""

    def __init__(
        self, actions: Sequence[Action], on_selected: Run, on_matching: Run, clear_selection: Callable[[], None]
    ) -> None:
        with ui.element("div").classes("row-of bar").props('role=toolbar aria-label="Actions"') as bar:
            self._status = words("").classes("selection").props("role=status")
            self._buttons = [_button(action, on_selected) for action in actions]
            self._clear = button("Clear selection", clear_selection).classes("medium")
            ui.element("div").classes("grow")
            matching = button("All matching", icon="expand_more").props("aria-haspopup=menu")
            titled(matching, "Actions on all matching messages")
            with matching, ui.menu().props("role=menu"):
                for action in actions:
                    _item(action, on_matching)
        bar.set_visibility(bool(actions))

    def show(self, selected: int) -> None:
        """Show the number of selected messages."""
        self._status.text = f"{count(selected)} selected"
        for one in (*self._buttons, self._clear):
            one.enabled = selected > 0


def _button(action: Action, run: Run) -> ui.button:
    made = button(action.label, lambda: run(action), icon=action.icon)
    return made.classes("destructive" if action.destructive else "")


def _item(action: Action, run: Run) -> None:
    item = ui.menu_item(f"{action.label}…", lambda: run(action)).props("role=menuitem")
    item.classes("destructive" if action.destructive else "")
