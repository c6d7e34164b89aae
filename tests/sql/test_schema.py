"""The dump of an installed database, compared with the committed schema.sql."""

import os
import re
from pathlib import Path

import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.sql.dump import SCHEMAS, dump

COMMITTED = Path(__file__).with_name("schema.sql")


def test_the_migrations_make_the_committed_schema(directory: DataDirectory, database: str) -> None:
    made = dump(socket_uri(directory, database=database))
    if os.environ.get("UPDATE_SCHEMA") == "1":
        COMMITTED.write_text(made)
    if made != COMMITTED.read_text():
        pytest.fail("the migrations make another schema than tests/sql/schema.sql: run `make schema` and read the diff")


def test_the_dump_holds_all_that_is_there(directory: DataDirectory, database: str) -> None:
    made = dump(socket_uri(directory, database=database))
    assert {f"CREATE SCHEMA {schema};" for schema in SCHEMAS} <= set(made.splitlines())
    assert len(re.findall("^CREATE FUNCTION pgmq_public", made, re.MULTILINE)) == 6
    assert "GRANT ALL ON FUNCTION pgmq_gateway.call" in made
