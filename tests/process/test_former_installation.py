"""A data directory of a development version before 0.1.0: refused with one line, whose instructions work."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psycopg
import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.embedded.server import running
from pgmq_gateway.install.installer import install
from tests import server

# The records of the former installer.
FORMER = """
truncate pgmq_gateway.migrations;
insert into pgmq_gateway.migrations (number, name, checksum)
values (1, 'roles', 'x'), (2, 'pgmq', 'x'), (3, 'expose', 'x'), (4, 'call', 'x');
drop table pgmq_gateway.shipped, pgmq_gateway.function_files;
"""
QUEUE = """
select pgmq_admin.create_queue('jobs');
select pgmq.send('jobs', '{"n": 1.10}'), pgmq.send('jobs', '{"n": 2}');
select pgmq.archive('jobs', 2);
select pgmq_admin.grant_queue('jobs', 'authenticated', '{send,read}');
create policy members on pgmq.q_jobs for select to authenticated using (true);
"""
CONTENT = """
select array[
    (select array_agg(msg_id || ' ' || message) from pgmq.q_jobs)::text,
    (select array_agg(msg_id || ' ' || message) from pgmq.a_jobs)::text,
    (select array_agg(polname || ' ' || polroles::regrole[]::text) from pg_policy)::text,
    (select relacl::text || ' ' || relrowsecurity from pg_class where oid = 'pgmq.q_jobs'::regclass)::text,
    (select array_agg(queue_name || ' ' || is_unlogged) from pgmq.meta)::text
]
"""


@pytest.fixture
def place() -> Iterator[Path]:
    base = Path(tempfile.mkdtemp())
    base.chmod(0o755)
    yield base
    shutil.rmtree(base)


async def fill(directory: DataDirectory) -> object:
    """Create the directory as a former version did. Returns the content of its queue."""
    async with running(directory, "test") as postgres:
        connection = await asyncpg.connect(postgres.uri())
        await install(connection)
        await connection.execute(QUEUE)
        await connection.execute(FORMER)
        content = await connection.fetchval(CONTENT)
        await connection.close()
    return content


def test_a_former_data_directory_is_refused_and_can_be_moved(place: Path) -> None:
    old, new = DataDirectory(place / "old"), DataDirectory(place / "new")
    before = asyncio.run(fill(old))
    options = ["--port", "0", "--admin-port", "0", "--no-dashboard"]
    for command in (["serve", *options], ["install"], ["install", "--check"], ["queue", "list"]):
        refused = server.run(*command, "--data-dir", str(old.path))
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1), refused.stderr
        assert refused.stderr.startswith(
            "pgmq-gateway: a development version before 0.1.0 installed this database, and it cannot be updated: save"
            " the queues with pgmq-gateway pg_dump -t 'pgmq.q_*' -t 'pgmq.a_*' -f queues.sql"
        )
    file = str(place / "queues.sql")
    saved = server.run("pg_dump", "-t", "pgmq.q_*", "-t", "pgmq.a_*", "-f", file, "--data-dir", str(old.path))
    assert (saved.returncode, saved.stdout, saved.stderr) == (0, "", "")
    serving = server.start(place / "log", "--data-dir", str(new.path))
    try:
        loaded = server.run("psql", "--data-dir", str(new.path), "-v", "ON_ERROR_STOP=1", "-q", "-f", file)
        assert (loaded.returncode, loaded.stderr) == (0, "")
        installed = server.run("install", "--data-dir", str(new.path))
        assert installed.stdout == "adopted: basic queue jobs (tables pgmq.q_jobs and pgmq.a_jobs)\n"
        with psycopg.connect(socket_uri(new)) as connection:
            assert connection.execute(CONTENT.encode()).fetchone() == (before,)
    finally:
        assert serving.stop() == 0


def test_a_dump_of_a_served_database_goes_to_standard_output(directory: DataDirectory, queue: str) -> None:
    dumped = server.run("pg_dump", "--schema-only", "-t", f"pgmq.q_{queue}", "--data-dir", str(directory.path))
    assert (dumped.returncode, dumped.stderr) == (0, "")
    assert f"CREATE TABLE pgmq.q_{queue} (" in dumped.stdout


def test_a_dump_of_nothing_creates_nothing(place: Path) -> None:
    refused = server.run("pg_dump", "--data-dir", str(place / "none"))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "there is no database in" in refused.stderr
    assert not (place / "none").exists()
