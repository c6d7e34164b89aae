"""Maintenance of the queues: burials, full queues, retention. One of all gateways does it at a time."""

from pgmq_gateway.background.periodic import Periodic
from pgmq_gateway.calls.watch import CatalogWatch
from pgmq_gateway.database.pool import ConnectionPool
from pgmq_gateway.settings.model import Settings

# A portion occupies a connection that requests may need, and locks the groups of the messages that it moves.
BUDGET_MS = 100
FAILURE_PAUSE_SECONDS = 5.0


class Maintenance(Periodic):
    QUERY = "select pgmq_gateway.maintain($1)"
    FAILURE = "cannot maintain the queues; dead and old messages stay until a retry succeeds"

    def __init__(self, settings: Settings, pool: ConnectionPool, watch: CatalogWatch) -> None:
        super().__init__(pool, watch, (BUDGET_MS,), FAILURE_PAUSE_SECONDS, enabled=settings.background)
