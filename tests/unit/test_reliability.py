"""docs/reliability.md says of every fault and attack which test shows what happens, or why there is none."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text()
ROW = re.compile(r"^\| ([FA]\d+) \|.*\| ([^|]+) \|$", re.MULTILINE)
ROWS = dict(ROW.findall(PAGE))
NUMBERS = [*(f"F{n}" for n in range(1, 41)), *(f"A{n}" for n in range(1, 45))]
NAMED = re.compile(r"`(test_\w+)`")


@pytest.fixture(scope="module")
def numbered() -> dict[str, set[str]]:
    """The tests that are named after a fault or an attack, by its number."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "tests").glob("*/test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for number in re.findall(r"(?:(?<=^test)|(?<=\d))_([fa]\d+)(?=_)", node.name):
                    found.setdefault(number.upper(), set()).add(node.name)
    return found


def test_every_row_is_there_once_and_in_order() -> None:
    assert [number for number, _ in ROW.findall(PAGE)] == NUMBERS


@pytest.mark.parametrize("number", NUMBERS)
def test_a_row_names_its_tests_or_says_why_there_is_none(number: str, numbered: dict[str, set[str]]) -> None:
    named = set(NAMED.findall(ROWS[number]))
    assert named == numbered.get(number, set())
    assert named or len(ROWS[number].split()) > 5
