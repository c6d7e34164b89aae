"""The generated pages of the reference are those of the code, and complete."""

import re
from pathlib import Path

import psycopg.errors
import pytest

from tests.pages import REPOSITORY, Page
from website.reference import errors, pages

PAGES = pages()
PACKAGE = REPOSITORY / "app" / "pgmq_gateway"
CONDITION = re.compile(r"errcode = '([a-z_]+)'|raise ([a-z_]+) using")
METRIC = re.compile(r"\"((?:pgmq_gateway|pgrst)_\w+)\"")
# Of names that are put together.
PREFIXES = {"pgmq_gateway_queue", "pgmq_gateway_database_"}
ERROR_CODE = re.compile(r"['\"](PGMQ\d+|PGRST\d{3}|PGRSTX00|PT\d{3})['\"]")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_generated_page_is_that_of_the_code(path: Path) -> None:
    assert path.read_text() == PAGES[path], "run: make reference"


def test_every_error_code_has_a_row() -> None:
    files = [*PACKAGE.rglob("*.py"), *(REPOSITORY / "sql").rglob("*.sql")]
    named = {code for path in files for code in ERROR_CODE.findall(path.read_text())}
    named |= {sqlstate(name) for path in files for name in conditions(path)}
    # An example in a comment.
    named -= {"PT402"}
    page = errors.page()
    assert {code for code in named if not re.search(rf"^\| `[^`]*\b{code}\b", page, re.MULTILINE)} == set()


def test_every_metric_has_a_row() -> None:
    files = [*(PACKAGE / "observe").glob("*.py")]
    named = {name for path in files for name in METRIC.findall(path.read_text())} - PREFIXES
    page = Page("docs/reference/metrics.md").text
    assert len(named) > 30
    assert {name for name in named if not is_listed(name.removesuffix("_total"), page)} == set()


def is_listed(metric: str, page: str) -> bool:
    """True if the page has the name, or its end behind an ellipsis."""
    ends = re.findall(r"`…(_\w+?)(?:_total)?(?:\{.*?\})?`", page)
    return re.search(rf"\b{metric}(_total)?\b", page) is not None or any(metric.endswith(end) for end in ends)


def conditions(path: Path) -> list[str]:
    """The names of conditions that SQL raises."""
    return [one or other for one, other in CONDITION.findall(path.read_text())] if path.suffix == ".sql" else []


def sqlstate(condition: str) -> str:
    """The code of one of Postgres' conditions."""
    name = "".join(part.capitalize() for part in condition.split("_"))
    return str(getattr(psycopg.errors, name).sqlstate)
