"""The table of all queues: sorted, searched and paged in the browser."""

from collections.abc import Sequence

from nicegui.element import Element

from pgmq_gateway.dashboard.api import Row
from pgmq_gateway.dashboard.parts import quantities
from pgmq_gateway.dashboard.parts.rates import HEIGHT_PX, WIDTH_PX, Rates

ROWS_PER_PAGE = 50
COUNTS = ("messages", "visible", "delayed", "in_flight", "parked")

# Name, title, kind of value, class of the cells.
COLUMNS = (
    ("queue_name", "Queue", "", ""),
    ("queue_type", "Type", "", "wide type"),
    ("rls", "RLS", "", "wide rls"),
    ("messages", "Depth", "number", ""),
    ("visible", "Visible", "number", ""),
    ("delayed", "Delayed", "number", "wide"),
    ("in_flight", "In flight", "number", "medium"),
    ("parked", "Parked", "number", "wide"),
    ("oldest_seconds", "Oldest", "number", ""),
    ("in_rate", "In/s", "number", "wide rate"),
    ("out_rate", "Out/s", "number", "wide rate"),
    ("activity", "Activity", "", "wide activity"),
)


class Table(Element, component="../static/queue_table.js"):
    """The rows in the order that the user selects. Their order stays while the pointer is over them.

    The address of the page has the text of the search, and the order if it is not the first one.
    """

    def __init__(self, sort: str, search: str) -> None:
        super().__init__()
        self._props |= {
            "columns": [_column(*column) for column in COLUMNS],
            "rows": [],
            "filter": search,
            "sort": sort,
            "rowsPerPage": ROWS_PER_PAGE,
            "spark": {"width": WIDTH_PX, "height": HEIGHT_PX},
        }

    def show(self, rows: Sequence[Row]) -> None:
        """Show rows of `row`."""
        self._props["rows"] = list(rows)
        self.update()

    def search(self, text: str | None) -> None:
        """Show only queues with this text."""
        self._props["filter"] = text or ""
        self.update()


def _column(name: str, title: str, kind: str, classes: str) -> dict[str, object]:
    align = "right" if kind == "number" else "left"
    looks = {"label": title, "align": align, "classes": classes, "headerClasses": classes}
    return {"name": name, "field": name, "sortable": name != "activity", **looks}


def row(queue: Row, rates: Rates, now: float) -> Row:
    """A row of the table: the values to sort by, and in `words` the texts to show."""
    rate_in, rate_out = rates.now(queue["queue_name"]) or (None, None)
    shown = {
        **{name: quantities.count(queue[name], exact=queue["exact"]) for name in COUNTS},
        "oldest_seconds": quantities.age(queue["oldest_seconds"]),
        "in_rate": quantities.rate(rate_in),
        "out_rate": quantities.rate(rate_out),
    }
    kept = ("queue_name", "queue_type", "rls", "paused", "is_full", "exact", *COUNTS, "oldest_seconds")
    lines = rates.lines(queue["queue_name"], now)
    values = {name: queue[name] for name in kept}
    return {**values, "in_rate": rate_in, "out_rate": rate_out, "words": shown, "lines": lines}
