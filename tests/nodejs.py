"""Node.js and the packages in tests/clients/node. Tests that need them are skipped if they are missing."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests import server
from tests.conftest import missing

NODE = Path(__file__).parent / "clients" / "node"
# The first major version that has fetch without a flag, which the clients need.
MIN_VERSION = 18


def command(*arguments: object, packages: Sequence[str] = ()) -> list[str]:
    """A command that runs `node` with these arguments and needs these packages."""
    program = _program()
    for name in packages:
        package(name)
    return [program, *map(str, arguments)]


def run(*arguments: object, packages: Sequence[str] = (), **variables: str) -> str:
    """Run `node` beside the packages and return what it prints; it must succeed."""
    done = subprocess.run(
        command("--import", "./no-websocket.mjs", *arguments, packages=packages),
        cwd=NODE,
        env=server.environment(variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def package(name: str) -> Path:
    """The folder of an installed package."""
    found = NODE / "node_modules" / name
    if not found.is_dir():
        missing(f"the package {name} for Node.js", "`make test` installs it where npm and its registry are available")
    return found


def _program() -> str:
    program = shutil.which("node")
    wanted = f"Node.js {MIN_VERSION} or newer"
    if not program:
        missing(wanted, "install it")
    printed = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    version = re.match(r"v(\d+)", printed)
    if not version or int(version[1]) < MIN_VERSION:
        missing(wanted, f"{program} is {printed}")
    return program
