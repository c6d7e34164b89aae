"""The bar below the messages: actions on the selected or on all messages, the position, and the pages."""

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from pgmq_gateway.dashboard.parts.quantities import count
from pgmq_gateway.dashboard.parts.widgets import button, icon_button, words
from pgmq_gateway.dashboard.queue.actions import Action

Run = Callable[[Action], Awaitable[None]]


class Selection:
    """The buttons of some actions on the selected messages. Hidden without any."""

    def __init__(self, actions: Sequence[Action], run: Run, clear: Callable[[], None]) -> None:
        with ui.element("div").classes("row-of bar").props('role=toolbar aria-label="Actions"') as self._row:
            self._status = words("").classes("selection").props("role=status")
            for action in actions:
                made = button(action.label, lambda action=action: run(action), icon=action.icon)
                made.classes("destructive" if action.destructive else "")
            button("Clear selection", clear)
        self.show(0)

    def show(self, selected: int) -> None:
        """Show the number of selected messages."""
        self._status.text = f"{count(selected)} selected"
        self._row.set_visibility(selected > 0)


class All:
    """The menu of actions on all messages, or on all matching ones."""

    def __init__(self, actions: Sequence[Action], run: Run) -> None:
        self._button = button("", icon="expand_more").props("aria-haspopup=menu").classes("all")
        with self._button, ui.menu().props("role=menu"):
            for action in actions:
                item = ui.menu_item(f"{action.label}…", lambda action=action: run(action)).props("role=menuitem")
                item.classes("destructive" if action.destructive else "")

        self._button.set_visibility(bool(actions))

    def show(self, number: str, *, filtered: bool) -> None:
        self._button.text = f"Actions on all {number} {'matching ' if filtered else ''}messages"
        self._button.set_enabled(number != "0")


class Pager:
    """The position of the page, and buttons for other pages."""

    def __init__(self, first: Callable[[], Awaitable[None]], turn: Callable[[bool], Awaitable[None]]) -> None:
        with ui.element("nav").classes("row-of pager").props('aria-label="Pages of messages"'):
            self._position = words("").classes("position").props("role=status")
            self._first = icon_button("first_page", "First page", first)
            self._previous = icon_button("chevron_left", "Previous", lambda: turn(True))
            self._next = icon_button("chevron_right", "Next", lambda: turn(False))

    def show(self, row: int, rows: int, number: str, *, earlier: bool, later: bool) -> None:
        """Show the position of a page that begins at `row`, among a number of messages."""
        self._position.text = f"{row:,}-{row + rows - 1:,} of {number}" if rows else "0 messages"
        self._first.enabled = self._previous.enabled = earlier
        self._next.enabled = later
