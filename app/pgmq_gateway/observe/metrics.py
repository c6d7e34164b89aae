"""Metrics in Prometheus' text format, under PostgREST's names where PostgREST has them."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from pgmq_gateway.auth.authenticator import Authenticator
from pgmq_gateway.calls.batching import MAX_CALLS_PER_TRANSACTION, AdmissionQueue
from pgmq_gateway.calls.execution import Database
from pgmq_gateway.calls.watch import CatalogWatch
from pgmq_gateway.http.traffic import BUCKETS_SECONDS, Traffic, buckets
from pgmq_gateway.observe.gauges import Gauges
from pgmq_gateway.observe.output import STDERR
from pgmq_gateway.settings.model import Settings
from pgmq_gateway.waiting.counters import WAKEUP_BUCKETS_SECONDS, Counters

# Upper bounds of the histogram of calls in a transaction.
SIZE_BOUNDS = (1, 2, 4, 8, 16, 32, MAX_CALLS_PER_TRANSACTION)


class Metrics:
    """The metrics of one gateway, in a registry of its own, because several gateways can share a process."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(
        self,
        settings: Settings,
        database: Database,
        admission: AdmissionQueue,
        watch: CatalogWatch,
        authenticator: Authenticator,
        traffic: Traffic,
        counters: Counters,
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Components(settings.db_pool, database, admission, watch, authenticator))
        self._registry.register(_Traffic(traffic, admission))
        self._registry.register(_Waiting(counters))
        self._gauges = Gauges(settings, watch)
        self._registry.register(self._gauges)

    async def refresh(self) -> None:
        """Query the metrics of the database."""
        await self._gauges.refresh()

    def text(self) -> bytes:
        return generate_latest(self._registry)


class _Components(Collector):
    """Metrics of calls, the pool, the catalog and the token cache, read from these at each scrape."""

    def __init__(
        self,
        size: int,
        database: Database,
        admission: AdmissionQueue,
        watch: CatalogWatch,
        authenticator: Authenticator,
    ) -> None:
        self._size = size
        self._database = database
        self._admission = admission
        self._watch = watch
        self._authenticator = authenticator

    def collect(self) -> Iterator[Metric]:
        yield from self._pool()
        yield from self._catalog()
        yield from self._tokens()
        yield CounterMetricFamily(
            "pgmq_gateway_replays",
            "Responses that were stored for an Idempotency-Key",
            self._database.replays,
        )

    def _pool(self) -> Iterator[Metric]:
        connections = self._database.pool
        yield CounterMetricFamily(
            "pgrst_db_pool_timeouts", "Calls that got no database connection in time", connections.timeouts
        )
        idle = connections.idle
        yield GaugeMetricFamily("pgrst_db_pool_available", "Idle database connections", idle)
        waiting = self._admission.waiting
        yield GaugeMetricFamily("pgrst_db_pool_waiting", "Calls waiting for a database connection", waiting)
        yield GaugeMetricFamily("pgrst_db_pool_max", "Maximum number of database connections for calls", self._size)
        yield GaugeMetricFamily(
            "pgmq_gateway_connections_open", "Open database connections for calls", connections.open
        )
        for what, number, text in (
            ("opened", connections.opening.number, "Database connections opened for calls"),
            ("lost", connections.lost, "Database connections that broke or had to be terminated"),
            ("failed", connections.opening.failures, "Failed attempts to open a database connection"),
        ):
            yield CounterMetricFamily(f"pgmq_gateway_connections_{what}", text, number)

    def _catalog(self) -> Iterator[Metric]:
        loads = CounterMetricFamily(
            "pgrst_schema_cache_loads", "Attempts to load the catalog of functions", labels=["status"]
        )
        loads.add_metric(["SUCCESS"], self._watch.loads)
        loads.add_metric(["FAIL"], self._watch.failures)
        yield loads
        yield GaugeMetricFamily(
            "pgrst_schema_cache_query_time_seconds",
            "Duration of the last successful load of the catalog, 0 before the first",
            self._watch.load_seconds,
        )
        yield CounterMetricFamily(
            "pgmq_gateway_watch_lost",
            "Times that the connection for changes of the catalog was lost",
            self._watch.lost,
        )
        yield GaugeMetricFamily(
            "pgmq_gateway_ready",
            "1 while the database is reachable and the catalog loaded; over all workers, the number of ready ones",
            self._watch.ready,
        )

    def _tokens(self) -> Iterator[Metric]:
        use = self._authenticator.cache
        yield CounterMetricFamily("pgrst_jwt_cache_requests", "Look-ups in the token cache", use.requests)
        yield CounterMetricFamily("pgrst_jwt_cache_hits", "Hits in the token cache", use.hits)
        yield CounterMetricFamily("pgrst_jwt_cache_evictions", "Evictions from the token cache", use.evictions)
        if remote := self._authenticator.remote:
            fetches = CounterMetricFamily("pgmq_gateway_jwks_fetches", "Fetches of the JWKS URL", labels=["status"])
            fetches.add_metric(["SUCCESS"], remote.successes)
            fetches.add_metric(["FAIL"], remote.failures)
            yield fetches


