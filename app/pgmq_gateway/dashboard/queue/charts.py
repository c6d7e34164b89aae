"""Charts of a queue's history: messages by state, rates, and the age of the oldest message."""

import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem, Row
from pgmq_gateway.dashboard.parts.widgets import button, heading, words
from pgmq_gateway.dashboard.queue.client import Queue
from pgmq_gateway.dashboard.queue.history import History
from pgmq_gateway.dashboard.queue.location import SPANS
from pgmq_gateway.dashboard.sessions import Picture

BUCKETS = 120
REFRESH_SECONDS = 10.0
# Intervals between the grid lines of a duration axis.
GRID_STEPS_SECONDS = (1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400)
MAX_GRID_LINES = 2
DAY_SECONDS = 86400
# Of this browser, for all queues; `folded` or nothing.
COOKIE = "pgmq_dashboard_charts"

COUNT = "value => value == null ? '-' : Math.round(value).toLocaleString('en') + ' messages'"
RATE = "value => value == null ? '-' : value.toLocaleString('en', {maximumFractionDigits: 2}) + ' per second'"
AGE = """value => { if (value == null) return '-'; const s = Math.round(value);
  return s < 60 ? s + ' s' : s < 3600 ? Math.floor(s / 60) + ' min ' + s % 60 + ' s'
    : s < 86400 ? Math.floor(s / 3600) + ' h ' + Math.floor(s % 3600 / 60) + ' min'
    : Math.floor(s / 86400) + ' d ' + Math.floor(s % 86400 / 3600) + ' h'; }"""
SHORT = "value => value >= 1e6 ? value / 1e6 + 'M' : value >= 1e3 ? value / 1e3 + 'k' : value"
SHORT_AGE = """value => value >= 86400 ? +(value / 86400).toFixed(1) + 'd'
  : value >= 3600 ? +(value / 3600).toFixed(1) + 'h' : value >= 60 ? +(value / 60).toFixed(1) + 'm' : value + 's'"""

# By column of the history: the line's name and colour.
Lines = Mapping[str, tuple[str, str]]

# Title, lines, True for stacked areas, JavaScript formatters of the tooltip's and of the axis' values.
CHARTS: Sequence[tuple[str, Lines, bool, str, str]] = (
    (
        "Messages by state",
        {
            "visible": ("Visible", "visible"),
            "delayed": ("Delayed", "delayed"),
            "in_flight": ("In flight", "in-flight"),
            "parked": ("Parked", "parked"),
        },
        True,
        COUNT,
        SHORT,
    ),
    (
        "Messages/s",
        {
            "sent_rate": ("Sent", "rate-in"),
            "read_rate": ("Read", "visible"),
            "archived_rate": ("Archived", "archived"),
            "deleted_rate": ("Deleted", "rate-out"),
        },
        False,
        RATE,
        SHORT,
    ),
    ("Age of the oldest message", {"oldest_seconds": ("Oldest", "visible")}, False, AGE, SHORT_AGE),
)


class Charts:
    """The charts. They are drawn after the page has been sent, so that it need not wait for them.

    They can be folded, which the browser remembers.
    """

    def __init__(self, queue: Queue, history: History) -> None:
        self._queue = queue
        self._history = history
        self._folded = ui.context.client.request.cookies.get(COOKIE) == "folded"
        self._connected = False
        self._pictures = queue.api.session.pictures
        self._charts: list[Chart] = []
        with ui.element("section").props('aria-label="Over time"').classes("stack over-time"):
            with ui.element("div").classes("row-of"):
                with heading(""):
                    self._fold = button("Over time", self._toggle).classes("folding")
                self._span = ui.toggle(SPANS, value=history.location.span, on_change=self._set_span)
                self._span.props("dense no-caps unelevated")
                self._span.props('aria-label="Period"').classes("spans")
                self._status = words("").classes("muted").props("role=status")
            self._row = ui.element("div").classes("charts").props('tabindex=0 role=region aria-label="Charts"')
        with self._row:
            for title, *_ in CHARTS:
                with ui.element("div").classes("panel chart"):
                    heading(title, 3)
        self._show_fold()

    def _show_fold(self) -> None:
        self._fold.props(f"icon={'expand_more' if self._folded else 'expand_less'}")
        self._fold.props(f"aria-expanded={'false' if self._folded else 'true'}")
        for element in (self._row, self._span):
            element.set_visibility(not self._folded)

    async def _toggle(self) -> None:
        self._folded = not self._folded
        value = "folded" if self._folded else "open"
        ui.run_javascript(f'document.cookie = "{COOKIE}={value}; Path=/; Max-Age=31536000; SameSite=Strict"')
        self._show_fold()
        await self._draw()

    async def _set_span(self) -> None:
        self._history.replace(span=self._span.value)
        await self.load()

    def show_span(self) -> None:
        """Show the period of the location."""
        self._span.value = self._history.location.span

    async def start(self) -> None:
        """Draw the charts, then update them periodically; those that are folded, once they are unfolded."""
        self._connected = True
        await self._draw()

    async def _draw(self) -> None:
        if self._folded or self._charts or not self._connected:
            return
        self._row.clear()
        with self._row:
            self._charts = [Chart(*kind) for kind in CHARTS]
            ui.timer(REFRESH_SECONDS, self.load, immediate=False)
        if picture := self._pictures[self._picture]:
            self._show(cast(Sequence[Row], picture.data), self._since(picture.at), picture.at)
        await self.load()

    async def load(self) -> None:
        if self._folded:
            return
        name, at = self._picture, time.time()
        since = self._since(at)
        answer = await self._queue.api.history(self._queue.name, since.isoformat(), BUCKETS)
        if self._row.is_deleted:
            return
        # With a Problem, the earlier samples stay.
        self._status.text = _failure(answer) if isinstance(answer, Problem) else ""
        if not isinstance(answer, Problem):
            self._pictures[name] = Picture(answer, at)
            self._show(answer, since, at)

    def _show(self, samples: Sequence[Row], since: datetime, at: float) -> None:
        for chart in self._charts:
            chart.show(samples, since, datetime.fromtimestamp(at, UTC))

    def _since(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, UTC) - timedelta(minutes=self._span.value)

    @property
    def _picture(self) -> str:
        return f"history of {self._queue.name} {self._span.value}"


