"""Actions on selected messages, or on all messages matching a filter."""

from collections.abc import Sequence
from dataclasses import dataclass

from nicegui import ui

from pgmq_gateway.dashboard.api import Api, Problem
from pgmq_gateway.dashboard.parts.widgets import Failure, button, labelled
from pgmq_gateway.dashboard.queue.client import Filter


@dataclass(frozen=True)
class Action:
    """One action. `function` takes ids; pgmq_admin.apply takes `name` and a filter, unless it is stepwise."""

    name: str
    function: str
    label: str
    done: str
    icon: str
    destructive: bool = False


POSTPONE = Action("postpone", "postpone", "Postpone", "postponed", "schedule")
MAKE_VISIBLE = Action("make_visible", "make_visible", "Make visible", "made visible", "visibility")
ARCHIVE = Action("archive", "archive", "Archive", "archived", "archive")
MOVE = Action("move", "move", "Move", "moved", "drive_file_move")
DELETE = Action("delete", "delete", "Delete", "deleted", "delete", destructive=True)
REQUEUE = Action("requeue", "requeue", "Re-queue", "re-queued", "replay")
REDRIVE = Action("redrive", "redrive", "Redrive", "moved", "keyboard_return")
REPLAY = Action("replay", "replay", "Replay", "sent", "restart_alt")
DELETE_ARCHIVED = Action("delete", "delete_archived", "Delete", "deleted", "delete", destructive=True)

OF_QUEUE = (MAKE_VISIBLE, POSTPONE, ARCHIVE, MOVE, DELETE)
OF_LETTERS = (REDRIVE, ARCHIVE, MOVE, DELETE)
OF_ARCHIVE = (REQUEUE, REPLAY, DELETE_ARCHIVED)
# Run on a single message without confirmation: they can be undone.
AT_ONCE = (MAKE_VISIBLE, ARCHIVE, REQUEUE)
# Done in steps, by a dialog of their own.
STEPWISE = (REDRIVE, REPLAY)


def permitted(api: Api, actions: Sequence[Action]) -> Sequence[Action]:
    """The actions that the key may execute, on selected messages and on all matching ones."""
    return [one for one in actions if api.can(one.function) and (one in STEPWISE or api.can("apply"))]


@dataclass(frozen=True)
class Target:
    """Messages by id, or all messages matching a filter, with their count and the filter as text."""

    ids: Sequence[int] = ()
    filter: Filter | None = None
    counted: int = 0
    described: str = ""

    @property
    def number(self) -> int:
        return len(self.ids) if self.filter is None else self.counted


def messages(number: int) -> str:
    return "1 message" if number == 1 else f"{number:,} messages"


def show_failure(error: Problem, title: str) -> None:
    """Show an error in a dialog, for actions outside of any dialog."""
    with labelled(ui.dialog(), "Error") as dialog, ui.card().classes("dialog"):
        failure = Failure()
        failure.show(error, title)
        with ui.element("div").classes("actions"):
            button("Close", dialog.close).props("autofocus")
    dialog.on("hide", dialog.delete)
    dialog.open()
