"""Messages of a queue and of its archive: filter, pages, choice, and what is done with them."""

from collections.abc import Awaitable, Callable

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem
from pgmq_gateway.dashboard.parts.widgets import Failure, button, words
from pgmq_gateway.dashboard.queue.actions import (
    ARCHIVE,
    MAKE_VISIBLE,
    OF_ARCHIVE,
    OF_QUEUE,
    REQUEUE,
    Action,
    Actions,
    Target,
)
from pgmq_gateway.dashboard.queue.bar import Bar
from pgmq_gateway.dashboard.queue.client import ROWS, Listed, Place, Queue
from pgmq_gateway.dashboard.queue.filters import Filters
from pgmq_gateway.dashboard.queue.panel import Panel
from pgmq_gateway.dashboard.queue.table import Table

TABS = ("Queue", "Archive")


class Browser:
    """The list. `refresh` has the page looked at anew."""

    def __init__(
        self, queue: Queue, send_again: Callable[[str, str], None], refresh: Callable[[], Awaitable[None]]
    ) -> None:
        self._refresh = refresh
        self._shown: Listed | None = None
        self._actions = Actions(queue, self._done)
        self._panel = Panel(queue, send_again, self._done)
        self.place = Place()
        with ui.element("section").props("aria-label=Messages").classes("stack"):
            with ui.tabs().props("dense no-caps align=left").classes("tabs") as self._tab:
                for name in TABS:
                    ui.tab(name)
            self._tab.value = TABS[0]
            self.filters = Filters(self._from_start)
            self._bar_place = ui.element("div")
            self._bar = self._made_bar()
            self._failure = Failure()
            self._table = Table(self._look, self._sort, self._count_chosen)
            self._empty = words("", "p").classes("panel muted")
            self._pager()
        self._tab.on_value_change(self._turn)
        self._empty.set_visibility(False)
        self._count_chosen()

    @property
    def archived(self) -> bool:
        """Whether the archive is shown."""
        return bool(self._tab.value == TABS[1])

    def show(self, answer: Listed | Problem) -> None:
        """Put a page there, or why there is none."""
        if isinstance(answer, Problem):
            self._failure.show(answer, "The messages could not be listed.")
            # Not below a filter that they do not match; what cannot be reached for a while stays.
            self._table.set_visibility(answer.status != 400)
            return
        self._failure.clear()
        self._table.set_visibility(True)
        self._shown = answer
        self._table.show(answer.rows, self.place, archived=self.archived)
        self._empty.set_visibility(not answer.rows)
        self._empty.text = self._why_empty()
        self._first.enabled = self._back.enabled = answer.earlier
        self._on.enabled = answer.later

    def _why_empty(self) -> str:
        if not self.filters.empty:
            return "No message matches the filter."
        return "Nothing is archived." if self.archived else "The queue is empty. Send it a message."

    def _made_bar(self) -> Bar:
        self._bar_place.clear()
        with self._bar_place:
            return Bar(OF_ARCHIVE if self.archived else OF_QUEUE, self._do, self._do_all, self._choose_none)

    def _pager(self) -> None:
        with ui.element("nav").classes("row-of pager").props('aria-label="Pages of messages"'):
            self._first = button("First page", self._from_start, icon="first_page")
            self._back = button("Previous", lambda: self._turn_page(back=True), icon="chevron_left")
            self._on = button("Next", lambda: self._turn_page(back=False), icon="chevron_right")

    async def _turn_page(self, *, back: bool) -> None:
        if not self._shown or not self._shown.rows:
            await self._from_start()
            return
        row = self._shown.rows[0 if back else -1]
        sort, descending = self.place.sort, self.place.descending
        key = (row[sort], row["msg_id"])
        self.place = Place(sort, descending, "before" if back else "after", key)
        await self._refresh()
        # Fewer may be left before a page than it takes to fill one.
        if back and len(self._shown.rows) < ROWS:
            await self._from_start()

    async def _from_start(self) -> None:
        self.place = Place(self.place.sort, self.place.descending)
        await self._refresh()

    async def _sort(self, column: str) -> None:
        self.place = Place(column, column == self.place.sort and not self.place.descending)
        await self._refresh()

    async def _turn(self) -> None:
        """To the other tab."""
        self._bar = self._made_bar()
        self._choose_none()
        self.filters.of_archive(self.archived)
        self.place = Place("archived_at", descending=True) if self.archived else Place()
        await self._refresh()

    async def _look(self, msg_id: int) -> None:
        await self._panel.look(msg_id, archived=self.archived)

    def _choose_none(self) -> None:
        self._table.choose_none()

    def _count_chosen(self) -> None:
        self._bar.show(len(self._table.ids))

    async def _do(self, action: Action) -> None:
        target = Target(ids=self._table.ids)
        if target.number == 1 and action in (MAKE_VISIBLE, ARCHIVE, REQUEUE):
            await self._actions.at_once(action, target)
        elif target.number:
            await self._actions.ask(action, target)

    async def _do_all(self, action: Action) -> None:
        await self._actions.ask_for_all(action, dict(self.filters.chosen), self.filters.described)

    async def _done(self) -> None:
        self._choose_none()
        await self._refresh()
