"""The commands of docs/operating/backup.md, by section, and a shell to paste them into."""

import os
import subprocess
from pathlib import Path

from pgmq_gateway.embedded.cluster import binary
from tests import server
from tests.pages import Page
from tests.server import PROGRAM

PAGE = Page("docs/operating/backup.md")
DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
# The programs of one's own server: Debian's oldest, older than the embedded Postgres, where there is one.
PROGRAMS = DEBIAN[0] if DEBIAN else binary("postgres").parent


def commands() -> dict[str, list[str]]:
    """The code blocks of each section that has some, by its heading."""
    found: dict[str, list[str]] = {}
    for block in PAGE.blocks:
        if block.language in ("sh", "python"):
            found.setdefault(block.heading, []).append(block.code)
    return found


def paste(script: str, folder: Path, programs: Path = PROGRAMS, **variables: str) -> str:
    """The output of a shell in `folder` for pasted commands, which must succeed."""
    path = os.pathsep.join(map(str, (PROGRAM.parent, programs, "/usr/bin", "/bin")))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=server.environment({"PATH": path, **variables}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
