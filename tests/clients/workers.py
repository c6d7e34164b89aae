"""The workers of docs/guides/worker-*.md, as they stand there."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests import nodejs, server
from tests.nodejs import NODE
from tests.pages import Page

# With the blank lines.
MAX_LINES = 70
# BATCH, LEASE_SECONDS, WAIT_SECONDS, LONGEST_PAUSE_SECONDS.
CONSTANTS = "10, 30, 20, 10"


def program(name: str, constants: str) -> str:
    """The first code block of a guide, with these constants."""
    found = Page(f"docs/guides/worker-{name}.md").blocks[0].code
    assert found.count("\n") <= MAX_LINES
    assert found.count(CONSTANTS) == 1
    return found.replace(CONSTANTS, constants)


def python(folder: Path, constants: str = CONSTANTS) -> list[str]:
    """A command that runs the worker in Python."""
    (folder / "worker.py").write_text(program("python", constants))
    return [sys.executable, str(folder / "worker.py")]


def typescript(folder: Path, constants: str = CONSTANTS) -> list[str]:
    """A command that runs the worker in TypeScript, compiled."""
    (folder / "worker.ts").write_text(program("typescript", constants))
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    shutil.copy(NODE / "generated" / "tsconfig.json", folder)
    shutil.copy(NODE / "no-websocket.mjs", folder)
    compiler = nodejs.command(NODE / "node_modules" / ".bin" / "tsc", "--project", folder, packages=["typescript"])
    subprocess.run(compiler, cwd=folder, check=True, timeout=120)
    packages = ["@supabase/supabase-js"]
    return nodejs.command("--import", "./no-websocket.mjs", folder / "made" / "worker.js", packages=packages)


def started(command: list[str], folder: Path, variables: Mapping[str, str]) -> subprocess.Popen[str]:
    """Run a worker, whose output goes to the folder's file `output`."""
    with (folder / "output").open("w") as output:
        return subprocess.Popen(
            command, cwd=folder, env=server.environment(variables), stdout=output, stderr=output, text=True
        )


def done(folder: Path) -> list[int]:
    """The tasks that a worker has printed."""
    return [int(line.split()[1]) for line in (folder / "output").read_text().splitlines()]
