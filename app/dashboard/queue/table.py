"""The table of messages: a page of them, what is chosen, what it is sorted by."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from nicegui import ui
from nicegui.events import GenericEventArguments

from app.dashboard import quantities
from app.dashboard.api import Row
from app.dashboard.queue.client import Place

STATES = {"visible": "visible", "delayed": "delayed", "in_flight": "in flight", "archived": "archived"}
# Name, title, what it is sorted by, class of its cells.
QUEUE = (
    ("msg_id", "Id", "msg_id", ""),
    ("state", "State", "", ""),
    ("preview", "Payload", "", "preview"),
    ("bytes", "Size", "", "wide number"),
    ("read_ct", "Reads", "read_ct", "medium number"),
    ("enqueued_at", "Age", "enqueued_at", "number"),
    ("vt", "Visible", "vt", "medium number"),
)
ARCHIVE = (
    *(column for column in QUEUE if column[0] not in ("state", "vt")),
    ("archived_at", "Archived", "archived_at", "number"),
)

HEADER = """
<q-th :props="props" :aria-sort="props.col.order">
  <button v-if="props.col.sort" type="button" class="sort" @click="$parent.$emit('sort', props.col.sort)">
    {{ props.col.label }}<span class="arrow" aria-hidden="true">{{ props.col.arrow }}</span>
  </button>
  <span v-else>{{ props.col.label }}</span>
</q-th>"""
CHOOSE_ALL = '<q-checkbox v-model="props.selected" dense aria-label="Choose all messages of this page" />'
CHOOSE = """<q-checkbox v-model="props.selected" dense :aria-label="'Choose message ' + props.row.msg_id" />"""
IDENTIFIER = """
<q-td :props="props">
  <button type="button" class="link" :aria-label="'Open message ' + props.value"
    @click.stop="$parent.$emit('look', props.value)">{{ props.value }}</button>
</q-td>"""
STATE = """
<q-td :props="props"><span :class="'state ' + props.value">{{ props.row.words.state }}</span></q-td>"""
PREVIEW = '<q-td :props="props"><span class="mono">{{ props.value }}</span></q-td>'
PLAIN = '<q-td :props="props">{{ props.row.words[props.col.name] }}</q-td>'
TIME = """
<q-td :props="props"><time :datetime="props.value" :title="new Date(props.value).toLocaleString()">
  {{ props.row.words[props.col.name] }}</time></q-td>"""


class Table:
    """The table. `look` is awaited with the id of the message that is to be seen whole, `sort` with a column."""

    def __init__(
        self,
        look: Callable[[int], Awaitable[None]],
        sort: Callable[[str], Awaitable[None]],
        chosen: Callable[[], None],
    ) -> None:
        self._chosen = chosen
        self._table = ui.table(columns=[], rows=[], row_key="msg_id", selection="multiple", pagination=0)
        self._table.props("flat dense hide-bottom hide-pagination").classes("messages")
        self._table.on_select(lambda: chosen())
        self._table.on("look", lambda event: look(int(event.args)))
        self._table.on("sort", lambda event: sort(str(event.args)))
        self._table.on("row-click", lambda event: look(_clicked(event)), [[], ["msg_id"]])
        self._slots()

    def _slots(self) -> None:
        for name, template in (
            ("header-cell", HEADER),
            ("header-selection", CHOOSE_ALL),
            ("body-selection", CHOOSE),
            ("body-cell-msg_id", IDENTIFIER),
            ("body-cell-state", STATE),
            ("body-cell-preview", PREVIEW),
            ("body-cell-bytes", PLAIN),
            ("body-cell-read_ct", PLAIN),
            ("body-cell-enqueued_at", TIME),
            ("body-cell-vt", TIME),
            ("body-cell-archived_at", TIME),
        ):
            self._table.add_slot(name, template)

    @property
    def ids(self) -> list[int]:
        """Those that are chosen, on other pages too."""
        return sorted(row["msg_id"] for row in self._table.selected)

    def choose_none(self) -> None:
        """Choose none."""
        self._table.selected = []
        self._chosen()

    def show(self, rows: Sequence[Row], place: Place, *, archived: bool) -> None:
        """Put a page there."""
        now = datetime.now(UTC)
        self._table.rows = [_row(row, now) for row in rows]
        columns = [_column(column, place) for column in (ARCHIVE if archived else QUEUE)]
        if columns != self._table.columns:
            self._table.columns = columns


def _clicked(event: GenericEventArguments) -> int:
    return int(event.args[1]["msg_id"])


def _column(column: tuple[str, str, str, str], place: Place) -> dict[str, object]:
    name, title, sort, classes = column
    order = ("descending" if place.descending else "ascending") if sort == place.sort else None
    return {
        "name": name,
        "label": title,
        "field": name,
        "align": "right" if "number" in classes else "left",
        "classes": classes,
        "headerClasses": f"{classes} {'sorted' if order else ''}",
        "sort": sort,
        "order": order,
        "arrow": {"ascending": " ↑", "descending": " ↓"}.get(order or "", ""),
    }


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
