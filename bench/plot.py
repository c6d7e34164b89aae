"""Draws the rows as bars relative to Postgres alone, in an SVG for light and dark pages."""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from bench.cell import Cell
from bench.contenders import Name
from bench.results import Row
from bench.selection import Preset, Selection

WIDTH = 860
LEFT = 20
BAR = 15
GAP = 3
HEADING = 24
BARS_LEFT = 110
# Leaves room for labels to the right of the longest bar.
BARS_WIDTH = 470
MAX_CELLS = 16

STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
.cell { font-weight: 600 } .note { fill: #59636e; font-size: 11px } .limit { stroke: #59636e; stroke-dasharray: 3 3 }
.gateway { fill: #0969da } .gateway-2 { fill: #54aeff } .baseline { fill: #8250df }
.pgbouncer { fill: #1b7c83 }
.pgmq-api { fill: #bf8700 } .postgrest { fill: #bc4c00 }
.postgres { fill: #818b98 } .failed { fill: #cf222e }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .note { fill: #9198a1 } .limit { stroke: #9198a1 }
  .gateway { fill: #4493f8 } .gateway-2 { fill: #a5d6ff } .baseline { fill: #ab7df8 }
  .pgbouncer { fill: #3bc9db }
  .pgmq-api { fill: #d29922 } .postgrest { fill: #db6d28 }
  .postgres { fill: #656c76 } .failed { fill: #f85149 }
}
"""


def write(path: Path, rows: Sequence[Row], footnote: str) -> None:
    """Draw the rows, without that of `floor`, which is no queue; above MAX_CELLS, only those of the default cells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    queues = [row for row in rows if row.contender is not Name.FLOOR]
    path.write_text("\n".join(_drawing(_selected(queues), footnote)) + "\n")


def _selected(rows: Sequence[Row]) -> list[Row]:
    cells = list(dict.fromkeys(row.cell for row in rows))
    if len(cells) > MAX_CELLS:
        defaults = set(Selection().cells(Preset.DEFAULT))
        cells = [cell for cell in cells if cell in defaults][:MAX_CELLS] or cells[:MAX_CELLS]
    return [row for row in rows if row.cell in cells]


def _drawing(rows: Sequence[Row], footnote: str) -> Iterator[str]:
    groups = [(cell, list(of_cell)) for cell, of_cell in groupby(rows, key=lambda row: row.cell)]
    height = sum(_height(of_cell) for _, of_cell in groups) + 56
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">'
    yield "<title>Operations a second, as parts of what Postgres alone does</title>"
    yield f"<style>{STYLE}</style>"
    top = 8
    for cell, of_cell in groups:
        yield from _group(cell, of_cell, top)
        top += _height(of_cell)
    yield _text(LEFT, top + 22, "Bars: operations a second; dashed: Postgres alone (pgbench). Medians.", "note")
    yield _text(LEFT, top + 38, footnote, "note")
    yield "</svg>"


def _height(rows: Sequence[Row]) -> int:
    return HEADING + len(rows) * (BAR + GAP) + 8


def _group(cell: Cell, rows: Sequence[Row], top: int) -> Iterator[str]:
    yield _text(LEFT, top + 16, str(cell), "cell")
    most = max((row.rate for row in rows if not row.faults), default=0) or 1
    for number, row in enumerate(rows):
        y = top + HEADING + number * (BAR + GAP)
        yield _text(LEFT, y + 12, row.contender.value, "note")
        if row.faults:
            yield _text(BARS_LEFT, y + 12, "failed", "failed")
            continue
        length = max(1.0, BARS_WIDTH * row.rate / most)
        place = f'x="{BARS_LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"'
        yield f'<rect {place} class="{row.contender.value}"/>'
        yield _text(BARS_LEFT + length + 6, y + 12, _label(row), "note")
    limit = next((row.rate for row in rows if row.contender is Name.POSTGRES and not row.faults), None)
    if limit is not None:
        x = BARS_LEFT + BARS_WIDTH * limit / most
        bottom = top + HEADING + len(rows) * (BAR + GAP)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top + HEADING - 3}" y2="{bottom}" class="limit"/>'


def _label(row: Row) -> str:
    rate = f"{row.rate:,.0f}" if row.rate >= 100 else f"{row.rate:.1f}"
    part = row.ratios.get(Name.POSTGRES.value)
    whole = f"{rate}/s" if part is None else f"{rate}/s, {part:.2f} of Postgres"
    p99 = f"{row.p99:,.0f}" if row.p99 >= 100 else f"{row.p99:.3g}"
    return whole if row.whole else f"{whole}, p99 {p99} ms"


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}">{escape(text)}</text>'
