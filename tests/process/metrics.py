"""Metrics of a running gateway."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.server import Server

TIMEOUTS = "pgrst_db_pool_timeouts_total"
AVAILABLE = "pgrst_db_pool_available"
WAITING = "pgrst_db_pool_waiting"
MAX = "pgrst_db_pool_max"
SUCCESS = 'pgrst_schema_cache_loads_total{status="SUCCESS"}'
FAIL = 'pgrst_schema_cache_loads_total{status="FAIL"}'
QUERY_TIME = "pgrst_schema_cache_query_time_seconds"


def metrics(gateway: Server) -> dict[str, float]:
    """The present values, by name with labels as in the text."""
    families = text_string_to_metric_families(httpx.get(f"{gateway.admin_url}/metrics", timeout=30).text)
    samples = [sample for family in families for sample in family.samples]
    return {sample.name + _labels(sample.labels): sample.value for sample in samples}


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}" if labels else ""
