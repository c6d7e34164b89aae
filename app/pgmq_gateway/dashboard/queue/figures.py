"""The figures above a queue's messages: estimates at first for a long queue, exact once counted."""

import time

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem, Row
from pgmq_gateway.dashboard.parts import quantities
from pgmq_gateway.dashboard.parts.rates import Rates
from pgmq_gateway.dashboard.parts.widgets import total
from pgmq_gateway.dashboard.queue.client import Queue

COUNTS = {
    "messages": "Messages",
    "visible": "Visible",
    "delayed": "Delayed",
    "in_flight": "In flight",
    "parked": "Parked",
    "archived": "Archived",
}
OTHERS = {"oldest": "Oldest", "in": "In/s", "out": "Out/s", "sent": "Total sent", "size": "Size"}
# Pause between two exact counts: this many times the duration of the latest one, so that counting uses at most 5 % of
# the time, and at least these seconds.
PAUSE_FACTOR, MIN_PAUSE_SECONDS = 20.0, 5.0


class Figures:
    """The figures. Estimates have a ~ before them."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._rates = Rates()
        self._next_count = 0.0
        self._exact: Row = {}
        with ui.element("dl").classes("totals tight"):
            self._values = {name: total(title) for name, title in (COUNTS | OTHERS).items()}

    def show(self, figures: Row, at: float) -> None:
        """Show a row of list_queues, of this time."""
        self._rates.add(at, [figures])
        self._show(figures)

    def _show(self, figures: Row) -> None:
        exact = figures["exact"]
        if exact:
            self._exact = {}
        for name in COUNTS:
            known = self._exact.get(name)
            self._values[name].text = quantities.count(
                figures[name] if known is None else known, exact=exact or known is not None
            )
        rates = self._rates.now(figures["queue_name"]) or (None, None)
        self._values["in"].text, self._values["out"].text = map(quantities.rate, rates)
        self._values["oldest"].text = quantities.age(figures["oldest_seconds"])
        self._values["sent"].text = quantities.count(figures["sent"])
        self._values["size"].text = quantities.size((figures["table_bytes"] or 0) + (figures["index_bytes"] or 0))

    async def count(self, figures: Row) -> None:
        """Count a long queue exactly, at most once per pause."""
        started = time.monotonic()
        if figures["exact"] or started < self._next_count:
            return
        answer = await self._queue.status()
        duration = time.monotonic() - started
        self._next_count = time.monotonic() + max(MIN_PAUSE_SECONDS, duration * PAUSE_FACTOR)
        if not isinstance(answer, Problem) and not self._values["messages"].is_deleted:
            self._exact = answer
            self._show(figures)
