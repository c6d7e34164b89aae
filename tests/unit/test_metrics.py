"""Several gateways in one process have separate metrics."""

from prometheus_client.parser import text_string_to_metric_families

from pgmq_gateway.gateway import Gateway
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
