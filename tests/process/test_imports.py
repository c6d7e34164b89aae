"""The modules that a serving process loads: start and memory depend on them."""

import re

from tests.server import Serve, ready

# For documentation pages, tables in a terminal, processes that a killed gateway left, YAML, metrics, remote keys, and
# the dashboard. Each is loaded at its first use.
LATER = {"fastapi", "starlette", "rich", "psutil", "yaml", "prometheus_client", "httpx", "httpcore", "nicegui"}


def test_a_gateway_loads_only_what_it_uses(serve: Serve, database: str) -> None:
    gateway = serve(database, "--workers", "2", PYTHONPROFILEIMPORTTIME="1")
    # The supervisor's port, which asks the workers with httpx.
    before = gateway.log.read_text()
    assert ready(gateway)
    loaded = re.findall(r"^import time: .*\| +(\w+)$", before, re.MULTILINE)
    # By the supervisor and by each worker.
    assert loaded.count("asyncpg") == 3
    assert LATER.isdisjoint(loaded)
