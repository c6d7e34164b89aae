"""`serve --workers auto`: one worker for each processor that the gateway may use, and room for an embedded Postgres."""

import os
from pathlib import Path

import pytest

from pgmq_gateway.control_group import processor_limits
from pgmq_gateway.process.worker_count import automatic, usable_processors
from pgmq_gateway.settings.model import Settings
from tests.unit.test_memory import tree


@pytest.mark.parametrize(
    ("processors", "pool", "embedded", "text"),
    [
        (1, 10, False, "1 (auto: 1 processor)"),
        (4, 10, False, "4 (auto: 4 processors)"),
        (1.5, 10, False, "1 (auto: 1.5 processors)"),
        (0.25, 10, False, "1 (auto: 0.25 processors)"),
        (1, 10, True, "1 (auto: 1 processor, half of them for Postgres)"),
        (2, 10, True, "1 (auto: 2 processors, half of them for Postgres)"),
        (8, 10, True, "4 (auto: 8 processors, half of them for Postgres)"),
        (8, 10, False, "5 (auto: 2 or more connections each, PGRST_DB_POOL=10)"),
        (8, 3, True, "1 (auto: 2 or more connections each, PGRST_DB_POOL=3)"),
        (2, 1, False, "1 (auto: 2 or more connections each, PGRST_DB_POOL=1)"),
        (1, 1, False, "1 (auto: 1 processor)"),
        (96, 1000, False, "64 (auto: 96 processors)"),
    ],
)
def test_the_number_follows_from_processors_pool_and_database(
    processors: float, pool: int, text: str, *, embedded: bool
) -> None:
    assert str(automatic(Settings(db_pool=pool), processors, embedded=embedded)) == text


@pytest.mark.parametrize(
    ("files", "limits"),
    [
        ({}, []),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, [1.5]),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, []),
        # A service of systemd, limited by its slice.
        (
            {
                "proc/self/cgroup": "0::/a.slice/b.service\n",
                "sys/fs/cgroup/a.slice/cpu.max": "200000 100000\n",
                "sys/fs/cgroup/a.slice/b.service/cpu.max": "max 100000\n",
            },
            [2.0],
        ),
        # A container of version 1, whose path is the host's.
        (
            {
                "proc/self/cgroup": "9:name=systemd:/x\n4:memory:/docker/f00\n3:cpu,cpuacct:/docker/f00\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            [0.5],
        ),
        (
            {
                "proc/self/cgroup": "1:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            [],
        ),
    ],
)
def test_the_quotas_of_control_groups_are_found(tmp_path: Path, files: dict[str, str], limits: list[float]) -> None:
    assert list(processor_limits(tree(tmp_path, files))) == limits


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity")
def test_affinity_limits_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgmq_gateway.process.worker_count.processor_limits", lambda: iter([2.5]))
    for affinity, usable in ((set(range(8)), 2.5), ({3}, 1)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, affinity=affinity: affinity)
        assert usable_processors() == usable
