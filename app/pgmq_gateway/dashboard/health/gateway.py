"""The gateway's figures on a page: how much it answers, how fast, with which errors."""

from collections.abc import Callable, Mapping
from http import HTTPStatus

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem
from pgmq_gateway.dashboard.health.scrapes import Course, Scrape
from pgmq_gateway.dashboard.parts import quantities
from pgmq_gateway.dashboard.parts.sparkline import Sparkline
from pgmq_gateway.dashboard.parts.tables import Cells, Facts
from pgmq_gateway.dashboard.parts.widgets import Failure, heading, words

ANSWERS, ERRORS, SECONDS = "pgmq_gateway_answers_total", "pgmq_gateway_errors_total", "pgmq_gateway_answer_seconds"
CALLS = "pgmq_gateway_transaction_calls"
BUSY, MAX, WAITING = "pgmq_gateway_connections_busy", "pgrst_db_pool_max", "pgrst_db_pool_waiting"
WORKERS = "pgmq_gateway_workers"
# The heads of what is counted.
RATED = ("Per second", "So far")

# Parts of the answers, and what the time is called that these do not take longer than.
QUANTILES = (
    (0.5, "Latency p50"),
    (0.95, "Latency p95"),
    (0.99, "Latency p99"),
)

# What codes mean that are not rare.
MEANINGS = {
    "22023": "a value that the function refuses",
    "22P02": "a value that is not of its type",
    "23505": "a row that is there already",
    "40001": "transactions in each other's way, again and again",
    "40P01": "transactions that waited for each other",
    "42501": "no right to do this, or no policy that lets it",
    "42P01": "a queue or table that does not exist",
    "55P03": "a lock that did not come free in time",
    "57014": "over the time limit, or cancelled",
    "P0001": "raised by a function",
    "PGRST000": "the database cannot be reached",
    "PGRST001": "the connection was lost during the call",
    "PGRST002": "the functions are not known yet",
    "PGRST003": "no connection came free in time",
    "PGRST102": "a body that is not JSON",
    "PGRST106": "a schema that is not exposed",
    "PGRST202": "no such function, or not with these arguments",
    "PGRST301": "a token that is not valid",
    "PGRST302": "no token",
    "PGRST303": "a token whose time is over, or whose claims are not accepted",
    "other": "codes that are too many to count one by one",
}


class Tile:
    """One figure: now, and over the last minutes."""

    def __init__(self, name: str, unit: str = "") -> None:
        self._unit = unit
        with ui.element("div").classes("total tile"):
            words(name, "dt")
            with ui.element("dd"):
                self._text = words("-")
                self._more = words(unit).classes("unit")
                self._line = Sparkline(name)

    def show(self, value: float | None, text: str, unit: str | None = None) -> None:
        """The figure now."""
        self._text.text = text
        self._more.text = self._unit if unit is None else unit
        self._line.add(value, f"{text} {self._more.text}")


class Gateway:
    """The figures, and what is said when there are none."""

    def __init__(self) -> None:
        self._course = Course()
        self._failure = Failure()
        self._problem: Problem | None = None
        with ui.element("div").classes("stack") as self._figures:
            with ui.element("dl").classes("totals tiles"):
                self._answers = Tile("Requests", "per second")
                self._errors = Tile("Errors", "per second")
                self._quantiles = {part: Tile(name) for part, name in QUANTILES}
                self._busy = Tile("Connections in use")
                self._waiting = Tile("Calls that wait", "for a connection")
                self._sizes = Tile("Calls per transaction", "on average")
            with ui.element("div").classes("pair"):
                self._statuses = _table("Answers by status", ("Status", *RATED), "No answers yet.")
                self._codes = _table("Errors by code", ("Code", "Meaning", *RATED), "No errors so far.", "Meaning")
                self._groups = _table("Transactions by calls", ("Calls", *RATED, "Share"), "No transactions yet.")
            self._workers = words("", "p").classes("muted")
        self._figures.set_visibility(False)

    def show(self, look: Scrape | Problem) -> None:
        """One more look at the metrics. What was shown before stays when there is a problem, which is said once."""
        if isinstance(look, Problem):
            if look != self._problem:
                self._failure.show(look, "The figures are those of before." if self._course.looks else "")
            self._problem = look
            return
        self._problem = None
        self._failure.clear()
        self._figures.set_visibility(True)
        self._course.look(look)
        self._show_tiles(look)
        self._statuses.show(self._counted(look, ANSWERS, _status))
        self._codes.show(self._counted(look, ERRORS, _code))
        self._groups.show(self._grouped(look))
        workers = look.value(WORKERS)
        self._workers.text = (
            f"{workers:.0f} worker{'s' * (workers != 1)}. So far: since the gateway was started. "
            "Rates and latencies are those of the last ten seconds; p95: 95 % of the answers took at most so long."
        )

    def _show_tiles(self, look: Scrape) -> None:
        course = self._course
        for tile, name in ((self._answers, ANSWERS), (self._errors, ERRORS)):
            tile.show(course.rate(name), quantities.rate(course.rate(name)))
        for part, tile in self._quantiles.items():
            value = course.quantile(SECONDS, part)
            tile.show(value, quantities.duration(value))
        busy, waiting, mean = look.value(BUSY), look.value(WAITING), course.mean(CALLS)
        self._busy.show(busy, quantities.count(busy), f"of {look.value(MAX):.0f}")
        self._waiting.show(waiting, quantities.count(waiting))
        self._sizes.show(mean, "-" if mean is None else f"{mean:.1f}")

    def _counted(self, look: Scrape, name: str, titles: Callable[[str], Cells]) -> list[Cells]:
        """Rows of what is counted under this name, the most frequent first."""
        rates = self._course.rates(name)
        found = sorted(look.values.get(name, {}).items(), key=lambda item: (-item[1], item[0]))
        return [
            (*titles(label), quantities.rate(None if rates is None else rates[label]), quantities.count(total))
            for label, total in found
        ]

    def _grouped(self, look: Scrape) -> list[Cells]:
        """Rows of the histogram of calls per transaction."""
        bucket = f"{CALLS}_bucket"
        totals, rates = _apart(look.values.get(bucket, {})), _apart(self._course.rates(bucket) or {})
        whole = sum(totals.values())
        return [
            (calls, quantities.rate(rates.get(calls)), quantities.count(total), quantities.share(total / whole))
            for calls, total in totals.items()
            if total
        ]


def _table(title: str, heads: Cells, nothing: str, *texts: str) -> Facts:
    with ui.element("section").classes("panel"):
        heading(title, 3)
        return Facts(title, heads, nothing, texts)


def _status(status: str) -> Cells:
    try:
        return (f"{status} {HTTPStatus(int(status)).phrase}",)
    except ValueError:
        return (status,)


def _code(code: str) -> Cells:
    return (code, MEANINGS.get(code, ""))


def _apart(below: Mapping[str, float]) -> dict[str, float]:
    """The numbers of a histogram that has whole numbers, each without those below it, by what they are of."""
    apart: dict[str, float] = {}
    low, less = 0, 0.0
    for bound, number in sorted((float(bound), number) for bound, number in below.items()):
        if bound != float("inf"):
            high = int(bound)
            apart[str(high) if high == low + 1 else f"{low + 1} to {high}"] = number - less
            low, less = high, number
    return apart
