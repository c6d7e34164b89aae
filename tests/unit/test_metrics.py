"""The metrics of a gateway: separate from those of others in its process, and made beside the event loop."""

import threading
from functools import cached_property

from prometheus_client.parser import text_string_to_metric_families

from pgmq_gateway.gateway import Gateway
from pgmq_gateway.http.asgi import Message
from pgmq_gateway.observe.metrics import Metrics
from pgmq_gateway.process.admin_port import AdminApp
from pgmq_gateway.settings.model import Settings
from tests.server import SECRET


def gateway(size: int) -> Gateway:
    """A gateway without a connection."""
    return Gateway(Settings.model_validate({"db_uri": "postgresql://", "jwt_secret": SECRET, "db_pool": size}))


def test_two_gateways_in_one_process_have_metrics_of_their_own() -> None:
    sizes = []
    for made in (gateway(3), gateway(5)):
        families = {family.name: family for family in text_string_to_metric_families(made.metrics.text().decode())}
        assert all(name.startswith(("pgrst_", "pgmq_gateway_")) for name in families)
        sizes.append(families["pgrst_db_pool_max"].samples[0].value)
    assert sizes == [3, 5]


class Noting(Gateway):
    """Notes the thread that makes the metrics."""

    @cached_property
    def metrics(self) -> Metrics:
        self.thread = threading.current_thread()
        return super().metrics


async def test_a_scrape_imports_the_library_in_a_thread() -> None:
    scraped = Noting(gateway(3).settings)
    statuses = []

    async def receive() -> Message:
        raise AssertionError("a scrape has no body")

    async def send(message: Message) -> None:
        statuses.append(message.get("status"))

    await AdminApp(lambda: scraped, lambda: True)({"path": "/metrics"}, receive, send)
    assert statuses == [200, None]
    assert scraped.thread is not threading.main_thread()
