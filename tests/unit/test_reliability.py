"""docs/explanation/reliability.md names a test of each fault, attack and neighbour, or the reason for none."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "reliability.md").read_text()
ROW = re.compile(r"^\| ([FAN]\d+) \|.*\| ([^|]+) \|$", re.MULTILINE)
ROWS = dict(ROW.findall(PAGE))
NUMBERS = [*(f"F{n}" for n in range(1, 52)), *(f"A{n}" for n in range(1, 52)), *(f"N{n}" for n in range(1, 8))]
NAMED = re.compile(r"`(test_\w+)`")


def test_every_row_is_there_once_and_in_order() -> None:
    assert [number for number, _ in ROW.findall(PAGE)] == NUMBERS


def test_rows_name_the_tests_that_are_named_after_them() -> None:
    named = {(number, name) for number, cell in ROWS.items() for name in NAMED.findall(cell)}
    assert named == {(number, name) for name in function_names() for number in numbers(name)}


def test_rows_without_a_test_say_why() -> None:
    assert {number for number, cell in ROWS.items() if not NAMED.search(cell) and len(cell.split()) <= 5} == set()


def function_names() -> set[str]:
    """The names of all functions in test modules."""
    trees = (ast.parse(path.read_text()) for path in (ROOT / "tests").glob("*/test_*.py"))
    functions = (node for tree in trees for node in ast.walk(tree))
    return {node.name for node in functions if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def numbers(name: str) -> list[str]:
    """The faults, attacks and neighbours that a test is named after: F6 and F22 for `test_f6_f22_…`."""
    return [number.upper() for number in re.findall(r"(?:(?<=^test)|(?<=\d))_([fan]\d+)(?=_)", name)]
