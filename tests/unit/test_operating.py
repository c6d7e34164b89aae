"""The examples in docs/operating work unchanged."""

import re
import shutil
import subprocess
from pathlib import Path

from pgmq_gateway.settings.ratelimit import read_rate_limits
from tests.conftest import missing

PAGES = Path(__file__).parents[2] / "docs" / "operating"


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        missing("systemd-analyze", "it reads the units of docs/operating/systemd.md")
    names = []
    for unit in re.findall(r"```ini\n(# \S+/(\S+)\n.*?)```", (PAGES / "systemd.md").read_text(), re.DOTALL):
        names.append(unit[1])
        # Older versions have neither the type nor the program.
        text = unit[0].replace("Type=notify-reload", "Type=notify").replace("/opt/pgmq-gateway/bin/", "/bin/false ")
        (tmp_path / unit[1]).write_text(text)
    assert names == ["pgmq-gateway.service", "pgmq-gateway.socket"]
    result = subprocess.run(
        ["systemd-analyze", "verify", *(tmp_path / name for name in names)], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_the_limits_are_such() -> None:
    lists = re.findall(r'PGMQ_GATEWAY_RATE_LIMITS="(.*)"', (PAGES / "rate-limits.md").read_text())
    assert [len(read_rate_limits(text.split(", "))) for text in lists] == [3]
