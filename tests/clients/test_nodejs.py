"""Tests that run Node.js are skipped with a reason if Node.js or its packages are missing."""

from pathlib import Path

import pytest

from tests import nodejs


@pytest.fixture
def version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The version of the only `node` on the PATH."""
    program = tmp_path / "node"
    program.write_text(f"#!/bin/sh\necho {request.param}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("REQUIRE_ALL", raising=False)
    return str(request.param)


@pytest.mark.parametrize("version", ["v16.20.2", "v8.0.0"], indirect=True)
def test_an_old_version_is_named(version: str) -> None:
    with pytest.raises(pytest.skip.Exception, match=rf"Node.js 18 or newer is missing: .*/node is {version}"):
        nodejs.command()


@pytest.mark.parametrize("version", ["v18.20.4", "v22.1.0"], indirect=True)
def test_a_newer_version_is_taken(version: str, tmp_path: Path) -> None:  # noqa: ARG001
    assert nodejs.command("x.mjs") == [str(tmp_path / "node"), "x.mjs"]


def test_without_nodejs_a_test_is_skipped_and_fails_where_everything_is_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"Node\.js 18 or newer is missing"):
        nodejs.command()
    monkeypatch.setenv("REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match=r"Node\.js 18 or newer is missing"):
        nodejs.command()


def test_without_a_package_a_test_is_skipped_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodejs, "NODE", tmp_path)
    monkeypatch.delenv("REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"axe-core for Node\.js is missing: `make test` installs it"):
        nodejs.package("axe-core")
