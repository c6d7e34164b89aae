"""The gateway's figures: requests, latencies, errors, connections and transactions."""

from collections.abc import Callable, Mapping
from http import HTTPStatus

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem
from pgmq_gateway.dashboard.health.scrapes import Scrape, ScrapeWindow
from pgmq_gateway.dashboard.parts import quantities
from pgmq_gateway.dashboard.parts.sparkline import Sparkline
from pgmq_gateway.dashboard.parts.tables import Cells, Facts
from pgmq_gateway.dashboard.parts.widgets import Failure, heading, words

# Names of the metrics.
RESPONSES, ERRORS, LATENCY = "pgmq_gateway_answers_total", "pgmq_gateway_errors_total", "pgmq_gateway_answer_seconds"
CALLS = "pgmq_gateway_transaction_calls"
BUSY, POOL_SIZE, WAITING = "pgmq_gateway_connections_busy", "pgrst_db_pool_max", "pgrst_db_pool_waiting"
WORKERS, WAITING_REQUESTS, STREAMS = "pgmq_gateway_workers", "pgmq_gateway_waiting", "pgmq_gateway_streams"
COUNTER_COLUMNS = ("Per second", "Total")
QUANTILES = (
    (0.5, "Latency p50"),
    (0.95, "Latency p95"),
    (0.99, "Latency p99"),
)

# Meanings of the common SQLSTATEs and of PostgREST's codes.
MEANINGS = {
    "22023": "invalid argument value",
    "22P02": "value of the wrong type",
    "23505": "row already exists",
    "40001": "serialization failure",
    "40P01": "deadlock",
    "42501": "permission denied, or no policy allows it",
    "42P01": "queue or table does not exist",
    "55P03": "lock timeout",
    "57014": "statement timeout, or cancelled",
    "P0001": "raised by a function",
    "PGMQ429": "rate limit",
    "PGMQ503": "too many connections or waiting requests",
    "PGRST000": "database cannot be reached",
    "PGRST001": "connection lost during the call",
    "PGRST002": "function catalog not loaded yet",
    "PGRST003": "timeout waiting for a connection",
    "PGRST102": "body is not JSON",
    "PGRST106": "schema not exposed",
    "PGRST202": "no such function, or not with these arguments",
    "PGRST301": "invalid token",
    "PGRST302": "no token",
    "PGRST303": "expired token, or claims not accepted",
    "other": "all further codes",
}


class Tile:
    """One figure: its latest value and a sparkline. `quiet` is shown in place of the line while there is none."""

    def __init__(self, name: str, unit: str = "", quiet: str = "no traffic yet") -> None:
        self._unit = unit
        with ui.element("div").classes("total tile"):
            words(name, "dt")
            with ui.element("dd"):
                self._text = words("-")
                self._unit_text = words(unit).classes("unit")
                self._line = Sparkline(name, quiet)

    def show(self, value: float | None, text: str, unit: str | None = None) -> None:
        self._text.text = text
        self._unit_text.text = self._unit if unit is None else unit
        self._line.add(value, f"{text} {self._unit_text.text}")


