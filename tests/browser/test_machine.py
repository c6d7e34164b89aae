"""Tests in a browser are skipped with a reason if the machine does not meet a requirement."""

from pathlib import Path

import pytest

from tests.browser import machine


@pytest.fixture
def chromium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PATH with Chromium and nothing else."""
    executable(tmp_path / "chromium", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("REQUIRE_ALL", raising=False)


def executable(path: Path, script: str) -> Path:
    """Write a shell script."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.usefixtures("chromium")
def test_a_driver_that_cannot_start_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = executable(tmp_path / "node", "echo 'cannot open libatomic.so.1' >&2; exit 127")
    monkeypatch.setenv("PLAYWRIGHT_NODEJS_PATH", str(broken))
    with pytest.raises(pytest.skip.Exception, match=r"Playwright's driver .*\(cannot open libatomic\.so\.1\)"):
        machine.browser_program()


@pytest.mark.usefixtures("chromium")
def test_the_browser_of_the_machine_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    working = executable(tmp_path / "node", "exit 0")
    monkeypatch.setenv("PLAYWRIGHT_NODEJS_PATH", str(working))
    assert machine.browser_program() == str(tmp_path / "chromium")


def test_without_a_browser_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match="Chromium is missing"):
        machine.browser_program()
