"""The checker's short run: everything at once, over several gateways."""

import re
import subprocess
import sys


def test_f35_nothing_is_lost_shared_leaked_or_invented_whatever_breaks() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.checker", "--minutes", "0.1", "--gateways", "1,1", "--clients", "12"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^0 violations$", done.stdout, re.MULTILINE)
    # It has not found nothing because nothing happened.
    kinds = re.findall(r"^ +\d+ (?!\d)(.+)$", done.stdout, re.MULTILINE)
    assert len(kinds) >= 4, done.stdout
    (acknowledged,) = re.findall(r"([\d,]+) acknowledged", done.stdout)
    assert int(acknowledged.replace(",", "")) > 20
