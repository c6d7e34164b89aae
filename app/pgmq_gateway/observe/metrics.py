"""What can be counted about a gateway, in Prometheus' text format: under PostgREST's names where it counts that too."""

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
from pgmq_gateway.settings.model import Settings

# Upper bounds of the numbers of calls in a transaction that are told apart.
SIZES = (1, 2, 4, 8, 16, MAX_CALLS_PER_TRANSACTION)


class Metrics:
    """The metrics of one gateway, in a registry of its own: several gateways may share a process."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(
        self,
        settings: Settings,
        database: Database,
        admission: AdmissionQueue,
        watch: CatalogWatch,
        authenticator: Authenticator,
        traffic: Traffic,
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Parts(settings.db_pool, database, admission, watch, authenticator))
        self._registry.register(_Answers(traffic, admission))
        self._gauges = Gauges(settings, watch)
        self._registry.register(self._gauges)

    async def look(self) -> None:
        """Ask the database for its part."""
        await self._gauges.look()

    def text(self) -> bytes:
        """All metrics as they are now."""
        return generate_latest(self._registry)


class _Parts(Collector):
    """Asks the parts that know, whenever somebody looks: nothing is kept twice."""

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

    def _pool(self) -> Iterator[Metric]:
        timeouts = self._database.pool.timeouts + self._admission.timeouts
        yield CounterMetricFamily(
            "pgrst_db_pool_timeouts", "Calls that no database connection came free for in time", timeouts
        )
        idle = self._database.pool.idle
        yield GaugeMetricFamily("pgrst_db_pool_available", "Open database connections that no call uses", idle)
        waiting = self._admission.waiting
        yield GaugeMetricFamily("pgrst_db_pool_waiting", "Calls that wait for a database connection now", waiting)
        yield GaugeMetricFamily("pgrst_db_pool_max", "Database connections for calls at most", self._size)
        connections = self._database.pool
        yield GaugeMetricFamily(
            "pgmq_gateway_connections_open", "Open database connections for calls", connections.open
        )
        for what, number, text in (
            ("opened", connections.opened, "Database connections opened for calls"),
            ("lost", connections.lost, "Those of them that broke, or had to be closed at once"),
            ("failed", connections.failed, "Attempts to open one that failed"),
        ):
            yield CounterMetricFamily(f"pgmq_gateway_connections_{what}", text, number)

    def _catalog(self) -> Iterator[Metric]:
        loads = CounterMetricFamily(
            "pgrst_schema_cache_loads", "Attempts to read the functions from the database", labels=["status"]
        )
        loads.add_metric(["SUCCESS"], self._watch.loads)
        loads.add_metric(["FAIL"], self._watch.failures)
        yield loads
        yield GaugeMetricFamily(
            "pgrst_schema_cache_query_time_seconds",
            "How long the last successful read took, 0 before the first",
            self._watch.load_seconds,
        )
        yield CounterMetricFamily(
            "pgmq_gateway_watch_lost",
            "Times that the connection which follows the functions was lost",
            self._watch.lost,
        )
        yield GaugeMetricFamily(
            "pgmq_gateway_ready",
            "1 while the database is reached and its functions are known; over all workers, how many are ready",
            self._watch.ready,
        )

    def _tokens(self) -> Iterator[Metric]:
        use = self._authenticator.cache
        yield CounterMetricFamily("pgrst_jwt_cache_requests", "Tokens looked up in the cache", use.requests)
        yield CounterMetricFamily("pgrst_jwt_cache_hits", "Tokens that were found there, so verified before", use.hits)
        yield CounterMetricFamily("pgrst_jwt_cache_evictions", "Tokens that had to go for others", use.evictions)
        if remote := self._authenticator.remote:
            fetches = CounterMetricFamily(
                "pgmq_gateway_jwks_fetches", "Attempts to fetch the keys of the JWKS URL", labels=["status"]
            )
            fetches.add_metric(["SUCCESS"], remote.successes)
            fetches.add_metric(["FAIL"], remote.failures)
            yield fetches


class _Answers(Collector):
    """What has been answered, and how many calls have shared a transaction."""

    def __init__(self, traffic: Traffic, admission: AdmissionQueue) -> None:
        self._traffic = traffic
        self._admission = admission

    def collect(self) -> Iterator[Metric]:
        traffic = self._traffic
        answers = CounterMetricFamily("pgmq_gateway_answers", "Answers to requests by their status", labels=["status"])
        for status, number in sorted(traffic.statuses.items()):
            answers.add_metric([str(status)], number)
        yield answers
        errors = CounterMetricFamily("pgmq_gateway_errors", "Error answers by their code", labels=["code"])
        for code, number in sorted(traffic.codes.items()):
            errors.add_metric([code], number)
        yield errors
        yield HistogramMetricFamily(
            "pgmq_gateway_answer_seconds",
            "Time from a request's head to the end of its answer",
            buckets(BUCKETS_SECONDS, traffic.durations),
            traffic.seconds,
        )
        yield self._transactions()
        yield GaugeMetricFamily("pgmq_gateway_connections_busy", "Connections that calls use now", self._admission.busy)
        # Over all workers, which are added up, this is their number.
        yield GaugeMetricFamily("pgmq_gateway_workers", "Processes that serve", 1)

    def _transactions(self) -> Metric:
        sizes, below = self._admission.transaction_sizes, (0, *SIZES)
        counts = [sum(sizes[low + 1 : high + 1]) for low, high in zip(below, SIZES, strict=False)]
        return HistogramMetricFamily(
            "pgmq_gateway_transaction_calls",
            "Calls that a transaction was begun for: more than one when they have waited together",
            buckets(SIZES, [*counts, 0]),
            sum(size * number for size, number in enumerate(sizes)),
        )
