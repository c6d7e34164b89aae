"""The messages of a queue and of its archive: filter, pages, selection, actions, and the open message."""

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem
from pgmq_gateway.dashboard.parts.widgets import Failure, button, words
from pgmq_gateway.dashboard.queue.actions import AT_ONCE, Action, Target, permitted
from pgmq_gateway.dashboard.queue.bar import All, Pager, Selection
from pgmq_gateway.dashboard.queue.client import ROWS_PER_PAGE, Filter, Listed, Place, Queue
from pgmq_gateway.dashboard.queue.confirmations import Actions
from pgmq_gateway.dashboard.queue.filters import Filters
from pgmq_gateway.dashboard.queue.history import History
from pgmq_gateway.dashboard.queue.location import Location
from pgmq_gateway.dashboard.queue.matches import Matches
from pgmq_gateway.dashboard.queue.panel import Panel
from pgmq_gateway.dashboard.queue.searches import Texts
from pgmq_gateway.dashboard.queue.table import Table
from pgmq_gateway.dashboard.queue.views import ARCHIVE, LETTERS, MESSAGES, VIEWS

Answer = Listed | Problem
FORBIDDEN = "Your key has no permission to read the messages of this queue."


class Browser:
    """The list, with the open message beside it. `refresh` loads the page's data again."""

    def __init__(
        self,
        queue: Queue,
        history: History,
        send_again: Callable[[str, str], None],
        refresh: Callable[[], Awaitable[None]],
    ) -> None:
        self._refresh = refresh
        self._api = queue.api
        self._history = history
        self._listed: Listed | None = None
        # The latest rows, while the table keeps those under the pointer.
        self._held: Listed | None = None
        self._actions = Actions(queue, self._done)
        self._matches = Matches(queue)
        view = self.location.view
        with ui.element("section").props("aria-label=Messages").classes("stack browser"):
            with ui.element("div").classes("tools"):
                with ui.tabs().props("dense no-caps align=left").classes("tabs") as self._tab:
                    self._tabs = {name: ui.tab(name) for name in VIEWS}
                self._tab.value = view.name
                self._tabs[LETTERS.name].set_visibility(view is LETTERS)
                self.filters = Filters(self._filter, self.location)
            self._failure = Failure()
            with ui.element("div").classes("split"):
                with ui.element("div").classes("list"):
                    self._news = button("", self._show_held, icon="arrow_upward").classes("news")
                    self._table = Table(
                        self._open,
                        self._sort,
                        self._show_selection,
                        self._show_held,
                        selectable=not queue.api.read_only,
                    )
                    self._empty = words("", "p").classes("panel muted")
                    self._foot = ui.element("div").classes("foot")
                self._panel = Panel(
                    queue, send_again, self._refresh_all, self._close, self._step, self.filters.add, self._open_archived
                )
            self._build_foot()
        self._tab.on_value_change(self._switch_tab)
        self._table.on("step", lambda event: self._step(int(event.args)))
        self._table.on("close", self._close)
        self._empty.set_visibility(False)
        self._news.set_visibility(False)

    @property
    def location(self) -> Location:
        return self._history.location

    def offer_letters(self, origins: Sequence[str] | None) -> None:
        """Offer the view of dead letters, from these queues; None: there are none."""
        self._tabs[LETTERS.name].set_visibility(origins is not None or self.location.view is LETTERS)
        self.filters.offer(origins or ())

    async def show_group(self, name: str) -> None:
        """Show the messages of one group that are in the queue."""
        await self._move(self.location.at(MESSAGES), texts={"group": name}, where=())

    async def visit(self) -> None:
        """Show the location that the user has gone back or forward to."""
        await self._move(self.location)
        await self.show_message()

    async def show_message(self) -> None:
        """Show the message of the location beside the list."""
        msg_id = self.location.msg_id
        self._table.set_current(msg_id)
        if msg_id is None:
            self._panel.close()
        else:
            await self._panel.open(msg_id, archived=self.location.view is ARCHIVE)

    async def load(self, filter: Filter) -> None:
        """Count the messages that match."""
        await self._matches.load(filter)

    def show(self, answer: Answer) -> None:
        """Show the rows, unless the user points at others or has selected some."""
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
        shown = self._listed.rows if self._listed else ()
        if self._table.held and shown and _ids(shown) != _ids(answer.rows):
            self._held = answer
            self._offer_news(len(_ids(answer.rows) - _ids(shown)))
        else:
            self._put(answer)

    def _put(self, listed: Listed) -> None:
        location, rows = self.location, len(listed.rows)
        self._listed, self._held = listed, None
        self._news.set_visibility(False)
        self._table.set_visibility(True)
        self._table.show(listed.rows, location.place, location.view)
        self._empty.set_visibility(not listed.rows)
        self._empty.text = location.view.empty if self.filters.empty else "No message matches the filter."
        row = location.row if listed.earlier else 1
        number = self._matches.text(row + rows - 1)
        self._pager.show(row, rows, number, earlier=listed.earlier, later=listed.later)
        self._all.show(number if rows else "0", filtered=not self.filters.empty)

    def _offer_news(self, new: int) -> None:
        self._news.text = f"{new} new" if new else "The list has changed"
        self._news.set_visibility(True)

    def _show_held(self) -> None:
        if self._held:
            self._put(self._held)

    def _build_foot(self) -> None:
        actions = permitted(self._api, self.location.view.actions)
        self._foot.clear()
        with self._foot:
            self._bar = Selection(actions, self._run, self._table.clear_selection)
            with ui.element("div").classes("row-of"):
                self._pager = Pager(self._first_page, self._turn_page)
                ui.element("div").classes("grow")
                self._all = All(actions, self._run_on_matching)

    async def _move(self, location: Location, **changes: object) -> None:
        """Show another page, filter or view."""
        switched = location.view.name != self._shown_view
        self._history.push(view=location.view, place=location.place, row=location.row, **changes)
        self._show_location(switched=switched)
        await self._refresh_all()

    @property
    def _shown_view(self) -> str:
        return str(self._tab.value)

    def _show_location(self, *, switched: bool) -> None:
        self.filters.show(self.location)
        if switched:
            self._tab.value = self.location.view.name
            self._build_foot()
            self._table.clear_selection()

    async def _refresh_all(self) -> None:
        """Load again, and show the result even under the pointer."""
        self._listed = self._held = None
        await self._refresh()
        # A load that was running before may have shown its rows meanwhile.
        self._show_held()

    async def _filter(self, texts: Texts, where: Sequence[str]) -> None:
        place = self.location.place
        self._history.replace(texts=texts, where=where, place=Place(place.sort, place.descending), row=1)
        self.filters.show(self.location)
        await self._refresh_all()

    async def _turn_page(self, back: bool) -> None:
        if not self._listed or not self._listed.rows:
            await self._first_page()
            return
        row = self._listed.rows[0 if back else -1]
        sort, descending = self.location.place.sort, self.location.place.descending
        place = Place(sort, descending, "before" if back else "after", (row[sort], row["msg_id"]))
        first = self.location.row + (-ROWS_PER_PAGE if back else len(self._listed.rows))
        self._history.push(place=place, row=max(1, first))
        await self._refresh_all()
        # Messages before this page were deleted: the first page would have gaps.
        listed: Listed | None = self._listed
        if back and listed is not None and len(listed.rows) < ROWS_PER_PAGE:
            await self._first_page()

    async def _first_page(self) -> None:
        place = self.location.place
        self._history.push(place=Place(place.sort, place.descending), row=1)
        await self._refresh_all()

    async def _sort(self, column: str) -> None:
        place = self.location.place
        descending = column == place.sort and not place.descending
        self._history.push(place=Place(column, descending), row=1)
        await self._refresh_all()

    async def _switch_tab(self) -> None:
        if self.location.view.name == self._shown_view:
            return
        await self._close()
        location = self.location.at(VIEWS[self._shown_view])
        self._history.push(view=location.view, place=location.place, row=1)
        self._show_location(switched=True)
        await self._refresh_all()

    async def _open(self, msg_id: int) -> None:
        self._history.push(msg_id=msg_id)
        await self.show_message()
        self._panel.focus()

    async def _open_archived(self, msg_id: int) -> None:
        self._tab.value = ARCHIVE.name
        await self._switch_tab()
        await self._open(msg_id)

    async def _close(self) -> None:
        msg_id = self.location.msg_id
        if msg_id is not None:
            self._history.push(msg_id=None)
            await self.show_message()
            self._table.focus(msg_id)

    async def _step(self, by: int) -> None:
        """Open the next or previous message of the list, of another page if need be."""
        if self._listed is None or self.location.msg_id is None:
            return
        ids = [row["msg_id"] for row in self._listed.rows]
        index = ids.index(self.location.msg_id) + by if self.location.msg_id in ids else 0
        if not 0 <= index < len(ids):
            if not (self._listed.later if by > 0 else self._listed.earlier):
                return
            await self._turn_page(by < 0)
            turned: Listed | None = self._listed
            ids = [row["msg_id"] for row in turned.rows] if turned is not None else []
            index = 0 if by > 0 else len(ids) - 1
        if ids:
            self._history.replace(msg_id=ids[index])
            await self.show_message()
            self._panel.keep_focus(by)

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
        self._table.clear_selection()
        await self._refresh_all()
        await self.show_message()


def _ids(rows: Sequence[dict[str, object]]) -> set[object]:
    return {row["msg_id"] for row in rows}
