"""The limits of this process' control group (cgroups, version 1 or 2), as containers and systemd set them."""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

ROOT = Path("/")


def memory_limits(root: Path = ROOT) -> Iterator[int]:
    """Bytes: the limits of the group and of those above it."""
    for folder in _folders(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            yield from _numbers(folder / name)


def processor_limits(root: Path = ROOT) -> Iterator[float]:
    """Processors, such as 1.5: the quotas of the group and of those above it."""
    for folder in _folders(root, "cpu"):
        one_file = _numbers(folder / "cpu.max")
        two_files = [*_numbers(folder / "cpu.cfs_quota_us"), *_numbers(folder / "cpu.cfs_period_us")]
        for numbers in (one_file, two_files):
            # In version 1, a quota of -1 is none.
            if len(numbers) == 2 and min(numbers) > 0:
                yield numbers[0] / numbers[1]


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """The folders of the group and of those above it. In a container its path can begin at the container's own."""
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for group in groups:
        _, controllers, path = group.split(":", 2)
        if not controllers or controller in controllers.split(","):
            base = root / "sys/fs/cgroup" / controllers
            for folder in (PurePosixPath(path), *PurePosixPath(path).parents):
                yield base / str(folder).lstrip("/")


def _numbers(file: Path) -> Sequence[int]:
    try:
        return [int(word) for word in file.read_text().split()]
    except (OSError, ValueError):
        # No such group here, or `max`.
        return ()
