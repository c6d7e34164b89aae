"""The table of messages: a page of them, what is chosen, what it is sorted by."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from nicegui.element import Element

from pgmq_gateway.dashboard.api import Row
from pgmq_gateway.dashboard.parts import quantities
from pgmq_gateway.dashboard.queue.client import Place

STATES = {"visible": "visible", "delayed": "delayed", "in_flight": "in flight", "archived": "archived"}
# Name, title, what it is sorted by, class of its cells.
QUEUE = (
    ("msg_id", "Id", "msg_id", ""),
    ("state", "State", "", ""),
    ("preview", "Payload", "", "payload"),
    ("bytes", "Size", "", "wide number"),
    ("read_ct", "Reads", "read_ct", "medium number"),
    ("enqueued_at", "Age", "enqueued_at", "number"),
    ("vt", "Visible", "vt", "medium number"),
)
ARCHIVE = (
    *(column for column in QUEUE if column[0] not in ("state", "vt")),
    ("archived_at", "Archived", "archived_at", "number"),
)

ARROWS: dict[str | None, str] = {"ascending": " ↑", "descending": " ↓"}
TIMES = ("enqueued_at", "vt", "archived_at")


class Table(Element, component="../static/message_table.js"):
    """The table. `look` is awaited with the id of the message that is to be seen whole, `sort` with a column."""

    def __init__(
        self,
        look: Callable[[int], Awaitable[None]],
        sort: Callable[[str], Awaitable[None]],
        chosen: Callable[[], None],
    ) -> None:
        super().__init__()
        self._told = chosen
        self._chosen: set[int] = set()
        self._props |= {"columns": [], "rows": [], "chosen": []}
        self.on("look", lambda event: look(int(event.args)))
        self.on("sort", lambda event: sort(str(event.args)))
        self.on("choose", lambda event: self._choose(event.args["ids"], on=event.args["on"]))

    @property
    def ids(self) -> list[int]:
        """Those that are chosen, on other pages too."""
        return sorted(self._chosen)

    def choose_none(self) -> None:
        """Choose none."""
        self._choose(self.ids, on=False)

    def show(self, rows: Sequence[Row], place: Place, *, archived: bool) -> None:
        """Put a page there."""
        now = datetime.now(UTC)
        self._props["rows"] = [_row(row, now) for row in rows]
        self._props["columns"] = [_column(column, place) for column in (ARCHIVE if archived else QUEUE)]
        self.update()

    def _choose(self, ids: Sequence[int], *, on: bool) -> None:
        self._chosen = self._chosen | set(ids) if on else self._chosen - set(ids)
        self._props["chosen"] = self.ids
        self.update()
        self._told()


def _column(column: tuple[str, str, str, str], place: Place) -> dict[str, object]:
    name, title, sort, classes = column
    order = ("descending" if place.descending else "ascending") if sort == place.sort else None
    looks = {"label": title, "classes": classes, "order": order, "arrow": ARROWS.get(order, "")}
    return {"name": name, "sort": sort, "time": name in TIMES, **looks}


def _row(row: Row, now: datetime) -> Row:
    """A row and its words."""
    shown = {
        "state": STATES[row["state"]],
        "bytes": quantities.size(row["bytes"]),
        "read_ct": quantities.count(row["read_ct"]),
        "enqueued_at": quantities.age(_since(row["enqueued_at"], now)),
        "vt": _visible(row, now),
        "archived_at": f"{quantities.age(_since(row['archived_at'], now))} ago" if row["archived_at"] else "-",
    }
    return {**row, "words": shown}


def _since(time: str, now: datetime) -> float:
    return (now - datetime.fromisoformat(time)).total_seconds()


def _visible(row: Row, now: datetime) -> str:
    left = -_since(row["vt"], now)
    return f"in {quantities.age(left)}" if row["state"] != "visible" and left > 0 else "now"