class _Traffic(Collector):
    """Metrics of responses, of shared transactions and of the process."""

    def __init__(self, traffic: Traffic, admission: AdmissionQueue) -> None:
        self._traffic = traffic
        self._admission = admission

    def collect(self) -> Iterator[Metric]:
        traffic = self._traffic
        answers = CounterMetricFamily("pgmq_gateway_answers", "Responses by status", labels=["status"])
        for status, number in sorted(traffic.statuses.items()):
            answers.add_metric([str(status)], number)
        yield answers
        errors = CounterMetricFamily("pgmq_gateway_errors", "Error responses by code", labels=["code"])
        for code, number in sorted(traffic.codes.items()):
            errors.add_metric([code], number)
        yield errors
        yield HistogramMetricFamily(
            "pgmq_gateway_answer_seconds",
            "Time from a request's head to the end of its response, without waits for messages",
            buckets(BUCKETS_SECONDS, traffic.durations),
            traffic.seconds,
        )
        yield self._transactions()
        undone = CounterMetricFamily(
            "pgmq_gateway_unshared", "Shared transactions whose calls run alone for a while", labels=["reason"]
        )
        for reason, number in self._admission.sharing.ended.items():
            undone.add_metric([reason], number)
        yield undone
        yield GaugeMetricFamily("pgmq_gateway_connections_busy", "Database connections in use", self._admission.busy)
        yield CounterMetricFamily(
            "pgmq_gateway_log_lines_dropped", "Lines of the log dropped because stderr was not read", STDERR.dropped
        )
        # Summed over the worker processes, this is their number.
        yield GaugeMetricFamily("pgmq_gateway_workers", "Serving processes", 1)

    def _transactions(self) -> Metric:
        sizes, below = self._admission.transaction_sizes, (0, *SIZE_BOUNDS)
        counts = [sum(sizes[low + 1 : high + 1]) for low, high in zip(below, SIZE_BOUNDS, strict=False)]
        return HistogramMetricFamily(
            "pgmq_gateway_transaction_calls",
            "Calls in a transaction; waiting calls of one caller, function and queue share one",
            buckets(SIZE_BOUNDS, [*counts, 0]),
            sum(size * number for size, number in enumerate(sizes)),
        )


class _Waiting(Collector):
    """Metrics of requests that wait for messages."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        counters = self._counters
        yield GaugeMetricFamily("pgmq_gateway_waiting", "Requests and streams waiting for messages", counters.waiting)
        yield GaugeMetricFamily("pgmq_gateway_streams", "Open streams", counters.streams)
        wakeups = CounterMetricFamily(
            "pgmq_gateway_wakeups", "Signals that a message may be visible, by source", labels=["source"]
        )
        for source, number in sorted(counters.wakeups.items()):
            wakeups.add_metric([source], number)
        yield wakeups
        attempts = CounterMetricFamily(
            "pgmq_gateway_wait_attempts", "Calls of waiting requests, by outcome", labels=["outcome"]
        )
        for outcome, number in sorted(counters.attempts.items()):
            attempts.add_metric([outcome], number)
        yield attempts
        yield HistogramMetricFamily(
            "pgmq_gateway_wakeup_seconds",
            "Time from a wake-up to the messages that it led to",
            buckets(WAKEUP_BUCKETS_SECONDS, counters.deliveries),
            counters.delivery_seconds,
        )
        yield CounterMetricFamily(
            "pgmq_gateway_policy_probes",
            "Round trips that found which waiting callers see a message",
            counters.policy_probes,
        )
        yield CounterMetricFamily(
            "pgmq_gateway_policy_probe_seconds",
            "Time that these round trips have taken, for each queue at most a quarter of one connection's",
            counters.policy_probe_seconds,
        )
        yield CounterMetricFamily(
            "pgmq_gateway_notifications_dropped",
            "Notifications that were unreadable or too many to read",
            counters.dropped_notifications,
        )
