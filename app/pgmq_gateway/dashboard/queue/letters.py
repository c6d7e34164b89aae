"""Links between a queue and its dead-letter queue, with the numbers of dead letters."""

import time
from collections.abc import Sequence
from urllib.parse import quote

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem, Row
from pgmq_gateway.dashboard.parts.quantities import count
from pgmq_gateway.dashboard.parts.widgets import words
from pgmq_gateway.dashboard.queue.client import Queue
from pgmq_gateway.dashboard.queue.views import LETTERS

# Pause between two counts: this many times the duration of the latest one.
PAUSE_FACTOR = 20.0
MAX_LINKS = 5


class Letters:
    """The links. `origins` are the queues whose dead letters are here; None: there are none."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._next_count = 0.0
        self._shown: Sequence[Row] = ()
        self.origins: Sequence[str] | None = None
        self._place = ui.element("nav").classes("row-of").props('aria-label="Dead letters"')
        self._place.set_visibility(False)

    async def load(self) -> None:
        started = time.monotonic()
        if started < self._next_count:
            return
        answer = await self._queue.dead_letters()
        ended = time.monotonic()
        self._next_count = ended + (ended - started) * PAUSE_FACTOR
        if not isinstance(answer, Problem) and answer != self._shown and not self._place.is_deleted:
            self._show(answer)

    def _show(self, rows: Sequence[Row]) -> None:
        self._shown = rows
        here = [row for row in rows if row["dead_letter_queue"] == self._queue.name]
        self.origins = [row["origin"] for row in here] if here else None
        self._place.clear()
        self._place.set_visibility(bool(rows))
        with self._place:
            for row in rows:
                if row not in here:
                    words("Dead letters in").classes("muted")
                    _link(row, row["dead_letter_queue"], LETTERS.name)
            if here:
                words("Dead letters of").classes("muted")
            for row in here[:MAX_LINKS]:
                _link(row, row["origin"])
            if more := here[MAX_LINKS:]:
                words(f"and {len(more)} more queues").classes("muted")


def address(queue: str, view: str = "") -> str:
    """The URL of a queue's page."""
    return f"/queues/{quote(queue, safe='')}" + (f"?view={quote(view)}" if view else "")


def _link(row: Row, queue: str, view: str = "") -> None:
    ui.link(f"{queue}: {count(row['messages'])}{'' if row['exact'] else '+'}", address(queue, view))
