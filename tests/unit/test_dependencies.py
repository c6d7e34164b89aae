"""Requirements of pyproject.toml that must stay narrow."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def test_uvicorn_is_pinned_to_the_minor_release_that_is_locked() -> None:
    """Its internals are overridden, and they may change with every minor release."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (uvicorn,) = (one for one in map(Requirement, project["dependencies"]) if one.name == "uvicorn")
    locked = re.search(r"^uvicorn==(\d+)\.(\d+)\.(\d+)$", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert locked is not None
    major, minor, patch = map(int, locked.groups())
    for version, expected in (
        (f"{major}.{minor}.{patch}", True),
        (f"{major}.{minor}.{patch + 1}", True),
        (f"{major}.{minor + 1}.0", False),
        (f"{major}.{minor - 1}.0", False),
    ):
        assert uvicorn.specifier.contains(version) is expected, version
