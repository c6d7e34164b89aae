"""Samples of the queues: one history for several gateways and workers, and outages of the database."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from pgmq_gateway.background.history import History
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import server
from tests.databases import Sql, runner
from tests.server import SECRET, Server
from tests.waiting import until

INTERVAL = "PGMQ_GATEWAY_HISTORY_INTERVAL"
TAKEN = "select count(distinct at) from pgmq_gateway.samples"

Serve = Callable[..., Server]


@pytest.fixture
def sql(directory: DataDirectory, database: str) -> Iterator[Sql]:
    """Run SQL as the owner of the test's database, which has a queue."""
    with psycopg.connect(socket_uri(directory, database=database), autocommit=True) as connection:
        run = runner(connection)
        run("select pgmq_admin.create_queue('jobs')")
        yield run


def test_many_processes_take_one_sample_at_a_time(
    directory: DataDirectory, database: str, sql: Sql, tmp_path: Path
) -> None:
    uri = socket_uri(directory, "authenticator", database)
    env = {"PGRST_DB_URI": uri, "PGRST_JWT_SECRET": SECRET, "PGRST_DB_POOL": "2", INTERVAL: "0.5"}
    workers = server.start(tmp_path / "workers.log", "--workers", "2", env=env)
    try:
        before = sql(TAKEN)[0][0]
        until(lambda: sql(TAKEN)[0][0] >= before + 3)
    finally:
        assert workers.stop() == 0
    ((shortest,),) = sql("""
        select min(extract(epoch from at - earlier))
        from (select at, lag(at) over (order by at) as earlier from pgmq_gateway.samples) as s
    """)
    assert shortest >= 0.5
    assert (tmp_path / "workers.log").read_text() == ""


def test_an_outage_of_the_database_costs_samples_but_logs_few_lines(
    serve: Serve, directory: DataDirectory, database: str, sql: Sql
) -> None:
    gateway = serve(database, **{INTERVAL: "0.1"})
    until(lambda: sql(TAKEN)[0][0] >= 2)
    with psycopg.connect(socket_uri(directory), autocommit=True) as maintenance:
        maintenance.execute(f"alter database {database} with allow_connections false")
        maintenance.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s and usename = 'authenticator'",
            [database],
        )
        until(lambda: "cannot reach the database" in gateway.log.read_text())
        before = sql(TAKEN)[0][0]
        maintenance.execute(f"alter database {database} with allow_connections true")
    until(lambda: sql(TAKEN)[0][0] >= before + 2)
    assert gateway.log.read_text().count("sample") <= 1


def test_when_the_function_is_dropped_there_is_no_history_and_no_log_line(
    serve: Serve, database: str, sql: Sql
) -> None:
    gateway = serve(database, **{INTERVAL: "0.05"})
    until(lambda: sql(TAKEN)[0][0])
    sql("drop function pgmq_gateway.take_sample")
    ((dropped,),) = sql("select clock_timestamp()")
    asked = "select count(*) from pg_stat_activity where datname = %s and query = %s and query_start > %s"
    until(lambda: sql(asked, database, History.QUERY, dropped)[0][0])
    assert gateway.stop() == 0
    assert gateway.log.read_text() == ""


@pytest.mark.parametrize(
    ("breaking", "repairing"),
    [
        ("alter table pgmq_gateway.samples rename to gone", "alter table pgmq_gateway.gone rename to samples"),
        (
            "revoke execute on function pgmq_gateway.take_sample from authenticator",
            "grant execute on function pgmq_gateway.take_sample to authenticator",
        ),
    ],
)
def test_a_failing_sample_is_logged_once(serve: Serve, database: str, sql: Sql, breaking: str, repairing: str) -> None:
    sql(breaking)
    gateway = serve(database, **{INTERVAL: "0.05"})
    until(lambda: "cannot take a sample" in gateway.log.read_text())
    sql(repairing)
    until(lambda: sql(TAKEN)[0][0])
    assert gateway.log.read_text().count("cannot take a sample") == 1


def test_with_an_interval_of_0_nothing_is_written(serve: Serve, database: str, sql: Sql) -> None:
    assert serve(database).stop() == 0
    assert sql(TAKEN) == [(0,)]
