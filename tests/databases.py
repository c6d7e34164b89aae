"""Databases for tests on the embedded server, and SQL in them."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory

# sql("select …", …) returns the rows.
Sql = Callable[..., list[tuple[Any, ...]]]


def runner(connection: psycopg.Connection[Any]) -> Sql:
    """A function that runs SQL on `connection` and returns the rows."""

    def run(statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        cursor = connection.execute(statement.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []

    return run


@contextmanager
def new_database(directory: DataDirectory, template: str = "template0") -> Iterator[str]:
    """A new database, cloned from `template` and dropped at the end. Yields its name."""
    name = f"db_{uuid.uuid4().hex[:12]}"
    maintain(directory, f"create database {name} template {template}")
    yield name
    maintain(directory, f"drop database {name} with (force)")


def maintain(directory: DataDirectory, statement: str) -> None:
    """Run SQL in the database "postgres", on a new connection, because tests restart the server."""
    with psycopg.connect(socket_uri(directory), autocommit=True) as connection:
        connection.execute(statement.encode())


def postgres_account(directory: DataDirectory) -> dict[str, Any]:
    """Arguments that start a program as the account of Postgres. Only root needs them."""
    owner = directory.postgres.stat()
    return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
