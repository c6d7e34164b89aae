"""The page Queues: totals, warnings, and the table of all queues."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nicegui import ui

from pgmq_gateway.dashboard.api import Api, Problem, Row
from pgmq_gateway.dashboard.connect import snippets
from pgmq_gateway.dashboard.parts import quantities
from pgmq_gateway.dashboard.parts.lint import Findings, without_info
from pgmq_gateway.dashboard.parts.rates import POINTS, STEP_SECONDS, Rates
from pgmq_gateway.dashboard.parts.refresh import Refresh
from pgmq_gateway.dashboard.parts.shell import page
from pgmq_gateway.dashboard.parts.widgets import button, code, heading, total, words
from pgmq_gateway.dashboard.queues.creation import Creation
from pgmq_gateway.dashboard.queues.table import COUNTS, Table, row

HISTORY = timedelta(seconds=POINTS * STEP_SECONDS)
# The lint checks every permission of every queue: too expensive for each update.
LINT_SECONDS = 30.0


@page("/", "Queues")
async def queues(api: Api, search: str = "", sort: str = "") -> None:
    """The parameters are those of the address.

    sort  the name of a column; with - before it, descending
    """
    await Overview(api, search, sort).start()


@dataclass(frozen=True)
class Snapshot:
    """`warnings` is None when the lint has failed."""

    queues: Sequence[Row]
    warnings: Sequence[Row] | None


class Overview:
    def __init__(self, api: Api, search: str, sort: str) -> None:
        self._api = api
        self._rates = Rates()
        self._history_loaded = False
        # The time of the latest lint, and its findings.
        self._linted: tuple[float, Sequence[Row] | None] = (-LINT_SECONDS, None)
        self._creation = Creation(api)
        with ui.element("div").classes("head"):
            heading("Queues", 1)
            ui.element("div").classes("grow")
            self._refresh = Refresh(self._load, self._show, api.session.pictures, lambda: "/")
            if api.can("create_queue"):
                button("Create queue", self._creation.open, "primary", "add")
        self._totals = Totals()
        self._warnings = Findings(api, named=True)
        with ui.element("section").classes("stack").props("aria-label=Queues") as self._list:
            with ui.element("div").classes("head"):
                field = ui.input(placeholder="Search", value=search).props(
                    'dense outlined clearable type=search aria-label="Search queues"'
                )
            self._table = Table(sort, search)
            field.on_value_change(lambda event: self._table.search(event.value))
        self._empty = ui.element("section").classes("panel").props('aria-label="No queues"')
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
        history = await self._api.history(None, (datetime.now(UTC) - HISTORY).isoformat(), POINTS)
        self._history_loaded = not (isinstance(history, Problem) and history.outage)
        if not isinstance(history, Problem):
            self._rates.add_history(history)

    async def _lint(self) -> Sequence[Row] | None:
        at, warnings = self._linted
        if time.monotonic() - at >= LINT_SECONDS:
            answer = await self._api.warnings()
            if isinstance(answer, Problem) and answer.outage:
                return warnings
            # Findings of level info are on the page of their queue.
            warnings = None if isinstance(answer, Problem) else without_info(answer)
            self._linted = (time.monotonic(), warnings)
        return warnings

    def _show(self, snapshot: Snapshot, at: float) -> None:
        self._rates.add(at, snapshot.queues)
        rows = [row(queue, self._rates, at) for queue in snapshot.queues]
        self._totals.show(rows)
        self._table.show(rows)
        self._list.set_visibility(bool(rows))
        self._empty.set_visibility(not rows)
        self._warnings.show(snapshot.warnings or ())

    def _fill_empty(self) -> None:
        with self._empty:
            heading("No queues yet")
            if not self._api.can("create_queue"):
                words("Your key cannot create queues.", "p")
                return
            words("Create a queue with the button above, or with this command:", "p")
            snippet = snippets.Snippet(self._api.public_url, "hello", "send", snippets.PLACEHOLDER)
            create = snippets.create_queue(self._api.public_url, "hello", snippets.PLACEHOLDER)
            code(create, "command to create a queue")
            words("Then send a message:", "p")
            code(snippets.curl(snippet), "command to send a message")
            words(f"Replace {snippets.PLACEHOLDER} with a service_role key.", "p")


class Totals:
    """Sums over all queues."""

    NAMES = ("Queues", "Messages", "Visible", "Delayed", "In flight", "Parked", "Oldest", "In/s", "Out/s")

    def __init__(self) -> None:
        with ui.element("dl").classes("totals"):
            self._values = {name: total(name) for name in self.NAMES}

    def show(self, rows: Sequence[Row]) -> None:
        exact = all(row["exact"] for row in rows)
        sums = {name: sum(row[name] or 0 for row in rows) for name in COUNTS}
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
