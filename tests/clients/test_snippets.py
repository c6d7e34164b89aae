"""The code of the dashboard's page Connect, run unchanged: its output, and the rows left behind."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pgmq_gateway.dashboard.connect import snippets, workers
from pgmq_gateway.dashboard.connect.snippets import Snippet
from pgmq_gateway.queue_functions import FUNCTIONS
from tests import nodejs, server
from tests.clients.conftest import Project, paste
from tests.databases import Sql
from tests.pages import Page

# In this order, on one queue.
PRINTED = {
    "send": [1],
    "send_batch": [2, 3],
    "archive": True,
    "delete": False,
}


def fetch(code: str, _: Path) -> str:
    """The output of the code as a module of Node.js."""
    return nodejs.run("--input-type=module", "--eval", code)


def supabase_js(code: str, _: Path) -> str:
    """The output of the code as a module of Node.js with supabase-js."""
    return nodejs.run("--input-type=module", "--eval", code, packages=["@supabase/supabase-js"])


def python(code: str, folder: Path) -> str:
    """The output of the code as a Python program."""
    command = [sys.executable, "-W", "ignore", "-c", code]
    env = server.environment()
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


RUN: dict[str, Callable[[str, Path], str]] = {
    "curl": paste,
    "fetch": fetch,
    "supabase-js": supabase_js,
    "supabase-py": python,
}


@pytest.mark.parametrize("language", RUN)
def test_the_code_works_as_it_stands(
    language: str, running: Project, queue: str, sql: Sql, tmp_path: Path, grant: Callable[..., None]
) -> None:
    grant("authenticated", "send", "read", "archive", "delete")
    sql(f"alter table pgmq.q_{queue} disable row level security")
    # Half of the calls use the key alone, half the key and a user's token.
    tokens = {"send": None, "send_batch": running.alice, "archive": running.alice, "delete": None}
    key = running.service_key
    for operation, printed in PRINTED.items():
        code = snippets.LANGUAGES[language](Snippet(running.url, queue, operation, key, tokens[operation]))
        assert json.loads(RUN[language](code, tmp_path).lower()) == printed
    assert sql(f"select message from pgmq.q_{queue} order by msg_id") == [({"hello": "world"},), ({"hello": "again"},)]
    assert sql(f"select msg_id from pgmq.a_{queue}") == [(1,)]


@pytest.mark.parametrize("language", workers.FILES)
def test_the_workers_are_those_of_the_guides(language: str) -> None:
    """Which are run by test_pages.py and tests/faults."""
    blocks = Page(f"docs/guides/worker-{language.lower().replace(' ', '-')}.md").blocks
    assert workers.program(language) + "\n" in {block.code for block in blocks}


@pytest.mark.parametrize("language", workers.FILES)
def test_the_environment_of_a_worker_is_quoted(language: str, tmp_path: Path) -> None:
    snippet = Snippet("http://127.0.0.1:3000", "it's $HOME", "read", "the-key")
    printed = paste(
        f"supabase() {{ printf '%s\\n' \"${{@:3}}\"; }}\n{workers.settings(language, snippet)}\nprintenv | sort",
        tmp_path,
    )
    name = "QUEUE_URL=http://127.0.0.1:3000/rest/v1/queues/" if language == "Edge Function" else "QUEUE="
    assert f"{name}it's $HOME" in printed.splitlines()


@pytest.mark.parametrize("language", snippets.LANGUAGES)
@pytest.mark.parametrize("operation", FUNCTIONS)
def test_hostile_names_stay_within_their_strings(language: str, operation: str) -> None:
    snippet = Snippet("http://127.0.0.1:3000", 'it\'s "$HOME" `x` \\', operation, "the-key", "the.to.ken")
    code = snippets.LANGUAGES[language](snippet)
    assert "the-key" in code
    assert "the.to.ken" in code
    unquoted = '"$HOME"' if language != "curl" else "it's"
    assert unquoted not in code


def test_without_supabase_js_its_code_is_skipped_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodejs, "NODE", tmp_path)
    monkeypatch.delenv("REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"(Node|supabase-js).* is missing"):
        RUN["supabase-js"]("import '@supabase/supabase-js'", tmp_path)
