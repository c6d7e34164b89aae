"""What can be counted about a gateway, in Prometheus' text format and under PostgREST's names."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.auth import Authenticator
from app.batching import Line
from app.database import Database
from app.settings import Settings
from app.watch import CatalogWatch


class Metrics:
    """The metrics of one gateway, in a registry of its own: several gateways may share a process."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(
        self, settings: Settings, database: Database, line: Line, watch: CatalogWatch, authenticator: Authenticator
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Parts(settings.db_pool, database, line, watch, authenticator))

    def text(self) -> bytes:
        """All metrics as they are now."""
        return generate_latest(self._registry)


class _Parts(Collector):
    """Asks the parts that know, whenever somebody looks: nothing is kept twice."""

    def __init__(
        self, size: int, database: Database, line: Line, watch: CatalogWatch, authenticator: Authenticator
    ) -> None:
        self._size = size
        self._database = database
        self._line = line
        self._watch = watch
        self._authenticator = authenticator

    def collect(self) -> Iterator[Metric]:
        yield from self._pool()
        yield from self._catalog()
        yield from self._tokens()

    def _pool(self) -> Iterator[Metric]:
        timeouts = self._database.connections.timeouts + self._line.timeouts
        yield CounterMetricFamily(
            "pgrst_db_pool_timeouts", "Calls that no database connection came free for in time", timeouts
        )
        idle = self._database.connections.idle
        yield GaugeMetricFamily("pgrst_db_pool_available", "Open database connections that no call uses", idle)
        waiting = self._line.waiting
        yield GaugeMetricFamily("pgrst_db_pool_waiting", "Calls that wait for a database connection now", waiting)
        yield GaugeMetricFamily("pgrst_db_pool_max", "Database connections for calls at most", self._size)

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

    def _tokens(self) -> Iterator[Metric]:
        use = self._authenticator.cache
        yield CounterMetricFamily("pgrst_jwt_cache_requests", "Tokens looked up in the cache", use.requests)
        yield CounterMetricFamily("pgrst_jwt_cache_hits", "Tokens that were found there, so verified before", use.hits)
        yield CounterMetricFamily("pgrst_jwt_cache_evictions", "Tokens that had to go for others", use.evictions)
