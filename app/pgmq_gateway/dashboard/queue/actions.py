"""What can be done to messages, to some by their ids or to all that a filter matches, and the dialogs that ask."""

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
    """One function of the API. Its name for filters is `name`, `function` that for ids."""

    name: str
    function: str
    label: str
    done: str
    icon: str
    lossy: bool = False


POSTPONE = Action("postpone", "postpone", "Postpone", "postponed", "schedule")
MAKE_VISIBLE = Action("make_visible", "make_visible", "Make visible", "made visible", "visibility")
ARCHIVE = Action("archive", "archive", "Archive", "archived", "archive")
MOVE = Action("move", "move", "Move", "moved", "drive_file_move")
DELETE = Action("delete", "delete", "Delete", "deleted", "delete", lossy=True)
REQUEUE = Action("requeue", "requeue", "Re-queue", "back in the queue", "replay")
DELETE_ARCHIVED = Action("delete", "delete_archived", "Delete", "deleted", "delete", lossy=True)

OF_QUEUE = (MAKE_VISIBLE, POSTPONE, ARCHIVE, MOVE, DELETE)
OF_ARCHIVE = (REQUEUE, DELETE_ARCHIVED)


@dataclass(frozen=True)
class Target:
    """Which messages: those with some ids, or all that a filter matches, which were so many when they were counted."""

    ids: Sequence[int] = ()
    filter: Filter | None = None
    counted: int = 0
    described: str = ""

    @property
    def number(self) -> int:
        """How many messages."""
        return len(self.ids) if self.filter is None else self.counted


def messages(number: int) -> str:
    """So many messages, in words."""
    return "1 message" if number == 1 else f"{number:,} messages"


class Actions:
    """Asks and does. `after` is awaited when something was done."""

    def __init__(self, queue: Queue, after: Callable[[], Awaitable[None]]) -> None:
        self._queue = queue
        self._after = after

    async def ask(self, action: Action, target: Target) -> None:
        """Ask what has to be asked, and do it."""
        others = await self._queue.others() if action is MOVE else []
        Question(self, action, target, self._queue.name, others)

    async def ask_for_all(self, action: Action, chosen: Filter, described: str) -> None:
        """Count what a filter matches, and ask."""
        counted = await self._queue.count(chosen)
        if isinstance(counted, Problem):
            show_failure(counted, "The messages could not be counted.")
        elif not counted:
            ui.notify("No message matches.", position="bottom")
        else:
            await self.ask(action, Target(filter=chosen, counted=counted, described=described))

    async def count(self, target: Target) -> int | Problem:
        """How many messages a filter matches now."""
        return await self._queue.count(target.filter or {})

    async def at_once(self, action: Action, target: Target) -> None:
        """Do it without asking."""
        problem = await self.do(action, target, {})
        if problem:
            show_failure(problem, f"{action.label}: this was not done.")

    async def do(self, action: Action, target: Target, more: Mapping[str, object]) -> Problem | None:
        """Do it, and tell how many it was done to."""
        answer: object
        if target.filter is None:
            answer = await self._queue.call(action.function, {"msg_ids": target.ids, **more})
        else:
            arguments = {"action": action.name, "filter": target.filter, "expected": target.counted, **more}
            answer = await self._queue.api.call("apply", {"queue_name": self._queue.name, **arguments})
        if isinstance(answer, Problem):
            return answer
        _tell(action, len(answer) if isinstance(answer, list) else int(str(answer)), target)
        await self._after()
        return None


