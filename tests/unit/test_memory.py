"""The default limit of memory: that of the machine, or of the control group if it has a lower one."""

from pathlib import Path

import pytest

from pgmq_gateway.http.memory import MAX_DEFAULT_BYTES, default_limit
from pgmq_gateway.process.supervisor import Supervisor
from pgmq_gateway.settings.model import Settings

MEGABYTE = 1 << 20


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, MAX_DEFAULT_BYTES),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": f"{64 * MEGABYTE}\n"}, 32 * MEGABYTE),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, MAX_DEFAULT_BYTES),
        # A service of systemd, limited by its slice.
        (
            {
                "proc/self/cgroup": "0::/a.slice/b.service\n",
                "sys/fs/cgroup/a.slice/memory.max": f"{50 * MEGABYTE}",
                "sys/fs/cgroup/a.slice/b.service/memory.max": f"{60 * MEGABYTE}",
            },
            25 * MEGABYTE,
        ),
        # A container of version 1, whose path is the host's.
        (
            {
                "proc/self/cgroup": "9:name=systemd:/x\n4:memory:/docker/f00\n3:cpu,cpuacct:/x\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{40 * MEGABYTE}\n",
            },
            20 * MEGABYTE,
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            MAX_DEFAULT_BYTES,
        ),
    ],
)
def test_the_default_is_half_of_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], limit: int
) -> None:
    # Pages and their size: a machine with 64 GiB.
    monkeypatch.setattr("os.sysconf", lambda _: 1 << 18)
    assert default_limit(tree(tmp_path, files)) == limit


def test_workers_divide_the_default_and_each_has_what_is_set() -> None:
    for settings, limit in ((Settings(), default_limit() // 4), (Settings(max_buffered=77), 77)):
        assert Supervisor.share(settings, 4).max_buffered == limit
