"""Clients generated from openapi.yaml: generated anew, compiled, and run for all operations."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import nodejs, server
from tests.clients.conftest import REPOSITORY, command, project
from tests.conftest import missing
from tests.databases import runner
from tests.nodejs import NODE
from tests.server import PROGRAM

DOCUMENT = REPOSITORY / "openapi.yaml"
PYTHON = Path(__file__).with_name("python")
# Programs, and the packages that contain them.
TOOLS = {"openapi-typescript": "openapi-typescript", "openapi-ts": "@hey-api/openapi-ts", "tsc": "typescript"}
SEEN = {
    "functions": {
        "sent": [1],
        "sentBatch": [2, 3],
        "read": [[1, {"hello": "world"}]],
        "archived": True,
        "again": False,
        "popped": [[2, {"n": 2}]],
        "deleted": True,
    },
    "resources": {
        "sent": [4],
        "read": [[4, {"via": "resources"}]],
        "archived": True,
        "batch": [5, 6],
        "popped": [[5, 5]],
        "deleted": True,
        "entries": [{"entry": 0, "msg_id": 7, "duplicate": False}],
        "outcomes": ["acked"],
    },
    "refusals": [[404, "PGMQ404"], [404, "42P01"], [400, "22P02"]],
}


@pytest.mark.parametrize("generator", ["openapi-fetch", "hey-api"])
def test_a_generated_client_for_typescript_does_all_operations(generator: str, made: Path, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(NODE / "node_modules")
    for name in (f"{generator}.ts", "tsconfig.json"):
        shutil.copy(NODE / "generated" / name, tmp_path)
    if generator == "openapi-fetch":
        node(tmp_path, "openapi-typescript", DOCUMENT, "--output", tmp_path / "api.ts")
    else:
        client = ("--output", tmp_path / "api", "--client", "@hey-api/client-fetch")
        node(tmp_path, "openapi-ts", "--input", DOCUMENT, *client)
    node(tmp_path, "tsc", "--project", tmp_path)
    program = nodejs.command(tmp_path / "made" / f"{generator}.js", packages=["openapi-fetch"])
    used(made, f"for-{generator}", program, tmp_path)


def test_a_generated_client_for_python_does_all_operations(made: Path, tmp_path: Path) -> None:
    generate = PROGRAM.with_name("openapi-python-client")
    if not generate.exists():
        missing("openapi-python-client", "make .venv/installed-test")
    output = ("--output-path", tmp_path / "queue_client", "--meta", "none", "--fail-on-warning")
    done([generate, "generate", "--path", DOCUMENT, *output], tmp_path)
    script = shutil.copy(PYTHON / "openapi_python_client.py", tmp_path)
    # The generator's own client.py is not strict.
    done([PROGRAM.with_name("mypy"), "--strict", "--follow-imports=silent", "--config-file=", script], tmp_path)
    used(made, "for-python", [Path(sys.executable), script], tmp_path)


def used(made: Path, queue: str, arguments: list[Any], folder: Path) -> None:
    """Run a program of all operations on a new queue; check its output, and the rows left behind."""
    command("queue", "create", queue, cwd=made)
    mine = project(cwd=made)
    printed = done(arguments, folder, SUPABASE_URL=mine.url, SUPABASE_KEY=mine.service_key, QUEUE=queue)
    assert json.loads(printed) == SEEN
    with psycopg.connect(socket_uri(DataDirectory(made / ".pgmq-gateway"))) as connection:
        sql = runner(connection)
        assert sql(f"select msg_id, message, read_ct, vt > now() + '9 min' from pgmq.\"q_{queue}\"") == [
            (8, None, 0, True)
        ]
        assert sql(f'select msg_id, message, read_ct from pgmq."a_{queue}" order by 1') == [
            (1, {"hello": "world"}, 1),
            (4, {"via": "resources"}, 1),
        ]


def node(folder: Path, tool: str, *arguments: object) -> None:
    """Run a tool of the installed packages."""
    done(nodejs.command(NODE / "node_modules" / ".bin" / tool, *arguments, packages=[TOOLS[tool]]), folder)


def done(arguments: list[Any], folder: Path, **variables: str) -> str:
    """The output of a program, which must succeed, run in a folder with the virtual environment's tools on the PATH."""
    path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        [str(argument) for argument in arguments],
        cwd=folder,
        env=server.environment({"PATH": path, **variables}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
