"""What the tests in a browser need from the machine. They are skipped where it is missing."""

import shutil
import subprocess
import sys

from tests.conftest import missing

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def browser_program() -> str:
    """The path of Chromium, on a machine where Playwright can drive it."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not program:
        missing("Chromium", "install chromium")
    # Its driver is a Node.js of its own, which needs libatomic; Chromium does not bring that.
    driver = subprocess.run(
        [sys.executable, "-m", "playwright", "--version"], capture_output=True, text=True, check=False
    )
    if driver.returncode:
        missing("a library for Playwright's driver", f"on Debian, apt-get install libatomic1 ({driver.stderr.strip()})")
    return program
