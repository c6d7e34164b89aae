"""The workers of docs/consumers.md, as they stand there, through lost connections of the database."""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import nodejs, server
from tests.clients.conftest import REPOSITORY, Project
from tests.databases import Sql
from tests.nodejs import NODE
from tests.waiting import until

PAGE = (REPOSITORY / "docs" / "consumers.md").read_text()
MAX_LINES = 60
TASKS = 60

Start = Callable[[Path], list[str]]


def program(language: str) -> str:
    """The only code block of the page in a language."""
    found: str
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found.count("\n") <= MAX_LINES
    return found


def python(folder: Path) -> list[str]:
    (folder / "worker.py").write_text(program("python"))
    return [sys.executable, str(folder / "worker.py")]


def typescript(folder: Path) -> list[str]:
    (folder / "worker.ts").write_text(program("typescript"))
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    shutil.copy(NODE / "generated" / "tsconfig.json", folder)
    shutil.copy(NODE / "no-websocket.mjs", folder)
    compiler = nodejs.command(NODE / "node_modules" / ".bin" / "tsc", "--project", folder, packages=["typescript"])
    subprocess.run(compiler, cwd=folder, check=True, timeout=120)
    packages = ["@supabase/supabase-js"]
    return nodejs.command("--import", "./no-websocket.mjs", folder / "made" / "worker.js", packages=packages)


@pytest.fixture(params=[python, typescript])
def worker(
    request: pytest.FixtureRequest, running: Project, queue: str, tmp_path: Path
) -> Iterator[subprocess.Popen[str]]:
    """A worker on the test's queue. Its output is in the folder's file `output`."""
    command = request.param(tmp_path)
    variables = {"SUPABASE_URL": running.url, "SUPABASE_KEY": running.service_key, "QUEUE": queue}
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=server.environment(variables), stdout=output, stderr=output, text=True
        )
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
    done = [int(line.split()[1]) for line in (tmp_path / "output").read_text().splitlines()]
    assert sorted(set(done)) == list(range(1, TASKS + 1))
    # The message that fails was rejected, with the error.
    ((message, headers),) = sql(f"select message, headers::text from pgmq.a_{queue}")
    assert (message, "Error" in headers) == ("no task", True)
