"""Each page of the documentation works as it stands, walked from top to bottom (tests/pages.py)."""

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.clients.conftest import REPOSITORY
from tests.clients.ground import Ground
from tests.conftest import missing
from tests.pages import Page, pages
from tests.server import Server

PAGES = pages()
WALKED = [page for page in PAGES if any(block.is_run for block in page.blocks) and not page.walked_by]
# Pages with a reader who does what they say.
TASKS = ("docs/tutorial.md", "docs/guides/", "docs/operating/")
# Blocks that cannot run here, by page; each says why in a comment.
NOT_RUN: dict[str, int] = {
    "docs/guides/produce-from-cron.md": 2,
    "docs/guides/worker-edge-function.md": 3,
    "docs/reference/management.md": 1,
    "docs/tutorial.md": 1,
    "docs/guides/dashboard.md": 2,
    "docs/guides/from-postgrest.md": 1,
    "docs/guides/from-supabase-queues.md": 2,
    "docs/guides/supabase.md": 1,
    "docs/operating/containers.md": 1,
    "docs/operating/installing.md": 1,
    "docs/operating/restarting.md": 1,
    "docs/operating/running.md": 1,
    "docs/operating/scaling.md": 1,
}


@pytest.fixture(scope="module")
def ground(checkout: tuple[Path, Server]) -> Ground:
    """A gateway of which each page gets an empty database."""
    if not shutil.which("curl"):
        missing("curl", "install curl")
    return Ground(*checkout)


@pytest.mark.parametrize("page", WALKED, ids=str)
def test_a_page_works_as_it_stands(page: Page, ground: Ground, tmp_path: Path) -> None:
    with ground.walk(tmp_path) as walk:
        for block in page.blocks:
            if block.is_run:
                walk.run(block)


@pytest.mark.parametrize("page", [page for page in PAGES if page.path.startswith(TASKS)], ids=str)
def test_code_stands_in_fenced_blocks_that_are_run(page: Page) -> None:
    assert re.findall(r"^\n((?:    .*\n)+)", page.prose, re.MULTILINE) == []


def test_each_block_that_is_not_run_has_a_reason() -> None:
    left_out = [block for page in PAGES for block in page.blocks if "not run" in block.comments]
    assert [str(block) for block in left_out if not block.comments["not run"]] == []
    assert Counter(block.page for block in left_out) == NOT_RUN


@pytest.mark.parametrize("page", [page for page in PAGES if page.walked_by], ids=str)
def test_a_test_of_its_own_reads_the_page(page: Page) -> None:
    assert page.walked_by
    assert Path(page.path).name in (REPOSITORY / page.walked_by).read_text()
