"""The commands of docs/operating/backup.md, by section, and a shell to paste them into."""

import os
import re
import subprocess
from pathlib import Path

from pgmq_gateway.embedded.cluster import binary
from tests import server
from tests.server import PROGRAM

PAGE = (Path(__file__).parents[2] / "docs" / "operating" / "backup.md").read_text()
DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
# The programs of one's own server: Debian's oldest, older than the embedded Postgres, where there is one.
PROGRAMS = DEBIAN[0] if DEBIAN else binary("postgres").parent


def commands() -> dict[str, list[str]]:
    """The code blocks of each section that has some, by its heading."""
    found: dict[str, list[str]] = {}
    heading = ""
    for title, block in re.findall(r"^#+ ([^\n]*)\n|^```(?:sh|python)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        heading = title or heading
        if block:
            found.setdefault(heading, []).append(block)
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
