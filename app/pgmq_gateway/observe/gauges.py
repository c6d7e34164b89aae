"""Metrics of the queues and the database, queried when the metrics are scraped."""

import asyncio
import logging
from collections.abc import Iterator

import asyncpg
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pgmq_gateway.background.periodic import NOT_INSTALLED
from pgmq_gateway.calls.watch import CatalogWatch
from pgmq_gateway.database.driver import BROKEN, SERVER_ERRORS, loggable
from pgmq_gateway.settings.model import Settings

logger = logging.getLogger("pgmq_gateway")

# Prefixes of metrics that every worker process reports equally, so they must not be summed.
SHARED_PREFIXES = ("pgmq_gateway_queue", "pgmq_gateway_database_")

QUEUES = "select * from pgmq_gateway.queue_metrics($1)"
DATABASE = "select * from pgmq_gateway.database_metrics()"

QUERY_TIMEOUT_SECONDS = 1.5
# Scrapes within this time share one query.
QUERY_INTERVAL_SECONDS = 1.0

# By column: the name of the metric and its help text.
STATES = ("visible", "delayed", "in_flight", "parked")
GAUGES = {
    "archived": ("archived", "Messages in the queue's archive, estimated when there are many"),
    "oldest_seconds": ("oldest_seconds", "Age of the oldest message in the queue"),
}
COUNTERS = {
    "sent": ("sent", "Messages sent since the queue was created"),
    "updated": (
        "read",
        "Messages read or given another visibility timeout, since the statistics of Postgres were reset",
    ),
    "deleted": ("deleted", "Messages deleted, popped or archived, since the statistics of Postgres were reset"),
    "archive_inserted": ("archive_inserted", "Messages archived, since the statistics of Postgres were reset"),
    "failed_burials": ("failed_burials", "Attempts to move a dead message that failed"),
}
# Why messages are dead.
REASONS = ("max_receives", "rejected", "expired")
FIGURES = {
    "oldest_transaction_seconds": "Age of the oldest open transaction: vacuum keeps all later dead rows",
    "oldest_xmin_transactions": "Age of the oldest xmin in transactions: vacuum keeps all later dead rows",
    "is_standby": "1 while the gateway is connected to a standby, which is read-only",
    "standbys": "Connected standbys",
    "synchronous_standbys": "Standbys that every commit waits for",
    "lag_bytes": "WAL that the slowest standby has not flushed, which a failover to it would lose",
}
TOTALS = {
    "maintenance_runs": "Portions of the maintenance of queues, of all gateways",
    "maintenance_seconds": "Time that the portions of the maintenance have taken",
}


class Gauges(Collector):
    """Metrics of at most `queue_metrics` queues; none while the database cannot be reached."""

    def __init__(self, settings: Settings, watch: CatalogWatch) -> None:
        self._max_queues = settings.queue_metrics
        self._watch = watch
        self._querying = asyncio.Lock()
        self._queried_at = float("-inf")
        self._queues: list[asyncpg.Record] = []
        self._database: list[asyncpg.Record] = []

    async def refresh(self) -> None:
        """Query the database, unless the last query is recent."""
        async with self._querying:
            now = asyncio.get_running_loop().time()
            if now - self._queried_at >= QUERY_INTERVAL_SECONDS:
                self._queried_at = now
                self._queues, self._database = await self._read()

    async def _read(self) -> tuple[list[asyncpg.Record], list[asyncpg.Record]]:
        try:
            queues = (
                await self._watch.ask(QUEUES, self._max_queues, patience=QUERY_TIMEOUT_SECONDS)
                if self._max_queues
                else []
            )
            return queues, await self._watch.ask(DATABASE, patience=QUERY_TIMEOUT_SECONDS)
        except (*NOT_INSTALLED, asyncpg.InsufficientPrivilegeError) as error:
            logger.debug("no metrics of queues: %s", error)
        except (*SERVER_ERRORS, *BROKEN, TimeoutError) as error:
            logger.debug("cannot read the metrics of queues: %s", loggable(error))
        return [], []

    def collect(self) -> Iterator[Metric]:
        if self._queues:
            yield from _totals(self._queues[0])
            yield from _each(self._queues[1:])
        for figures in self._database:
            for name, text in FIGURES.items():
                # An older installation lacks some columns.
                value = figures.get(name)
                if value is not None:
                    yield GaugeMetricFamily(f"pgmq_gateway_database_{name}", text, float(value))
            for name, text in TOTALS.items():
                value = figures.get(name)
                if value is not None:
                    yield CounterMetricFamily(f"pgmq_gateway_database_{name}", text, value)


def _totals(row: asyncpg.Record) -> Iterator[Metric]:
    yield GaugeMetricFamily("pgmq_gateway_queues", "Queues in the database", row["queues"])
    if row["messages"] is not None:
        yield GaugeMetricFamily(
            "pgmq_gateway_queues_messages", "Messages in all queues, without archives", row["messages"]
        )
        yield GaugeMetricFamily(
            "pgmq_gateway_queues_oldest_seconds", "Age of the oldest message in any queue", row["oldest_seconds"] or 0.0
        )


def _each(rows: list[asyncpg.Record]) -> Iterator[Metric]:
    messages = GaugeMetricFamily(
        "pgmq_gateway_queue_messages",
        "Messages in the queue by state, estimated when there are many",
        labels=["queue", "state"],
    )
    for row in rows:
        for state in STATES:
            if row.get(state) is not None:
                messages.add_metric([row["queue_name"], state], row[state])
    yield messages
    dead = CounterMetricFamily(
        "pgmq_gateway_queue_dead_letters", "Dead messages that were moved or deleted", labels=["queue", "reason"]
    )
    for row in rows:
        for reason in REASONS:
            if row.get(reason) is not None:
                dead.add_metric([row["queue_name"], reason], row[reason])
    yield dead
    for names, kind in ((GAUGES, GaugeMetricFamily), (COUNTERS, CounterMetricFamily)):
        for column, (name, text) in names.items():
            family = kind(f"pgmq_gateway_queue_{name}", text, labels=["queue"])
            for row in rows:
                # An empty queue has no oldest message; its age is 0.
                value = row.get(column) if column != "oldest_seconds" else row[column] or 0.0
                if value is not None:
                    family.add_metric([row["queue_name"]], value)
            yield family
