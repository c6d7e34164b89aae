"""openapi.yaml at the top is what the gateway prints of itself."""

from pathlib import Path

from app.datadir import DataDirectory
from tests.server import run

ROOT = Path(__file__).parents[2]


def test_the_committed_document_is_the_printed_one(directory: DataDirectory) -> None:
    printed = run("openapi", "--data-dir", str(directory.path))
    assert printed.returncode == 0
    assert (ROOT / "openapi.yaml").read_text() == printed.stdout, "run: pgmq-gateway openapi > openapi.yaml"
