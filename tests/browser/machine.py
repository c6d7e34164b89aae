"""Requirements of the tests in a browser, which are skipped if one is missing."""

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
    # Its driver is a bundled Node.js, which needs libatomic; Chromium's package does not depend on that.
    driver = subprocess.run(
        [sys.executable, "-m", "playwright", "--version"], capture_output=True, text=True, check=False
    )
    if driver.returncode:
        missing("a library for Playwright's driver", f"on Debian, apt-get install libatomic1 ({driver.stderr.strip()})")
    return program
