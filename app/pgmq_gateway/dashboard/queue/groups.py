"""The groups of a queue with group_limit: a dialog with those that have the most parked messages."""

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem, Row
from pgmq_gateway.dashboard.parts import quantities
from pgmq_gateway.dashboard.parts.widgets import Failure, button, field, heading, labelled, words
from pgmq_gateway.dashboard.queue.client import Queue

# list_groups counts the parked messages of a group up to this number.
MAX_COUNTED = 1000
# Title, and class of the cells, of each column but the first.
COLUMNS = (
    ("Parked", "number"),
    ("Visible", "number medium"),
    ("Delayed", "number medium"),
    ("In flight", "number"),
    ("Oldest", "number"),
)
EXPLANATION = (
    "Of each group at most {limit} messages are visible, delayed or in flight; the others are parked. These are the "
    "groups with the most parked messages, of the first 1,000 in the order of their names."
)

# Awaited with the name of a group.
Select = Callable[[str], Awaitable[None]]


class Groups:
    """The button that opens the dialog, on the page of a queue with group_limit. `select` shows a group's messages."""

    def __init__(self, queue: Queue, select: Select) -> None:
        self._queue = queue
        self._select = select
        self._limit: int | None = None
        self._button = button("Groups", self._open, icon="low_priority")
        self._button.set_visibility(False)

    def show(self, figures: Row) -> None:
        """Show a row of list_queues."""
        self._limit = figures["group_limit"]
        self._button.set_visibility(self._limit is not None)

    async def _open(self) -> None:
        await GroupsDialog(self._queue, self._limit, self._select).load()


class GroupsDialog:
    def __init__(self, queue: Queue, limit: int | None, select: Select) -> None:
        self._queue = queue
        self._select = select
        title = f"Groups of {queue.name}"
        with (
            ui.context.client.content,
            labelled(ui.dialog(), title) as self._dialog,
            ui.card().classes("dialog wide-dialog"),
        ):
            heading(title)
            words(EXPLANATION.format(limit=limit), "p").classes("muted")
            self._first = field("Begin with the name").props("clearable autocomplete=off spellcheck=false debounce=350")
            self._first.on_value_change(self.load)
            self._failure = Failure()
            self._place = ui.element("div").classes("scroll groups").props('role=region tabindex=0 aria-label="Groups"')
            self._empty = words("No message has such a group.", "p").classes("muted")
            with ui.element("div").classes("actions"):
                button("Update", self.load)
                button("Close", self._dialog.close).props("autofocus")
        self._empty.set_visibility(False)
        self._dialog.on("hide", self._dialog.delete)
        self._dialog.open()

    async def load(self) -> None:
        first = self._first.value or ""
        answer = await self._queue.call("list_groups", {"from_group": first})
        # The response for another text can be the later one.
        if self._place.is_deleted or first != (self._first.value or ""):
            return
        if isinstance(answer, Problem):
            self._failure.show(answer, "The groups could not be listed.")
            return
        self._failure.clear()
        self._place.clear()
        self._place.set_visibility(bool(answer))
        self._empty.set_visibility(not answer)
        with self._place:
            self._table(answer)

    def _table(self, rows: Sequence[Row]) -> None:
        with ui.element("table").classes("facts").props("aria-label=Groups"):
            with ui.element("thead"), ui.element("tr"):
                words("Group", "th").props("scope=col")
                for title, classes in COLUMNS:
                    words(title, "th").classes(classes).props("scope=col")
            with ui.element("tbody"):
                for row in rows:
                    self._row(row)

    def _row(self, row: Row) -> None:
        name = row["group_name"]
        with ui.element("tr"):
            with ui.element("th").props("scope=row"):
                link = words(name, "button").classes("link").on("click", lambda: self._show_messages(name))
                labelled(link.props("type=button"), f"Show the messages of group {name}")
            parked, *others = (quantities.count(row[state]) for state in ("parked", "visible", "delayed", "in_flight"))
            more = "+" if row["parked"] == MAX_COUNTED else ""
            texts = (f"{parked}{more}", *others, quantities.age(row["oldest_seconds"]))
            for text, (_, classes) in zip(texts, COLUMNS, strict=True):
                words(text, "td").classes(classes)

    async def _show_messages(self, name: str) -> None:
        self._dialog.close()
        await self._select(name)
