"""Limits of connections."""

import resource
from collections.abc import Iterator

import pytest

from pgmq_gateway.http.bounds import Bounds, raise_file_limit, too_few_files
from pgmq_gateway.settings.model import Settings

SETTINGS = Settings(max_connections=1000, db_pool=10)


@pytest.fixture
def hard_limit() -> Iterator[int]:
    """The hard limit of open files, while the soft one is low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_soft_limit_of_open_files_rises_for_the_connections(hard_limit: int) -> None:
    assert too_few_files(SETTINGS)
    raise_file_limit(SETTINGS)
    assert too_few_files(SETTINGS) is None
    assert Bounds.of(SETTINGS).max_connections == 1000
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (1138, hard_limit)
