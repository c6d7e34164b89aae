"""Imports go one way: from each room only to rooms below it in the lists of docs/explanation/architecture.md."""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "app" / "pgmq_gateway"
ROOMS, DASHBOARD = (
    re.findall(r"^(\w+)  ", block, re.MULTILINE)
    for block in re.findall(
        r"```text\n(.*?)```", (ROOT / "docs" / "explanation" / "architecture.md").read_text(), re.DOTALL
    )
)


def imports(path: Path) -> Iterator[str]:
    """The modules, and names of modules, that a file imports; absolute names only, as the linter wants them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def against_the_order(folder: Path, order: Sequence[str]) -> list[str]:
    """The imports from a room of `folder` to one that is not below it."""
    prefix = ".".join(folder.relative_to(PACKAGE.parent).parts)
    found = []
    for path in folder.rglob("*.py"):
        room = path.relative_to(folder).parts[0].removesuffix(".py")
        for name in imports(path):
            other = name.removeprefix(f"{prefix}.").split(".")[0]
            if not name.startswith(f"{prefix}.") or other not in order or room not in order or room == other:
                continue
            if order.index(room) > order.index(other):
                found.append(f"{path.relative_to(PACKAGE)} imports {name}")
    return found


@pytest.mark.parametrize(("folder", "order"), [(PACKAGE, ROOMS), (PACKAGE / "dashboard", DASHBOARD)])
def test_imports_go_down(folder: Path, order: Sequence[str]) -> None:
    assert against_the_order(folder, order) == []


def test_every_room_has_its_place() -> None:
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert there - {"__init__", "__pycache__"} == set(ROOMS)
