"""Confirming and running actions."""

from collections.abc import Awaitable, Callable, Mapping

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem
from pgmq_gateway.dashboard.parts.widgets import Failure, button, field, heading, labelled, words
from pgmq_gateway.dashboard.queue.actions import (
    MOVE,
    POSTPONE,
    REDRIVE,
    STEPWISE,
    Action,
    Target,
    messages,
    show_failure,
)
from pgmq_gateway.dashboard.queue.client import Filter, Queue
from pgmq_gateway.dashboard.queue.fields import Delay, queue_select
from pgmq_gateway.dashboard.queue.redriving import Redriving


class Actions:
    """Confirms and runs actions. `after` is awaited after an action has succeeded."""

    def __init__(self, queue: Queue, after: Callable[[], Awaitable[None]]) -> None:
        self._queue = queue
        self._after = after

    async def ask(self, action: Action, target: Target) -> None:
        """Open the confirmation dialog."""
        others = await self._queue.others() if action in (MOVE, REDRIVE) else []
        if isinstance(others, Problem):
            show_failure(others, "The queues could not be listed.")
        elif action in STEPWISE:
            Redriving(self._queue, action, target, others, self._after)
        else:
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
            self._to = queue_select(others) if action is MOVE else None
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


def _notify(action: Action, number: int, target: Target) -> None:
    missing = target.number - number
    not_found = f" {messages(missing)} not found." if missing > 0 else ""
    ui.notify(f"{messages(number)} {action.done}.{not_found}", position="bottom")
