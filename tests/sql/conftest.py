"""Fixtures of the SQL tests: connections, custom roles, and a blank server."""

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from importlib.resources import files
from typing import Any

import asyncpg
import psycopg
import pytest

from pgmq_gateway.database.driver import Connection
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, new_database, runner
from tests.sql.cluster import Cluster, cluster

PGMQ_SQL = (files("pgmq") / "sql" / "pgmq.sql").read_text()
OPERATIONS = ("send", "read", "pop", "archive", "delete")

Connect = Callable[[str], psycopg.Connection[Any]]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """connect(uri): a connection in autocommit, closed at the end."""

    def opened(uri: str) -> psycopg.Connection[Any]:
        connection = psycopg.connect(uri, autocommit=True)
        stack.callback(connection.close)
        return connection

    with ExitStack() as stack:
        yield opened


@pytest.fixture
def db(directory: DataDirectory, database: str, connect: Connect) -> Sql:
    """Run SQL as the owner in an installed database for one test."""
    return runner(connect(socket_uri(directory, database=database)))


@pytest.fixture
def consumer(sql: Sql) -> Iterator[str]:
    """A new role that requests can run in, without privileges."""
    name = f"consumer_{uuid.uuid4().hex[:12]}"
    sql(f"create role {name}")
    sql(f"grant {name} to authenticator")
    yield name
    sql(f"drop owned by {name}")
    sql(f"drop role {name}")


@pytest.fixture(scope="module")
def installed(directory: DataDirectory, template: str) -> Iterator[str]:
    """The URI of an installed database for the tests of a module, as its owner."""
    with new_database(directory, template) as name:
        yield socket_uri(directory, database=name)


@pytest.fixture(scope="module")
def owner(installed: str) -> Iterator[Sql]:
    """Run SQL as the owner in that database."""
    with psycopg.connect(installed, autocommit=True) as connection:
        yield runner(connection)


@pytest.fixture(scope="module")
def worker(owner: Sql) -> Iterator[str]:
    """A role that requests can run in, without privileges, for the tests of a module."""
    name = f"worker_{uuid.uuid4().hex[:12]}"
    owner(f"create role {name}; grant {name} to authenticator")
    yield name
    owner(f"drop owned by {name}; drop role {name}")


@pytest.fixture(scope="session")
def own(directory: DataDirectory) -> Iterator[Cluster]:
    """A second server. The start of the first has made the programs readable for Postgres' user."""
    assert directory.postgres.exists()
    with cluster() as server:
        yield server


@pytest.fixture
def blank_server(own: Cluster) -> Iterator[Cluster]:
    """A server on which nothing was ever installed; it is emptied after the test."""
    yield own
    own.forget()


def as_role(sql: Sql, role: str, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Run one statement in a role, in a transaction of its own."""
    sql("begin")
    try:
        sql(f"set local role {role}")
        return sql(statement, *parameters)
    finally:
        sql("commit")


@asynccontextmanager
async def connected(uri: str) -> AsyncIterator[Connection]:
    """A connection of the driver that the installer uses."""
    connection = await asyncpg.connect(uri)
    try:
        yield connection
    finally:
        await connection.close()
