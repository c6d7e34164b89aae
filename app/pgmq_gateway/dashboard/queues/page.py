"""The page Queues: totals, warnings, and the table of all queues."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from nicegui import ui

from pgmq_gateway.dashboard.api import Api, Problem, Row
from pgmq_gateway.dashboard.connect import snippets
from pgmq_gateway.dashboard.parts import quantities
from pgmq_gateway.dashboard.parts.lint import finding, without_info
from pgmq_gateway.dashboard.parts.rates import HEIGHT_PX, POINTS, STEP_SECONDS, WIDTH_PX, Rates
from pgmq_gateway.dashboard.parts.refresh import Refresh
from pgmq_gateway.dashboard.parts.shell import page, queue_address
from pgmq_gateway.dashboard.parts.widgets import button, code, heading, total, words
from pgmq_gateway.dashboard.queues.creation import Creation

HISTORY = timedelta(seconds=POINTS * STEP_SECONDS)
# The lint checks every permission of every queue: too expensive for each update.
LINT_SECONDS = 30.0
ROWS_PER_PAGE = 50
# The others are folded.
MAX_UNFOLDED_WARNINGS = 3

# Name, title, kind of value, class of the cells.
COLUMNS = (
    ("queue_name", "Queue", "", ""),
    ("queue_type", "Type", "", "wide type"),
    ("rls", "RLS", "", "wide rls"),
    ("messages", "Depth", "number", ""),
    ("visible", "Visible", "number", ""),
    ("delayed", "Delayed", "number", "wide"),
    ("in_flight", "In flight", "number", "medium"),
    ("oldest_seconds", "Oldest", "number", ""),
    ("in_rate", "In/s", "number", "wide rate"),
    ("out_rate", "Out/s", "number", "wide rate"),
    ("activity", "Activity", "", "wide activity"),
)
HEADER = """
<q-th :props="props" :aria-sort="props.col.__thClass.includes('sorted') ?
    (props.col.__thClass.includes('sort-desc') ? 'descending' : 'ascending') : null">
  <button v-if="props.col.sortable" type="button" class="sort">{{ props.col.label }}</button>
  <span v-else>{{ props.col.label }}</span>
</q-th>"""
NAME = """
<q-td :props="props">
  <a :href="'/queues/' + encodeURIComponent(props.row.queue_name)">{{ props.row.queue_name }}</a>
  <span class="narrow badge">{{ props.row.queue_type }}</span>
  <span v-if="!props.row.rls" class="narrow badge warn">no RLS</span>
</q-td>"""
TYPE = '<q-td :props="props"><span class="badge">{{ props.value }}</span></q-td>'
RLS = """
<q-td :props="props">
  <span :class="props.value ? 'badge good' : 'badge warn'">{{ props.value ? 'on' : 'off' }}</span>
</q-td>"""
NUMBER = '<q-td :props="props">{{ props.row.words[props.col.name] }}</q-td>'
ACTIVITY = f"""
<q-td :props="props">
  <svg class="spark" viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" width="{WIDTH_PX}" height="{HEIGHT_PX}" role="img"
      :aria-label="'In ' + props.row.words.in_rate + ', out ' + props.row.words.out_rate + ' per second'">
    <polyline class="in" :points="props.row.lines.in" /><polyline class="out" :points="props.row.lines.out" />
  </svg>
