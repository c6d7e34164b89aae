"""What the database says of its queues and of itself, read when somebody looks at the metrics."""

import asyncio
import logging
from collections.abc import Iterator

import asyncpg
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pgmq_gateway.calls.watch import CatalogWatch
from pgmq_gateway.database.driver import BROKEN, SERVER_ERRORS, loggable
from pgmq_gateway.observe.history import ABSENT
from pgmq_gateway.settings.model import Settings

logger = logging.getLogger("pgmq_gateway")

# Every worker says the same of the database: names that begin so are not added up.
SHARED = ("pgmq_gateway_queue", "pgmq_gateway_database_")

QUEUES = "select * from pgmq_gateway.queue_metrics($1)"
DATABASE = "select * from pgmq_gateway.database_metrics()"

# Seconds that each query may take, and between two looks.
LONGEST = 1.5
SPACING = 1.0

# By the column: what the metric is called, and what it says.
STATES = ("visible", "delayed", "in_flight")
GAUGES = {
    "archived": ("archived", "Messages in the queue's archive, estimated when there are many"),
    "oldest_seconds": ("oldest_seconds", "Age of the oldest message in the queue"),
}
COUNTERS = {
    "sent": ("sent", "Messages sent since the queue was created"),
    "updated": ("read", "Messages read or postponed, since the beginning of Postgres' statistics"),
    "deleted": ("deleted", "Messages deleted, popped or archived, since the beginning of Postgres' statistics"),
    "archive_inserted": ("archive_inserted", "Messages archived, since the beginning of Postgres' statistics"),
}
FIGURES = {
    "oldest_transaction_seconds": "Age of the oldest open transaction: while it is open, dead rows stay",
    "oldest_xmin_transactions": "Transactions since the oldest one that is still looked back to: later dead rows stay",
    "is_standby": "1 when the gateway is connected to a standby, which takes no writes",
    "standbys": "Standbys that are connected to this server",
    "synchronous_standbys": "Those of them that each commit waits for",
    "lag_bytes": "Log that the slowest standby has not on disk: what a failover to it would lose now",
}


class Gauges(Collector):
    """Names at most `queue_metrics` queues. Without a database there is none of it: nothing is not a number."""

    def __init__(self, settings: Settings, watch: CatalogWatch) -> None:
        self._most = settings.queue_metrics
        self._watch = watch
        self._looking = asyncio.Lock()
        self._looked = float("-inf")
        self._queues: list[asyncpg.Record] = []
        self._database: list[asyncpg.Record] = []

    async def look(self) -> None:
        """Ask the database, unless that was done just now."""
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if now - self._looked >= SPACING:
                self._looked = now
                self._queues, self._database = await self._read()

    async def _read(self) -> tuple[list[asyncpg.Record], list[asyncpg.Record]]:
        try:
            queues = await self._watch.ask(QUEUES, self._most, patience=LONGEST) if self._most else []
            return queues, await self._watch.ask(DATABASE, patience=LONGEST)
        except ABSENT as error:
            logger.debug("no metrics of queues: %s", error)
        except (*SERVER_ERRORS, *BROKEN, TimeoutError) as error:
            logger.debug("cannot read the metrics of queues: %s", loggable(error))
        return [], []

    def collect(self) -> Iterator[Metric]:
        """What the last look has found."""
        if self._queues:
            yield from _totals(self._queues[0])
            yield from _each(self._queues[1:])
        for figures in self._database:
            for name, text in FIGURES.items():
                value = figures[name]
                if value is not None:
                    yield GaugeMetricFamily(f"pgmq_gateway_database_{name}", text, float(value))


def _totals(row: asyncpg.Record) -> Iterator[Metric]:
    yield GaugeMetricFamily("pgmq_gateway_queues", "Queues in the database", row["queues"])
    if row["messages"] is not None:
        yield GaugeMetricFamily(
            "pgmq_gateway_queues_messages", "Messages in all queues, archives aside", row["messages"]
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
            if row[state] is not None:
                messages.add_metric([row["queue_name"], state], row[state])
    yield messages
    for names, kind in ((GAUGES, GaugeMetricFamily), (COUNTERS, CounterMetricFamily)):
        for column, (name, text) in names.items():
            family = kind(f"pgmq_gateway_queue_{name}", text, labels=["queue"])
            for row in rows:
                # A queue without messages has no oldest one, which is as good as a new one.
                value = row[column] if column != "oldest_seconds" else row[column] or 0.0
                if value is not None:
                    family.add_metric([row["queue_name"]], value)
            yield family
