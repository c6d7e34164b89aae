"""Fixtures of the process tests."""

from collections.abc import Iterator

import psycopg
import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, runner


@pytest.fixture
def own_sql(database: str, directory: DataDirectory) -> Iterator[Sql]:
    """Run SQL as the owner of the test's database."""
    with psycopg.connect(socket_uri(directory, database=database), autocommit=True) as connection:
        yield runner(connection)