</q-td>"""


@page("/", "Queues")
async def queues(api: Api) -> None:
    await Overview(api).start()


@dataclass(frozen=True)
class Snapshot:
    """`warnings` is None when the lint has failed."""

    queues: Sequence[Row]
    warnings: Sequence[Row] | None = field(default=None)


class Overview:
    def __init__(self, api: Api) -> None:
        self._api = api
        self._rates = Rates()
        self._history_loaded = False
        # The time of the latest lint, and its findings.
        self._linted: tuple[float, Sequence[Row] | None] = (-LINT_SECONDS, None)
        self._creation = Creation(api, self._after_creation)
        with ui.element("div").classes("head"):
            heading("Queues", 1)
            ui.element("div").classes("grow")
            self._refresh = Refresh(self._load, self._show)
            button("Create queue", self._creation.open, "primary", "add")
        self._totals = Totals()
        self._warnings = ui.element("section").props('aria-label="Warnings"').classes("stack")
        with ui.element("section").classes("stack").props("aria-label=Queues") as self._list:
            with ui.element("div").classes("head"):
                search = ui.input(placeholder="Search").props(
                    'dense outlined clearable type=search aria-label="Search queues"'
                )
            self._table = _table().bind_filter_from(search, "value", lambda value: value or "")
        self._empty = ui.element("section").classes("panel").props('aria-label="No queues"')
        self._warnings_shown: Sequence[Row] = ()
        self._warnings.set_visibility(False)
        self._list.set_visibility(False)
        self._empty.set_visibility(False)
        self._fill_empty()

    async def start(self) -> None:
        await self._refresh.now()

    async def _load(self) -> Snapshot | Problem:
        listed, warnings, _ = await asyncio.gather(self._api.queues(), self._lint(), self._load_history())
        return listed if isinstance(listed, Problem) else Snapshot(listed, warnings)

    async def _load_history(self) -> None:
        if self._history_loaded:
            return
        self._history_loaded = True
        history = await self._api.history(None, (datetime.now(UTC) - HISTORY).isoformat(), POINTS)
        if not isinstance(history, Problem):
            self._rates.add_history(history)

    async def _lint(self) -> Sequence[Row] | None:
        at, warnings = self._linted
        if time.monotonic() - at >= LINT_SECONDS:
            answer = await self._api.warnings()
            # Findings of level info are on the page of their queue.
            warnings = None if isinstance(answer, Problem) else without_info(answer)
            self._linted = (time.monotonic(), warnings)
        return warnings

    def _show(self, snapshot: Snapshot) -> None:
        now = time.time()
        self._rates.add(now, snapshot.queues)
        rows = [_row(queue, self._rates, now) for queue in snapshot.queues]
        self._totals.show(rows)
        self._table.rows = rows
        one_page = len(rows) <= ROWS_PER_PAGE
        self._table.props(add="hide-bottom" if one_page else "", remove="" if one_page else "hide-bottom")
        self._list.set_visibility(bool(rows))
        self._empty.set_visibility(not rows)
        self._show_warnings(snapshot.warnings or ())

    def _show_warnings(self, warnings: Sequence[Row]) -> None:
        if warnings == self._warnings_shown:
            return
        self._warnings_shown = warnings
        self._warnings.clear()
        self._warnings.set_visibility(bool(warnings))
        with self._warnings:
            for warning in warnings[:MAX_UNFOLDED_WARNINGS]:
                _warning(warning)
            if more := warnings[MAX_UNFOLDED_WARNINGS:]:
                with ui.element("details").classes("stack"):
                    words(f"{len(more)} more {'warning' if len(more) == 1 else 'warnings'}", "summary")
                    for warning in more:
                        _warning(warning)

    def _fill_empty(self) -> None:
        with self._empty:
            heading("No queues yet")
            words("Create a queue with the button above, or with this command:", "p")
            snippet = snippets.Snippet(self._api.public_url, "hello", "send", snippets.PLACEHOLDER)
            create = snippets.create_queue(self._api.public_url, "hello", snippets.PLACEHOLDER)
            code(create, "command to create a queue")
            words("Then send a message:", "p")
            code(snippets.curl(snippet), "command to send a message")
            words(f"Replace {snippets.PLACEHOLDER} with a service_role key.", "p")

    async def _after_creation(self) -> None:
        self._linted = (-LINT_SECONDS, None)
        await self._refresh.now()


class Totals:
    """Sums over all queues."""

    NAMES = ("Queues", "Messages", "Visible", "Delayed", "In flight", "Oldest", "In/s", "Out/s")

    def __init__(self) -> None:
        with ui.element("dl").classes("totals"):
            self._values = {name: total(name) for name in self.NAMES}

    def show(self, rows: Sequence[Row]) -> None:
        exact = all(row["exact"] for row in rows)
        sums = {name: sum(row[name] or 0 for row in rows) for name in ("messages", "visible", "delayed", "in_flight")}
        oldest = max((row["oldest_seconds"] for row in rows if row["oldest_seconds"] is not None), default=None)
        texts = [
            quantities.count(len(rows)),
            *(quantities.count(number, exact=exact) for number in sums.values()),
            quantities.age(oldest),
            *(quantities.rate(_sum(row[name] for row in rows)) for name in ("in_rate", "out_rate")),
        ]
        for place, text in zip(self._values.values(), texts, strict=True):
            place.text = text


def _sum(rates: object) -> float | None:
    known = [rate for rate in rates if rate is not None]  # type: ignore[attr-defined]
    return sum(known) if known else None


def _table() -> ui.table:
    columns = [
        {
            "name": name,
            "label": title,
            "field": name,
            "sortable": name != "activity",
            "align": "right" if kind == "number" else "left",
            "classes": where,
            "headerClasses": where,
        }
        for name, title, kind, where in COLUMNS
    ]
    table = ui.table(
        columns=columns,
        rows=[],
        row_key="queue_name",
        pagination={"rowsPerPage": ROWS_PER_PAGE, "sortBy": "queue_name", "descending": False},
    )
    table.props("flat dense binary-state-sort").classes("queues")
    table.add_slot("header-cell", HEADER)
    table.add_slot("body-cell-queue_name", NAME)
    table.add_slot("body-cell-queue_type", TYPE)
    table.add_slot("body-cell-rls", RLS)
    table.add_slot("body-cell-activity", ACTIVITY)
    for name, _, kind, _ in COLUMNS:
        if kind == "number":
            table.add_slot(f"body-cell-{name}", NUMBER)
    return table


def _row(queue: Row, rates: Rates, now: float) -> Row:
    """A row of the table: the values to sort by, and in `words` the texts to show."""
    rate_in, rate_out = rates.now(queue["queue_name"]) or (None, None)
    shown = {
        **{
            name: quantities.count(queue[name], exact=queue["exact"])
            for name in ("messages", "visible", "delayed", "in_flight")
        },
        "oldest_seconds": quantities.age(queue["oldest_seconds"]),
        "in_rate": quantities.rate(rate_in),
        "out_rate": quantities.rate(rate_out),
    }
    kept = ("queue_name", "queue_type", "rls", "exact", "messages", "visible", "delayed", "in_flight", "oldest_seconds")
    lines: Mapping[str, str] = rates.lines(queue["queue_name"], now)
    values = {name: queue[name] for name in kept}
    return {**values, "in_rate": rate_in, "out_rate": rate_out, "words": shown, "lines": lines}


def _warning(warning: Row) -> None:
    name = warning.get("queue_name")
    finding(warning, queue_address(name) if name else None)
