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
# The refused letters that are shown.
MAX_REFUSED = 3
TWICE = "If this step was done nevertheless, repeating it sends its messages, up to 1,000, twice."


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
        # Continues with the step that failed.
        self._steps: AsyncIterator[Row | Problem] | None = None
        self._done, self._last = 0, ""
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
        # A second click can arrive before the browser has disabled the button.
        if self._dialog.props.get("persistent") or not self._rate.validate():
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
            self._fail(problem)
        else:
            self._title.text = self._title.text.rstrip("?")
            self._confirm.set_visibility(False)
            self._fields.set_visibility(False)
        await self._after()

    async def _repeat(self) -> Problem | None:
        """Repeat the step until all is done, or one fails."""
        if not self._steps:
            self._steps = self._redriven() if self._action is REDRIVE else self._replayed()
        async for step in self._steps:
            if isinstance(step, Problem):
                return step
            self._done += step["done"]
            self._last = step["last_visible_at"] or self._last
            if self._dialog.is_deleted:
                return None
            self._show(step)
            if self._stopped:
                return None
        return None

    def _fail(self, problem: Problem) -> None:
        """Show an error. Before the first step was done, target and rate can be changed."""
        self._failure.show(problem, TWICE if problem.outage and self._action is not REDRIVE else "")
        if self._done:
            self._confirm.text = "Continue"
            self._fields.set_visibility(False)
        else:
            self._steps = None

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
            if isinstance(step, Problem):
                continue
            if not step["done"]:
                return
            left, pace = left - step["done"], pace.after(step)

    async def _replayed(self) -> AsyncIterator[Row | Problem]:
        pace = self._pace()
        async for ids in self._ids():
            if isinstance(ids, Problem):
                yield ids
                continue
            while isinstance(step := await self._queue.replay(ids, pace), Problem):
                yield step
            yield step
            pace = pace.after(step)

    async def _ids(self) -> AsyncIterator[Sequence[int] | Problem]:
        """The ids of the target, page by page. After a Problem, the same page is queried again."""
        if self._target.filter is None:
            for start in range(0, len(self._target.ids), MAX_PAGE):
                yield self._target.ids[start : start + MAX_PAGE]
            return
        last: int | None = None
        while True:
            ids = await self._queue.ids(self._target.filter, last)
            if ids:
                yield ids
            if isinstance(ids, Problem):
                continue
            if len(ids) < MAX_PAGE:
                return
            last = ids[-1]

    def _show(self, step: Row) -> None:
        self._outcome.set_visibility(True)
        self._outcome.clear()
        with self._outcome:
            words(self._action.done.capitalize(), "dt")
            words(f"{self._done:,} of {messages(self._target.number)}", "dd")
            if skipped := step.get("skipped"):
                words("Skipped", "dt")
                words(_skipped(skipped), "dd")
            for refused in step.get("refused", ())[:MAX_REFUSED]:
                words(f"Message {refused['msg_id']}", "dt")
                words(f"{refused['message']} ({refused['code']})", "dd")
            if self._last:
                words("Last visible", "dt")
                with ui.element("dd").classes("row-of"):
                    Moment(self._last, "relative")
                    Moment(self._last, "local").classes("mono muted")


def _skipped(number: int) -> str:
    """The letters that the latest step left, which counts them up to its size."""
    more = " or more" if number >= MAX_PAGE else ""
    return f"{messages(number)}{more} whose queue does not bury here or refuses {'it' if number == 1 else 'them'}"
