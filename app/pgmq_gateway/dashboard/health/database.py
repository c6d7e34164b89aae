"""The database's figures: versions, connections, size, cache and dead rows, with warnings."""

from collections.abc import Sequence
from datetime import UTC, datetime

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem, Row
from pgmq_gateway.dashboard.parts import quantities
from pgmq_gateway.dashboard.parts.tables import Cells, Facts
from pgmq_gateway.dashboard.parts.widgets import Failure, heading, words

# Thresholds of the warnings.
MAX_TRANSACTION_SECONDS = 300.0
MAX_CONNECTION_SHARE = 0.9
MIN_CACHE_HIT_RATIO = 0.9
# Fewer dead rows are no reason for a warning, whatever their share.
MAX_DEAD_SHARE, MIN_DEAD_ROWS = 0.5, 10_000
MAX_QUEUES = 8

COLUMNS = ("Queue", "Dead rows", "Messages", "Table", "Indexes", "Last autovacuum")


class DatabaseFigures:
    def __init__(self) -> None:
        self._failure = Failure()
        self._problem: Problem | None = None
        self._known = False
        self._figures = ui.element("dl").classes("totals figures")
        self._warnings = ui.element("div").classes("stack")
        with ui.element("section").classes("panel"):
            heading("Queues with the most dead rows", 3)
            text = "Rows of deleted and updated messages that vacuum has not removed yet. They slow reads down."
            words(text, "p").classes("muted")
            self._queues = Facts(
                "Queues with the most dead rows", COLUMNS, "No queue has dead rows.", ("Last autovacuum",)
            )

    def show(self, database: Row | Problem, queues: Sequence[Row] | Problem) -> None:
        """Show the latest figures. With a Problem, the earlier ones stay."""
        problem = next((answer for answer in (database, queues) if isinstance(answer, Problem)), None)
        if problem:
            # Shown once: a screen reader would read each repetition.
            if problem != self._problem:
                self._failure.show(problem, "The figures below are from before this error." if self._known else "")
        else:
            self._failure.clear()
        self._problem = problem
        if not isinstance(database, Problem):
            self._known = True
            self._show_figures(database)
        if not isinstance(queues, Problem):
            self._queues.show(_dead(queues))

    def _show_figures(self, database: Row) -> None:
        self._figures.clear()
        self._warnings.clear()
        with self._figures:
            for name, text, unit in figures(database):
                with ui.element("div").classes("total"):
                    words(name, "dt")
                    with ui.element("dd"):
                        words(text)
                        words(unit).classes("unit")
        with self._warnings:
            for text in warnings(database):
                words(text, "p").classes("notice").props("role=status")


def figures(database: Row) -> list[tuple[str, str, str]]:
    """(name, figure, unit) of each."""
    live, dead = database.get("live_tuples"), database.get("dead_tuples")
    oldest = database.get("oldest_transaction_seconds")
    return [
        ("Postgres", str(database.get("postgres_version") or "-").split(" ")[0], ""),
        ("pgmq", str(database.get("pgmq_version") or "-"), ""),
        ("Connections", quantities.count(database.get("connections")), f"of {database.get('max_connections', '-')}"),
        ("Size", quantities.size(database.get("database_bytes")), ""),
        ("Oldest transaction", "none" if oldest is None else quantities.age(oldest), ""),
        ("Cache hit ratio", quantities.share(database.get("cache_hit_ratio")), "of block reads"),
        ("Dead rows", quantities.count(dead), f"{quantities.count(live)} live rows"),
    ]


def warnings(database: Row) -> list[str]:
    """The figures beyond their thresholds, each with its consequence and what to do."""
    oldest, hits = database.get("oldest_transaction_seconds") or 0, database.get("cache_hit_ratio")
    used, most = database.get("connections") or 0, database.get("max_connections") or 0
    live, dead = database.get("live_tuples") or 0, database.get("dead_tuples") or 0
    found: list[tuple[object, str]] = [
        (
            oldest >= MAX_TRANSACTION_SECONDS,
            f"A transaction has been open for {quantities.age(oldest)}. Until it ends, vacuum cannot remove dead rows: "
            "queues grow and reads become slower. Find its session in pg_stat_activity.",
        ),
        (
            most and used / most >= MAX_CONNECTION_SHARE,
            f"{used} of {most} connections are in use. When none is left, Postgres rejects new connections. Close "
            "unused ones, use smaller connection pools, or raise max_connections.",
        ),
        (
            hits is not None and hits < MIN_CACHE_HIT_RATIO,
            f"Only {quantities.share(hits)} of block reads are served from the cache: shared_buffers may be too small.",
        ),
        (
            dead >= MIN_DEAD_ROWS and dead / (live + dead) >= MAX_DEAD_SHARE,
            "More than half of the rows are dead: autovacuum is too slow, or a long transaction blocks it. Look for "
            "old transactions in pg_stat_activity, then for autovacuum's settings.",
        ),
    ]
    return [text for exceeded, text in found if exceeded]


def _dead(queues: Sequence[Row]) -> list[Cells]:
    worst = sorted((queue for queue in queues if queue["dead_tuples"]), key=lambda queue: -queue["dead_tuples"])
    return [
        (
            queue["queue_name"],
            quantities.count(queue["dead_tuples"]),
            quantities.count(queue["messages"], exact=queue["exact"]),
            quantities.size(queue["table_bytes"]),
            quantities.size(queue["index_bytes"]),
            _ago(queue["last_autovacuum"]),
        )
        for queue in worst[:MAX_QUEUES]
    ]


def _ago(moment: str | None) -> str:
    return "never" if moment is None else quantities.age_of(moment, datetime.now(UTC), " ago")
