"""The database's figures on a page: what it is, how full, and what keeps it from cleaning up."""

from collections.abc import Sequence
from datetime import UTC, datetime

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem, Row
from pgmq_gateway.dashboard.parts import quantities
from pgmq_gateway.dashboard.parts.tables import Cells, Facts
from pgmq_gateway.dashboard.parts.widgets import Failure, heading, words

# From when on a figure deserves a word.
LONG_TRANSACTION = 300.0
FEW_CONNECTIONS = 0.9
LOW_HITS = 0.9
MUCH_DEAD, DEAD_ROWS = 0.5, 10_000
# Queues that are listed with their dead rows.
MOST = 8

HEADS = ("Queue", "Dead rows", "Messages", "Table", "Indexes", "Last autovacuum")


class Database:
    """The figures, and what is said when there are none."""

    def __init__(self) -> None:
        self._failure = Failure()
        self._figures = ui.element("dl").classes("totals figures")
        self._warnings = ui.element("div").classes("stack")
        with ui.element("section").classes("panel"):
            heading("Queues with the most dead rows", 3)
            text = "Rows of messages that are gone and not cleaned up yet: they make tables large and reads slow."
            words(text, "p").classes("muted")
            self._queues = Facts("Queues with the most dead rows", HEADS, "No queue has any.", ("Last autovacuum",))

    def show(self, database: Row | Problem, queues: Sequence[Row] | Problem) -> None:
        """The figures now. What was shown before stays when there is a problem."""
        found = next((answer for answer in (database, queues) if isinstance(answer, Problem)), None)
        if found:
            self._failure.show(found)
        else:
            self._failure.clear()
        if not isinstance(database, Problem):
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
    """Name, figure and unit of each."""
    live, dead = database.get("live_tuples"), database.get("dead_tuples")
    oldest = database.get("oldest_transaction_seconds")
    return [
        ("Postgres", str(database.get("postgres_version") or "-").split(" ")[0], ""),
        ("pgmq", str(database.get("pgmq_version") or "-"), ""),
        ("Connections", quantities.count(database.get("connections")), f"of {database.get('max_connections', '-')}"),
        ("Size", quantities.size(database.get("database_bytes")), ""),
        ("Oldest transaction", "none" if oldest is None else quantities.age(oldest), ""),
        ("Read from memory", quantities.share(database.get("cache_hit_ratio")), "of all blocks"),
        ("Dead rows", quantities.count(dead), f"{quantities.count(live)} live ones"),
    ]


def warnings(database: Row) -> list[str]:
    """What of it should be looked at, and why."""
    oldest, hits = database.get("oldest_transaction_seconds") or 0, database.get("cache_hit_ratio")
    used, most = database.get("connections") or 0, database.get("max_connections") or 0
    live, dead = database.get("live_tuples") or 0, database.get("dead_tuples") or 0
    found: list[tuple[object, str]] = [
        (
            oldest >= LONG_TRANSACTION,
            f"A transaction has been open for {quantities.age(oldest)}. While it is, no dead rows are removed: queues "
            "grow and reads become slow. pg_stat_activity tells whose it is.",
        ),
        (
            most and used / most >= FEW_CONNECTIONS,
            f"{used} of {most} connections are in use. When none is left, gateways and others are refused.",
        ),
        (
            hits is not None and hits < LOW_HITS,
            f"Only {quantities.share(hits)} of blocks are found in memory: shared_buffers may be too small.",
        ),
        (
            dead >= DEAD_ROWS and dead / (live + dead) >= MUCH_DEAD,
            "More than half of the rows are dead: autovacuum does not keep up, or something holds it back.",
        ),
    ]
    return [text for so, text in found if so]


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
        for queue in worst[:MOST]
    ]


def _ago(moment: str | None) -> str:
    if moment is None:
        return "never"
    return f"{quantities.age((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())} ago"