class GatewayFigures:
    def __init__(self) -> None:
        self._window = ScrapeWindow()
        self._failure = Failure()
        self._problem: Problem | None = None
        with ui.element("div").classes("stack") as self._figures:
            with ui.element("dl").classes("totals tiles"):
                self._requests = Tile("Requests", "per second")
                self._errors = Tile("Errors", "per second", "no errors yet")
                self._latencies = {quantile: Tile(name) for quantile, name in QUANTILES}
                self._busy = Tile("Connections in use", quiet="none yet")
                self._waiting = Tile("Waiting calls", "for a connection", "none yet")
                self._calls = Tile("Calls per transaction", "on average")
            with ui.element("div").classes("pair"):
                columns = COUNTER_COLUMNS
                self._statuses = _table("Responses by status", ("Status", *columns), "No responses yet.")
                self._codes = _table("Errors by code", ("Code", "Meaning", *columns), "No errors.", "Meaning")
                self._transactions = _table(
                    "Transactions by number of calls", ("Calls", *columns, "Share"), "No transactions yet."
                )
            self._notes = words("", "p").classes("muted")
        self._figures.set_visibility(False)

    def show(self, scrape: Scrape | Problem) -> None:
        """Show the latest metrics. With a Problem, the earlier ones stay."""
        if isinstance(scrape, Problem):
            # Shown once: a screen reader would read each repetition.
            if scrape != self._problem:
                outdated = "The figures below are from before this error."
                self._failure.show(scrape, outdated if self._window.scrapes else "")
            self._problem = scrape
            return
        self._problem = None
        self._failure.clear()
        self._figures.set_visibility(True)
        self._window.add(scrape)
        self._show_tiles(scrape)
        self._statuses.show(self._counters(scrape, RESPONSES, _status_title))
        self._codes.show(self._counters(scrape, ERRORS, _code_title))
        self._transactions.show(self._histogram(scrape))
        workers, waiting = scrape.value(WORKERS), scrape.value(WAITING_REQUESTS)
        self._notes.text = (
            f"{workers:.0f} worker{'s' * (workers != 1)}. {waiting:,.0f} request{'s' * (waiting != 1)} waiting for "
            f"messages, {scrape.value(STREAMS):,.0f} as streams. Totals: since the gateway started. Rates and "
            "latencies: over the last ten seconds. p95: 95 % of responses took at most this long, without "
            "waiting for messages."
        )

    def _show_tiles(self, scrape: Scrape) -> None:
        window = self._window
        for tile, name in ((self._requests, RESPONSES), (self._errors, ERRORS)):
            tile.show(window.rate(name), quantities.rate(window.rate(name)))
        for quantile, tile in self._latencies.items():
            value = window.quantile(LATENCY, quantile)
            tile.show(value, quantities.duration(value))
        busy, waiting, mean = scrape.value(BUSY), scrape.value(WAITING), window.mean(CALLS)
        self._busy.show(busy, quantities.count(busy), f"of {scrape.value(POOL_SIZE):.0f}")
        self._waiting.show(waiting, quantities.count(waiting))
        self._calls.show(mean, "-" if mean is None else f"{mean:.1f}")

    def _counters(self, scrape: Scrape, name: str, titles: Callable[[str], Cells]) -> list[Cells]:
        """A row for each label of a counter, the highest count first."""
        rates = self._window.rates(name)
        found = sorted(scrape.values.get(name, {}).items(), key=lambda item: (-item[1], item[0]))
        return [
            (*titles(label), quantities.rate(None if rates is None else rates[label]), quantities.count(total))
            for label, total in found
        ]

    def _histogram(self, scrape: Scrape) -> list[Cells]:
        """A row for each bucket of calls per transaction."""
        bucket = f"{CALLS}_bucket"
        totals, rates = _by_bucket(scrape.values.get(bucket, {})), _by_bucket(self._window.rates(bucket) or {})
        whole = sum(totals.values())
        return [
            (calls, quantities.rate(rates.get(calls)), quantities.count(total), quantities.share(total / whole))
            for calls, total in totals.items()
            if total
        ]


def _table(title: str, heads: Cells, empty: str, *texts: str) -> Facts:
    with ui.element("section").classes("panel"):
        heading(title, 3)
        return Facts(title, heads, empty, texts)


def _status_title(status: str) -> Cells:
    try:
        return (f"{status} {HTTPStatus(int(status)).phrase}",)
    except ValueError:
        return (status,)


def _code_title(code: str) -> Cells:
    return (code, MEANINGS.get(code, ""))


def _by_bucket(cumulative: Mapping[str, float]) -> dict[str, float]:
    """The counts of a histogram with integer bounds, by the range of each bucket, such as `5 to 8`."""
    counts: dict[str, float] = {}
    low, below = 0, 0.0
    for bound, number in sorted((float(bound), number) for bound, number in cumulative.items()):
        if bound != float("inf"):
            high = int(bound)
            counts[str(high) if high == low + 1 else f"{low + 1} to {high}"] = number - below
            low, below = high, number
    return counts
