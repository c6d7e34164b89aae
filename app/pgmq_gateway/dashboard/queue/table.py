"""The table of messages: one page, the selection, and the sort order."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from nicegui.element import Element

from pgmq_gateway.dashboard.api import Row
from pgmq_gateway.dashboard.parts import quantities
from pgmq_gateway.dashboard.queue.client import DEAD, DEAD_MEMBERS, Place
from pgmq_gateway.dashboard.queue.headers import REJECTED, death
from pgmq_gateway.dashboard.queue.views import Column, View

STATES = {
    "visible": "visible",
    "delayed": "delayed",
    "in_flight": "in flight",
    "parked": "parked",
    "archived": "archived",
}
ARROWS: dict[str | None, str] = {"ascending": " ↑", "descending": " ↓"}
TIMES = ("enqueued_at", "vt", "archived_at", "died")


class Table(Element, component="../static/message_table.js"):
    """The table.

    open        awaited with the id of the message to open
    sort        awaited with the column to sort by
    selected    called after the selection has changed
    released    called when the rows are no longer held
    selectable  whether messages can be selected
    """

    def __init__(
        self,
        open: Callable[[int], Awaitable[None]],
        sort: Callable[[str], Awaitable[None]],
        selected: Callable[[], None],
        released: Callable[[], None],
        *,
        selectable: bool,
    ) -> None:
        super().__init__()
        self._on_selected = selected
        self._on_released = released
        self._selected: set[int] = set()
        self._pointed = False
        self._props |= {"columns": [], "rows": [], "selected": [], "selectable": selectable, "current": None}
        self.on("open", lambda event: open(int(event.args)))
        self.on("sort", lambda event: sort(str(event.args)))
        self.on("select", lambda event: self._select(event.args["ids"], on=event.args["on"]))
        self.on("point", lambda event: self._point(bool(event.args)))

    @property
    def held(self) -> bool:
        """The pointer is over the rows, or some are selected: other rows would take their places."""
        return self._pointed or bool(self._selected)

    @property
    def ids(self) -> list[int]:
        """The selected messages, on all pages."""
        return sorted(self._selected)

    def clear_selection(self) -> None:
        self._select(self.ids, on=False)

    def focus(self, msg_id: int) -> None:
        """Move the keyboard's focus to a row, if it is on this page."""
        self.run_method("focus", msg_id)

    def set_current(self, msg_id: int | None) -> None:
        """Mark the open message."""
        self._props["current"] = msg_id
        self.update()

    def show(self, rows: Sequence[Row], place: Place, view: View) -> None:
        now = datetime.now(UTC)
        self._props["rows"] = [_row(row, now) for row in rows]
        self._props["columns"] = [_column(column, place) for column in view.columns]
        self.update()

    def _select(self, ids: Sequence[int], *, on: bool) -> None:
        self._selected = self._selected | set(ids) if on else self._selected - set(ids)
        self._props["selected"] = self.ids
        self.update()
        self._on_selected()
        self._release()

    def _point(self, on: bool) -> None:
        self._pointed = on
        self._release()

    def _release(self) -> None:
        if not self.held:
            self._on_released()


def _column(column: Column, place: Place) -> dict[str, object]:
    name, title, sort, classes = column
    order = ("descending" if place.descending else "ascending") if sort == place.sort else None
    looks = {"label": title, "classes": classes, "order": order, "arrow": ARROWS.get(order, "")}
    return {"name": name, "sort": sort, "time": name in TIMES, **looks}


def _row(row: Row, now: datetime) -> Row:
    """A row, with the texts to show in `words`."""
    shown = {
        "state": STATES[row["state"]],
        "bytes": quantities.size(row["bytes"]),
        "read_ct": quantities.count(row["read_ct"] % REJECTED),
        "enqueued_at": quantities.age_of(row["enqueued_at"], now),
        "vt": _visible(row, now),
        "archived_at": quantities.age_of(row["archived_at"], now, " ago") if row["archived_at"] else "-",
    }
    header = {member: row.get(f"{DEAD}{member}") for member in DEAD_MEMBERS}
    # The browser gets only the texts: senders can write a header of megabytes.
    others = {name: value for name, value in row.items() if not name.startswith(DEAD)}
    return {**others, **_letter(header, shown, now)}


def _letter(header: Row, words: Row, now: datetime) -> Row:
    """The texts of a row, with those of a dead letter."""
    dead = death(header)
    if dead is None or not any(header.values()):
        return {"words": words}
    origin = f"{dead.queue} {dead.msg_id}".strip()
    letter = {"reason": dead.reason, "origin": origin, "receives": dead.receives or "-", "note": dead.note}
    return {"died": dead.at, "words": {**words, **letter, "died": quantities.age_of(dead.at, now, " ago")}}


def _visible(row: Row, now: datetime) -> str:
    if row["state"] == "visible":
        return "now"
    passed = quantities.seconds_between(row["vt"], now)
    if passed is None:
        return str(row["vt"])
    return f"in {quantities.age(-passed)}" if passed < 0 else "now"
