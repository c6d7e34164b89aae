"""The generated pages of the reference are those of the code, and complete."""

import re
from pathlib import Path

import psycopg.errors
import pytest

from tests.pages import REPOSITORY
from website.reference import errors, pages

PAGES = pages()
PACKAGE = REPOSITORY / "app" / "pgmq_gateway"
CONDITION = re.compile(r"errcode = '([a-z_]+)'|raise ([a-z_]+) using")
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


def conditions(path: Path) -> list[str]:
    """The names of conditions that SQL raises."""
    return [one or other for one, other in CONDITION.findall(path.read_text())] if path.suffix == ".sql" else []


def sqlstate(condition: str) -> str:
    """The code of one of Postgres' conditions."""
    name = "".join(part.capitalize() for part in condition.split("_"))
    return str(getattr(psycopg.errors, name).sqlstate)
