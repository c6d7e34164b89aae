"""Small read-only tables."""

from collections.abc import Sequence

from nicegui import ui

from pgmq_gateway.dashboard.parts.widgets import words

Cells = tuple[str, ...]


class Facts:
    """A table whose first column names the row. The other columns are numbers unless they are among `texts`.

    empty  the text shown without rows
    """

    def __init__(self, label: str, heads: Cells, empty: str, texts: Sequence[str] = ()) -> None:
        self._rows: Sequence[Cells] | None = None
        self._kinds = ["" if place == 0 or head in texts else "number" for place, head in enumerate(heads)]
        self._box = ui.element("div").classes("scroll").props(f'role=region tabindex=0 aria-label="{label}"')
        with self._box, ui.element("table").classes("facts").props(f'aria-label="{label}"'):
            with ui.element("thead"), ui.element("tr"):
                for head, kind in zip(heads, self._kinds, strict=True):
                    words(head, "th").classes(kind).props("scope=col")
            self._body = ui.element("tbody")
        self._empty = words(empty, "p").classes("muted")
        self.show(())

    def show(self, rows: Sequence[Cells]) -> None:
        """Replace the rows."""
        if rows == self._rows:
            return
        self._rows = rows
        self._box.set_visibility(bool(rows))
        self._empty.set_visibility(not rows)
        self._body.clear()
        with self._body:
            for row in rows:
                with ui.element("tr"):
                    words(row[0], "th").props("scope=row")
                    for text, kind in zip(row[1:], self._kinds[1:], strict=True):
                        words(text, "td").classes(kind)
