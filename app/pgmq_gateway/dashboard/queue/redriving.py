"""The dialog that redrives dead letters, or replays archived messages, in steps of a bounded size."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem, Row
from pgmq_gateway.dashboard.parts.widgets import Failure, button, heading, labelled, words
from pgmq_gateway.dashboard.queue.actions import REDRIVE, Action, Target, messages
from pgmq_gateway.dashboard.queue.client import MAX_PAGE, Pace, Queue
from pgmq_gateway.dashboard.queue.fields import origin_select, rate, rate_field
from pgmq_gateway.dashboard.queue.moments import Moment

TEXTS = {
    "redrive": "Letters that are visible are moved, oldest first. In their new queue they count as never read.",
    "replay": "Copies are sent to this queue, oldest first. The archive stays.",
}


class Redriving:
    """Asks for target and rate, shows the progress, and what was done. `after` is awaited after that."""

    def __init__(
        self,
        queue: Queue,
        action: Action,
        target: Target,
        others: Sequence[str],
        after: Callable[[], Awaitable[None]],
    ) -> None:
        self._queue, self._action, self._target, self._after = queue, action, target, after
        self._stopped = False
        title = f"{action.label} {messages(target.number)}"
        # Not in the panel of a message, which closes before this dialog.
        with (
            ui.context.client.content,
            labelled(ui.dialog(), f"{title}?") as self._dialog,
            ui.card().classes("dialog"),
        ):
            self._title = heading(f"{title}?")
            if target.filter is not None:
                text = f"Filter: {target.described}" if target.described else "No filter is set: all messages match."
                words(text, "p").classes("muted")
            words(TEXTS[action.name], "p")
            with ui.element("div").classes("fields") as self._fields:
                self._to = origin_select(others) if action is REDRIVE else None
                self._rate = rate_field()
            with ui.element("div").props("role=status"):
                self._outcome = ui.element("dl").classes("message-facts")
            self._failure = Failure()
            with ui.element("div").classes("actions"):
                self._close = button("Cancel", self._leave)
                self._confirm = button(title, self._run, "primary").props("autofocus")
        self._outcome.set_visibility(False)
        self._dialog.on("hide", self._dialog.delete)
        self._dialog.open()

    def _leave(self) -> None:
        """Close the dialog, or stop after the step that runs."""
        self._stopped = True
        if not self._dialog.props.get("persistent"):
            self._dialog.close()

    async def _run(self) -> None:
        if not self._rate.validate():
            return
        self._stopped = False
        self._failure.clear()
        self._confirm.props(add="loading")
        self._dialog.props("persistent")
        self._close.text = "Stop"
        problem = await self._repeat()
        if self._dialog.is_deleted:
            return
        self._dialog.props(remove="persistent")
        self._close.text = "Close"
        self._confirm.props(remove="loading")
        if problem:
            self._failure.show(problem)
        else:
            self._title.text = self._title.text.rstrip("?")
            self._confirm.set_visibility(False)
            self._fields.set_visibility(False)
        await self._after()

    async def _repeat(self) -> Problem | None:
        """Repeat the step until all is done."""
        done, last = 0, ""
        async for step in self._redriven() if self._action is REDRIVE else self._replayed():
            if isinstance(step, Problem):
                return step
            done += step["done"]
            last = step["last_visible_at"] or last
            if self._dialog.is_deleted:
                return None
            self._show(done, step.get("skipped", 0), last)
            if self._stopped:
                return None
        return None

    def _pace(self) -> Pace:
        return Pace(rate(self._rate.value))

    async def _redriven(self) -> AsyncIterator[Row | Problem]:
        # More may die meanwhile, also those that were moved.
        left, pace = self._target.number, self._pace()
        to_queue = (self._to and self._to.value) or None
        filter = {"msg_ids": self._target.ids} if self._target.filter is None else dict(self._target.filter)
        filter.pop("state", None)
        while left > 0:
            step = await self._queue.redrive(filter, to_queue, min(left, MAX_PAGE), pace)
            yield step
            if isinstance(step, Problem) or not step["done"]:
                return
            left, pace = left - step["done"], pace.after(step)

    async def _replayed(self) -> AsyncIterator[Row | Problem]:
        pace = self._pace()
        async for ids in self._ids():
            step = ids if isinstance(ids, Problem) else await self._queue.replay(ids, pace)
            yield step
            if isinstance(step, Problem):
                return
            pace = pace.after(step)

    async def _ids(self) -> AsyncIterator[Sequence[int] | Problem]:
        """The ids of the target, page by page."""
        if self._target.filter is None:
            for start in range(0, len(self._target.ids), MAX_PAGE):
                yield self._target.ids[start : start + MAX_PAGE]
            return
        last: int | None = None
        while True:
            ids = await self._queue.ids(self._target.filter, last)
            if ids:
                yield ids
            if isinstance(ids, Problem) or len(ids) < MAX_PAGE:
                return
            last = ids[-1]

    def _show(self, done: int, skipped: int, last: str) -> None:
        self._outcome.set_visibility(True)
        self._outcome.clear()
        with self._outcome:
            words(self._action.done.capitalize(), "dt")
            words(f"{done:,} of {messages(self._target.number)}", "dd")
            if skipped:
                words("Skipped", "dt")
                words(f"{messages(skipped)} from queues that do not bury here", "dd")
            if last:
                words("Last visible", "dt")
                with ui.element("dd").classes("row-of"):
                    Moment(last, "relative")
                    Moment(last, "local").classes("mono muted")
