"""The workers of docs/guides, as they stand there, through lost connections of the database."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import server
from tests.clients.conftest import Project
from tests.clients.workers import done, python, started, typescript
from tests.databases import Sql
from tests.waiting import until

TASKS = 60


@pytest.fixture(params=[python, typescript])
def worker(
    request: pytest.FixtureRequest, running: Project, queue: str, tmp_path: Path
) -> Iterator[subprocess.Popen[str]]:
    """A worker on the test's queue. Its output is in the folder's file `output`."""
    command = request.param(tmp_path)
    variables = {"SUPABASE_URL": running.url, "SUPABASE_KEY": running.service_key, "QUEUE": queue}
    process = started(command, tmp_path, variables)
    yield process
    process.kill()
    process.wait()


def test_a_worker_does_all_tasks_and_stops(worker: subprocess.Popen[str], queue: str, tmp_path: Path, sql: Sql) -> None:
    # One more than needed: the response of a read can be lost.
    sql("select pgmq_admin.set_queue_settings(%s, %s)", queue, json.dumps({"max_receives": 2}))
    sql("select pgmq.send(%s, jsonb_build_object('task', n)) from generate_series(1, %s::int) n", queue, TASKS // 2)
    sql("select pgmq.send(%s, '\"no task\"')", queue)
    until(lambda: "done" in (tmp_path / "output").read_text())
    # The calls that run now fail, or their responses are lost.
    sql(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where usename = 'authenticator' and datname = current_database()"
    )
    sql(
        "select pgmq.send(%s, jsonb_build_object('task', n)) from generate_series(%s::int, %s::int) n",
        queue, TASKS // 2 + 1, TASKS,
    )  # fmt: skip

    def empty() -> bool:
        assert worker.poll() is None, (tmp_path / "output").read_text()
        return sql(f"select count(*) from pgmq.q_{queue}") == [(0,)]

    until(empty)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(server.TIMEOUT_SECONDS) == 0, (tmp_path / "output").read_text()
    assert sorted(set(done(tmp_path))) == list(range(1, TASKS + 1))
    # The message that fails was rejected, with the error.
    ((message, headers),) = sql(f"select message, headers::text from pgmq.a_{queue}")
    assert (message, "Error" in headers) == ("no task", True)
