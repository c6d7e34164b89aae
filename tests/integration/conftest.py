"""Fixtures of the integration tests."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pgmq_gateway.embedded.datadir import DataDirectory
from tests.gateways import Bearer, RunningGateway, running_gateway


@pytest.fixture
def alone(database: str, directory: DataDirectory, tmp_path: Path) -> Iterator[RunningGateway]:
    """A gateway with one database connection for one test."""
    with running_gateway(directory, database, tmp_path / "alone.log", {"PGRST_DB_POOL": "1"}) as running:
        yield running


@pytest.fixture
def resources(api: httpx.Client, bearer: Bearer) -> httpx.Client:
    """A client of `/queues/…` as service_role."""
    del api.headers["Content-Profile"]
    api.headers.update(bearer("service_role"))
    return api
