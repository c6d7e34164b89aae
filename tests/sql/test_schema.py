"""What the migrations make, compared with the committed schema.sql."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from pgmq_gateway.embedded.cluster import binary, socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory

COMMITTED = Path(__file__).with_name("schema.sql")
SCHEMAS = ("pgmq_admin", "pgmq_gateway", "pgmq_public")

# Comments and settings of the dump itself, which differ between releases of pg_dump, start a line; those inside
# functions are indented.
NOISE = re.compile(r"^(?:--.*|SET .*;|SELECT pg_catalog\.set_config\(.*|\\(?:un)?restrict .*)\n", re.MULTILINE)


def dump(uri: str) -> str:
    """The schemas as SQL, without what depends on the release of pg_dump."""
    chosen = [f"--schema={schema}" for schema in SCHEMAS]
    command = [str(binary("pg_dump")), "--schema-only", "--no-owner", *chosen, uri]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.sub(r"\n{3,}", "\n\n", NOISE.sub("", text)).strip() + "\n"


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