def _failure(problem: Problem) -> str:
    """Empty for an outage, which the page's banner shows."""
    if problem.absent:
        return "No history: the database lacks pgmq_admin.history. To add it, run: pgmq-gateway install"
    return "" if problem.outage else f"{problem.code} {problem.message}"


class Chart:
    def __init__(self, title: str, lines: Lines, stacked: bool, tooltip: str, axis: str) -> None:
        self._lines = lines
        with ui.element("figure").classes("panel chart").props(f'aria-label="{title}"'):
            with ui.element("figcaption").classes("row-of"):
                heading(title, 3)
                ui.element("div").classes("grow")
                if len(lines) > 1:
                    for name, colour in lines.values():
                        _key(name, colour)
            self._chart = ui.echart(_options(lines, stacked, tooltip, axis), renderer="svg").classes("drawing")
            self._empty = words("No samples in this period.", "p").classes("muted empty")
        self._stacked = stacked
        self._empty.set_visibility(False)

    def show(self, samples: Sequence[Row], since: datetime, until: datetime) -> None:
        known = [row[name] for row in samples for name in self._lines if row[name] is not None]
        self._empty.set_visibility(not known)
        options = self._chart.options
        if "oldest_seconds" in self._lines:
            oldest = max(known, default=0)
            step = _step(oldest)
            options["yAxis"] |= {"interval": step, "max": max(1, math.ceil(oldest / step)) * step}
        options["xAxis"] |= {"min": since.timestamp() * 1000, "max": until.timestamp() * 1000}
        times = [datetime.fromisoformat(row["at"]).timestamp() * 1000 for row in samples]
        for place, (series, name) in enumerate(zip(options["series"], self._lines, strict=True)):
            values = [row[name] for row in samples]
            drawn = _without_zeros(values) if self._stacked and place else values
            series["data"] = list(zip(times, drawn, strict=True))
        self._chart.update()


def _without_zeros(values: Sequence[float | None]) -> list[float | None]:
    """The values of an upper line of a stack. Where it stays at zero, it would cover the line below."""
    return [value if any(values[max(place - 1, 0) : place + 2]) else None for place, value in enumerate(values)]


def _step(seconds: float) -> int:
    """The interval between grid lines: round numbers of seconds, minutes, hours or days."""
    days = math.ceil(seconds / MAX_GRID_LINES / DAY_SECONDS)
    return next((step for step in GRID_STEPS_SECONDS if seconds <= step * MAX_GRID_LINES), days * DAY_SECONDS)


def _key(name: str, colour: str) -> None:
    with ui.element("span").classes("key"):
        ui.element("span").classes("swatch").style(f"background: var(--{colour})").props("aria-hidden=true")
        words(name)


def _options(lines: Lines, stacked: bool, tooltip: str, axis: str) -> dict[str, Any]:
    """ECharts' options. Its SVG renderer keeps CSS variables, so that the colours follow the theme."""
    text = {"color": "var(--muted)", "fontSize": 11}
    return {
        "animation": False,
        "grid": {"left": 46, "right": 12, "top": 10, "bottom": 24},
        "tooltip": {
            "trigger": "axis",
            "confine": True,
            ":valueFormatter": tooltip,
            "backgroundColor": "var(--surface)",
            "borderColor": "var(--line)",
            "textStyle": {"color": "var(--text)", "fontSize": 12},
            "axisPointer": {"lineStyle": {"color": "var(--muted)"}, "animation": False},
        },
        "xAxis": {
            "type": "time",
            "axisLabel": {**text, "hideOverlap": True},
            "axisLine": {"lineStyle": {"color": "var(--line)"}},
            "axisTick": {"lineStyle": {"color": "var(--line)"}},
        },
        "yAxis": {
            "type": "value",
            "min": 0,
            "minInterval": 1 if stacked else 0,
            "axisLabel": {**text, ":formatter": axis},
            "splitLine": {"lineStyle": {"color": "var(--line)"}},
            "splitNumber": 2,
        },
        "series": [_series(name, colour, stacked=stacked) for name, colour in lines.values()],
    }


def _series(name: str, colour: str, *, stacked: bool) -> dict[str, Any]:
    paint = {"color": f"var(--{colour})"}
    return {
        "name": name,
        "type": "line",
        "data": [],
        "showSymbol": False,
        "itemStyle": paint,
        "lineStyle": {**paint, "width": 1.5},
        "emphasis": {"disabled": True},
        **({"stack": "all", "areaStyle": {**paint, "opacity": 0.25}} if stacked else {}),
    }