class Question:
    """A dialog that names how many messages something will be done to, and asks for what is needed."""

    def __init__(self, actions: Actions, action: Action, target: Target, name: str, others: list[str]) -> None:
        self._actions, self._action, self._target = actions, action, target
        with ui.dialog() as self._dialog, ui.card().classes("dialog"):
            self._title = heading("")
            if target.filter is not None:
                words(f"All that match: {target.described or 'no condition'}", "p").classes("muted")
            self._delay = Delay() if action is POSTPONE else None
            self._to = _choice(others) if action is MOVE else None
            if action.lossy:
                words("They cannot be brought back." if target.number > 1 else "It cannot be brought back.", "p")
            self._typed = self._ask_name(name) if action.lossy and target.number > 1 else None
            self._failure = Failure()
            with ui.element("div").classes("actions"):
                button("Cancel", self._dialog.close)
                self._again = button("Count again", self._count)
                self._sure = button("", self._go, "danger" if action.lossy else "primary")
        self._again.set_visibility(False)
        if self._typed:
            self._sure.bind_enabled_from(self._typed, "value", lambda value: value == name)
            self._typed.on("keydown.enter", self._go)
        elif not (self._delay or self._to):
            self._sure.props("autofocus")
        self._name()
        self._dialog.on("hide", self._dialog.delete)
        self._dialog.open()

    def _ask_name(self, name: str) -> ui.input:
        return field(f"Type {name} to go on").props("autocomplete=off spellcheck=false autofocus")

    def _name(self) -> None:
        what = f"{self._action.label} {messages(self._target.number)}"
        self._title.text = f"{what}?"
        labelled(self._dialog, f"{what}?").update()
        self._sure.text = what

    async def _count(self) -> None:
        counted = await self._actions.count(self._target)
        if isinstance(counted, Problem):
            self._failure.show(counted)
            return
        self._target = Target(filter=self._target.filter, counted=counted, described=self._target.described)
        self._failure.clear()
        self._again.set_visibility(False)
        self._name()

    async def _go(self) -> None:
        if not self._sure.enabled:
            return
        more = await self._asked()
        if more is None:
            return
        self._failure.clear()
        self._sure.props(add="loading")
        problem = await self._actions.do(self._action, self._target, more)
        self._sure.props(remove="loading")
        if problem:
            self._failure.show(problem)
            self._again.set_visibility(problem.status == 409)
        else:
            self._dialog.close()

    async def _asked(self) -> Mapping[str, object] | None:
        if self._to:
            return {"to_queue": self._to.value} if self._to.validate() else None
        if self._delay:
            return await self._delay.arguments(by_filter=self._target.filter is not None)
        return {}


class Delay:
    """For how long, or until when."""

    def __init__(self) -> None:
        with ui.element("div").classes("row-of").props('role=group aria-label="From now"'):
            for seconds, label in DELAYS.items():
                button(label, lambda seconds=seconds: self._preset(seconds))
        with ui.element("div").classes("fields"):
            self._seconds = field("Seconds from now", "60", validation=_wrong_seconds)
            self._until = time_field("Or until")
        self._seconds.props("hide-bottom-space inputmode=numeric autofocus autocomplete=off")

    def _preset(self, seconds: int) -> None:
        self._seconds.value, self._until.value = str(seconds), ""

    async def arguments(self, *, by_filter: bool) -> Mapping[str, object] | None:
        """As postpone or apply takes it; None when it is wrong."""
        until = await instant(self._until.value)
        if until and by_filter:
            left = (datetime.fromisoformat(until) - datetime.now(UTC)).total_seconds()
            return {"seconds": max(0, math.ceil(left))}
        if until:
            return {"until": until}
        return {"seconds": int(self._seconds.value)} if self._seconds.validate() else None


def _wrong_seconds(text: str) -> str | None:
    return None if (text or "").strip().isdecimal() else "A whole number of seconds."


def _choice(others: list[str]) -> ui.select:
    chosen = ui.select(others, label="To queue", with_input=True, validation=lambda value: None if value else "Which?")
    chosen.props("outlined dense options-dense autofocus").without_auto_validation()
    return chosen.on_value_change(lambda: chosen.validate())


def _tell(action: Action, number: int, target: Target) -> None:
    missing = target.number - number
    gone = f" {messages(missing)} no longer there." if missing > 0 else ""
    ui.notify(f"{messages(number)} {action.done}.{gone}", position="bottom")


def show_failure(error: Problem, title: str) -> None:
    """A dialog for an error that has no place of its own."""
    with labelled(ui.dialog(), "Error") as dialog, ui.card().classes("dialog"):
        failure = Failure()
        failure.show(error, title)
        with ui.element("div").classes("actions"):
            button("Close", dialog.close).props("autofocus")
    dialog.on("hide", dialog.delete)
    dialog.open()
