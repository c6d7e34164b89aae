"""The messages of a queue and of its archive: filter, pages, selection and actions."""

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem
from pgmq_gateway.dashboard.parts.widgets import Failure, button, words
from pgmq_gateway.dashboard.queue.actions import AT_ONCE, Action, Target, permitted
from pgmq_gateway.dashboard.queue.bar import Bar
from pgmq_gateway.dashboard.queue.client import ROWS_PER_PAGE, Listed, Place, Queue
from pgmq_gateway.dashboard.queue.confirmations import Actions
from pgmq_gateway.dashboard.queue.filters import Filters
from pgmq_gateway.dashboard.queue.panel import Panel
from pgmq_gateway.dashboard.queue.table import Table
from pgmq_gateway.dashboard.queue.views import ARCHIVE, LETTERS, MESSAGES, VIEWS, View

FORBIDDEN = "Your key has no permission to read the messages of this queue."


class Browser:
    """The list. `refresh` loads the page's data again."""

    def __init__(
        self,
        queue: Queue,
        view: View,
        send_again: Callable[[str, str], None],
        refresh: Callable[[], Awaitable[None]],
    ) -> None:
        self._refresh = refresh
        self._api = queue.api
        self._listed: Listed | None = None
        self._actions = Actions(queue, self._done)
        self._panel = Panel(queue, send_again, self._done)
        self.place = view.place
        with ui.element("section").props("aria-label=Messages").classes("stack"):
            with ui.tabs().props("dense no-caps align=left").classes("tabs") as self._tab:
                self._tabs = {name: ui.tab(name) for name in VIEWS}
            self._tab.value = view.name
            self._tabs[LETTERS.name].set_visibility(view is LETTERS)
            self.filters = Filters(self._first_page, view)
            self._bar_place = ui.element("div")
            self._bar = self._new_bar()
            self._failure = Failure()
            self._table = Table(self._open, self._sort, self._show_selection, selectable=not queue.api.read_only)
            self._empty = words("", "p").classes("panel muted")
            self._pager()
        self._tab.on_value_change(self._switch_tab)
        self._empty.set_visibility(False)
        self._show_selection()

    @property
    def view(self) -> View:
        return VIEWS[self._tab.value]

    def offer_letters(self, origins: Sequence[str] | None) -> None:
        """Offer the view of dead letters, from these queues; None: there are none."""
        self._tabs[LETTERS.name].set_visibility(origins is not None or self.view is LETTERS)
        self.filters.offer(origins or ())

    async def show_group(self, name: str) -> None:
        """Show the messages of one group that are in the queue."""
        self._tab.value = MESSAGES.name
        await self.filters.show_group(name)

    def show(self, answer: Listed | Problem) -> None:
        if isinstance(answer, Problem) and answer.forbidden:
            self._table.set_visibility(False)
            self._empty.set_visibility(True)
            self._empty.text = FORBIDDEN
            return
        if isinstance(answer, Problem):
            self._failure.show(answer, "The messages could not be listed.")
            # With an invalid filter (400), the earlier messages would look like its result. Other errors may pass.
            self._table.set_visibility(answer.status != 400)
            return
        self._failure.clear()
        self._table.set_visibility(True)
        self._listed = answer
        self._table.show(answer.rows, self.place, self.view)
        self._empty.set_visibility(not answer.rows)
        self._empty.text = self._why_empty()
        self._first.enabled = self._previous.enabled = answer.earlier
        self._next.enabled = answer.later

    def _why_empty(self) -> str:
        if not self.filters.empty:
            return "No message matches the filter."
        return self.view.empty

    def _new_bar(self) -> Bar:
        self._bar_place.clear()
        with self._bar_place:
            actions = permitted(self._api, self.view.actions)
            return Bar(actions, self._run, self._run_on_matching, self._clear_selection)

    def _pager(self) -> None:
        with ui.element("nav").classes("row-of pager").props('aria-label="Pages of messages"'):
            self._first = button("First page", self._first_page, icon="first_page")
            self._previous = button("Previous", lambda: self._turn_page(back=True), icon="chevron_left")
            self._next = button("Next", lambda: self._turn_page(back=False), icon="chevron_right")

    async def _turn_page(self, *, back: bool) -> None:
        if not self._listed or not self._listed.rows:
            await self._first_page()
            return
        row = self._listed.rows[0 if back else -1]
        sort, descending = self.place.sort, self.place.descending
        key = (row[sort], row["msg_id"])
        self.place = Place(sort, descending, "before" if back else "after", key)
        await self._refresh()
        # Messages before this page were deleted: the first page would have gaps.
        if back and len(self._listed.rows) < ROWS_PER_PAGE:
            await self._first_page()

    async def _first_page(self) -> None:
        self.place = Place(self.place.sort, self.place.descending)
        await self._refresh()

    async def _sort(self, column: str) -> None:
        self.place = Place(column, column == self.place.sort and not self.place.descending)
        await self._refresh()

    async def _switch_tab(self) -> None:
        self._bar = self._new_bar()
        self._clear_selection()
        self.filters.show(self.view)
        self.place = self.view.place
        await self._refresh()

    async def _open(self, msg_id: int) -> None:
        await self._panel.open(msg_id, archived=self.view is ARCHIVE)

    def _clear_selection(self) -> None:
        self._table.clear_selection()

    def _show_selection(self) -> None:
        self._bar.show(len(self._table.ids))

    async def _run(self, action: Action) -> None:
        target = Target(ids=self._table.ids)
        if target.number == 1 and action in AT_ONCE:
            await self._actions.at_once(action, target)
        elif target.number:
            await self._actions.ask(action, target)

    async def _run_on_matching(self, action: Action) -> None:
        await self._actions.ask_for_matching(action, dict(self.filters.value), self.filters.described)

    async def _done(self) -> None:
        self._clear_selection()
        await self._refresh()
