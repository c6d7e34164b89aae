"""Samples of the queues for charts. Any number of gateways share one history."""

from pgmq_gateway.background.periodic import Periodic
from pgmq_gateway.calls.watch import CatalogWatch
from pgmq_gateway.database.pool import ConnectionPool
from pgmq_gateway.settings.model import Settings


class History(Periodic):
    QUERY = "select pgmq_gateway.take_sample($1, $2)"
    FAILURE = "cannot take a sample for the history; the charts have a gap until a retry succeeds"

    def __init__(self, settings: Settings, pool: ConnectionPool, watch: CatalogWatch) -> None:
        interval = float(settings.history_interval)
        super().__init__(pool, watch, (interval, float(settings.history_keep)), interval, enabled=interval > 0)
