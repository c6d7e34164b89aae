"""Actions on selected messages, or on all messages matching a filter, and their confirmation dialogs."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem
from pgmq_gateway.dashboard.parts.widgets import Failure, button, field, heading, labelled, words
from pgmq_gateway.dashboard.queue.client import Filter, Queue
from pgmq_gateway.dashboard.queue.moments import instant, time_field

DELAYS = {60: "1 min", 300: "5 min", 900: "15 min", 3600: "1 h", 86400: "1 day"}


@dataclass(frozen=True)
class Action:
    """One action. `function` takes ids; pgmq_admin.apply takes `name` and a filter."""

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
DELETE_ARCHIVED = Action("delete", "delete_archived", "Delete", "deleted", "delete", destructive=True)

OF_QUEUE = (MAKE_VISIBLE, POSTPONE, ARCHIVE, MOVE, DELETE)
OF_ARCHIVE = (REQUEUE, DELETE_ARCHIVED)
# Run on a single message without confirmation: they can be undone.
AT_ONCE = (MAKE_VISIBLE, ARCHIVE, REQUEUE)


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


class Actions:
    """Confirms and runs actions. `after` is awaited after an action has succeeded."""

    def __init__(self, queue: Queue, after: Callable[[], Awaitable[None]]) -> None:
        self._queue = queue
        self._after = after

    async def ask(self, action: Action, target: Target) -> None:
        """Open the confirmation dialog."""
        others = await self._queue.others() if action is MOVE else []
        Confirmation(self, action, target, self._queue.name, others)

    async def ask_for_matching(self, action: Action, filter: Filter, described: str) -> None:
        """Count the messages that match a filter, and open the confirmation dialog."""
        counted = await self._queue.count(filter)
        if isinstance(counted, Problem):
            show_failure(counted, "The messages could not be counted.")
        elif not counted:
            ui.notify("No message matches the filter.", position="bottom")
        else:
            await self.ask(action, Target(filter=filter, counted=counted, described=described))

    async def count(self, target: Target) -> int | Problem:
        return await self._queue.count(target.filter or {})

    async def at_once(self, action: Action, target: Target) -> None:
        """Run without confirmation."""
        problem = await self.run(action, target, {})
        if problem:
            show_failure(problem, f"{action.label} failed.")

    async def run(self, action: Action, target: Target, more: Mapping[str, object]) -> Problem | None:
        """Run, and notify the user of the number of messages."""
        answer: object
        if target.filter is None:
            answer = await self._queue.call(action.function, {"msg_ids": target.ids, **more})
        else:
            arguments = {"action": action.name, "filter": target.filter, "expected": target.counted, **more}
            answer = await self._queue.api.call("apply", {"queue_name": self._queue.name, **arguments})
        if isinstance(answer, Problem):
            return answer
        _notify(action, len(answer) if isinstance(answer, list) else int(str(answer)), target)
        await self._after()
        return None


class Confirmation:
    """A dialog that states the number of messages, and asks for an action's arguments."""

    def __init__(self, actions: Actions, action: Action, target: Target, name: str, others: list[str]) -> None:
        self._actions, self._action, self._target = actions, action, target
        with ui.dialog() as self._dialog, ui.card().classes("dialog"):
            self._title = heading("")
            if target.filter is not None:
                text = f"Filter: {target.described}" if target.described else "No filter is set: all messages match."
                words(text, "p").classes("muted")
            self._delay = Delay() if action is POSTPONE else None
            self._to = _queue_select(others) if action is MOVE else None
            if action.destructive:
                words("This cannot be undone.", "p")
            self._typed = self._ask_name(name) if action.destructive and target.number > 1 else None
            self._failure = Failure()
            with ui.element("div").classes("actions"):
                button("Cancel", self._dialog.close)
                self._count_again = button("Count again", self._count)
                self._confirm = button("", self._run, "danger" if action.destructive else "primary")
        self._count_again.set_visibility(False)
        if self._typed:
            self._confirm.bind_enabled_from(self._typed, "value", lambda value: value == name)
            self._typed.on("keydown.enter", self._run)
        elif not (self._delay or self._to):
            self._confirm.props("autofocus")
        self._show_number()
        self._dialog.on("hide", self._dialog.delete)
        self._dialog.open()

    def _ask_name(self, name: str) -> ui.input:
        return field(f"Type {name} to confirm").props("autocomplete=off spellcheck=false autofocus")

    def _show_number(self) -> None:
        text = f"{self._action.label} {messages(self._target.number)}"
        self._title.text = f"{text}?"
        labelled(self._dialog, f"{text}?").update()
        self._confirm.text = text

    async def _count(self) -> None:
        counted = await self._actions.count(self._target)
        if isinstance(counted, Problem):
            self._failure.show(counted)
            return
        self._target = Target(filter=self._target.filter, counted=counted, described=self._target.described)
        self._failure.clear()
        self._count_again.set_visibility(False)
        self._show_number()

    async def _run(self) -> None:
        if not self._confirm.enabled:
            return
        more = await self._arguments()
        if more is None:
            return
        self._failure.clear()
        self._confirm.props(add="loading")
        problem = await self._actions.run(self._action, self._target, more)
        self._confirm.props(remove="loading")
        if problem:
            self._failure.show(problem)
            self._count_again.set_visibility(problem.status == 409)
        else:
            self._dialog.close()

    async def _arguments(self) -> Mapping[str, object] | None:
        """The action's further arguments; None when a field is invalid."""
        if self._to:
            return {"to_queue": self._to.value} if self._to.validate() else None
        if self._delay:
            return await self._delay.arguments(by_filter=self._target.filter is not None)
        return {}


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


def _queue_select(others: list[str]) -> ui.select:
    def error(value: str | None) -> str | None:
        return None if value else "Select a queue."

    select = ui.select(others, label="To queue", with_input=True, validation=error)
    select.props("outlined dense options-dense autofocus").without_auto_validation()
    return select.on_value_change(lambda: select.validate())


def _notify(action: Action, number: int, target: Target) -> None:
    missing = target.number - number
    not_found = f" {messages(missing)} not found." if missing > 0 else ""
    ui.notify(f"{messages(number)} {action.done}.{not_found}", position="bottom")


def show_failure(error: Problem, title: str) -> None:
    """Show an error in a dialog, for actions outside of any dialog."""
    with labelled(ui.dialog(), "Error") as dialog, ui.card().classes("dialog"):
        failure = Failure()
        failure.show(error, title)
        with ui.element("div").classes("actions"):
            button("Close", dialog.close).props("autofocus")
    dialog.on("hide", dialog.delete)
    dialog.open()
