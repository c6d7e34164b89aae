"""What process tests share: the owner's SQL, and gateways with several workers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import server
from tests.conftest import Sql, runner
from tests.server import SECRET, Server

Workers = Callable[..., Server]


@pytest.fixture
def own_sql(database: str, directory: DataDirectory) -> Iterator[Sql]:
    """Run SQL as the owner in the test's own database."""
    with psycopg.connect(socket_uri(directory, database=database), autocommit=True) as connection:
        yield runner(connection)


@pytest.fixture
def serve_workers(tmp_path: Path, directory: DataDirectory) -> Iterator[Workers]:
    """serve_workers(database, 3, PGRST_X="…"): a gateway with so many workers, stopped at the end."""
    started: list[Server] = []

    def start(database: str, count: int, **settings: str) -> Server:
        uri = socket_uri(directory, "authenticator", database)
        env = {"PGRST_DB_URI": uri, "PGRST_JWT_SECRET": SECRET, "PGRST_DB_POOL": str(count), **settings}
        started.append(server.start(tmp_path / f"workers{len(started)}.log", "--workers", str(count), env=env))
        return started[-1]

    yield start
    for running in started:
        running.stop()
