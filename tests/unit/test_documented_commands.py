"""Commands in the text of pages exist, with their options: `pgmq-gateway queue show tasks`."""

import re
import shlex

import pytest
from typer.testing import CliRunner

from pgmq_gateway.cli.main import app
from tests.pages import Page, pages

INLINE = re.compile(r"`pgmq-gateway ([^`\n]+)`")
PAGES = [page for page in pages() if INLINE.search(page.text)]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_commands_in_the_text_exist(page: Page) -> None:
    assert [text for text in INLINE.findall(page.text) if is_refused(text)] == []


def test_mistakes_are_found() -> None:
    texts = ["queue shwo tasks", "queue show tasks --bad", "serve --prot 3000", "nonsense"]
    assert [text for text in texts if not is_refused(text)] == []


def is_refused(text: str) -> bool:
    """True if the command line is wrong. `…` stands for further arguments. With --help, nothing runs."""
    words = [word for word in shlex.split(text) if word != "…"]
    return CliRunner().invoke(app, [*words, "--help"]).exit_code != 0
