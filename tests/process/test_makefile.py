"""Node.js packages that `make test` installs, and its message if it cannot."""

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conftest import missing

MAKEFILE = Path(__file__).parents[2] / "Makefile"
FOLDER = "tests/clients/node"
INSTALLED = f"{FOLDER}/node_modules/.package-lock.json"
# A package that needs no registry, and one that does.
LOCAL = {"node_modules/local": {"resolved": "local", "link": True}, "local": {"version": "1.0.0"}}
REMOTE = {"node_modules/remote": {"version": "1.0.0", "integrity": "sha512-" + "A" * 86 + "=="}}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder in which make finds a package for Node.js that needs no registry."""
    local = tmp_path / FOLDER / "local"
    local.mkdir(parents=True)
    (local / "package.json").write_text(json.dumps({"name": "local", "version": "1.0.0"}))
    require(tmp_path, {"local": "file:local"}, LOCAL)
    return tmp_path


def require(checkout: Path, dependencies: dict[str, str], packages: Mapping[str, object]) -> None:
    """Write package.json and package-lock.json."""
    root = {"name": "tests", "dependencies": dependencies}
    lock = {"name": "tests", "lockfileVersion": 3, "requires": True, "packages": {"": root, **packages}}
    (checkout / FOLDER / "package.json").write_text(json.dumps(root))
    (checkout / FOLDER / "package-lock.json").write_text(json.dumps(lock))


def make(checkout: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run make for the packages."""
    program = shutil.which("make")
    if not program:
        missing("make", "install make")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFL", "REQUIRE_ALL"))}
    return subprocess.run(
        [program, "-f", MAKEFILE, INSTALLED],
        cwd=checkout,
        env={**kept, "npm_config_cache": str(checkout / "cache"), **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def need_npm() -> None:
    if not shutil.which("npm"):
        missing("npm", "install Node.js")


@pytest.fixture
def bare_path(tmp_path: Path) -> str:
    """A PATH without any program."""
    (tmp_path / "bin").mkdir()
    return str(tmp_path / "bin")


@pytest.fixture
def silent_registry() -> str:
    """The address of a registry that does not respond."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return f"http://127.0.0.1:{closed.getsockname()[1]}/"


def test_packages_are_installed_once_and_again_when_the_lock_has_changed(checkout: Path) -> None:
    need_npm()
    done = make(checkout)
    assert (done.returncode, done.stdout) == (0, "Installing packages for the tests that run Node.js\n"), done.stderr
    assert (checkout / FOLDER / "node_modules" / "local" / "package.json").is_file()
    again = make(checkout)
    assert (again.returncode, "Installing" in again.stdout) == (0, False)
    lock = checkout / FOLDER / "package-lock.json"
    later = (checkout / INSTALLED).stat().st_mtime + 1
    os.utime(lock, (later, later))
    assert make(checkout).stdout == done.stdout


def test_without_npm_one_line_says_what_is_skipped(checkout: Path, bare_path: str) -> None:
    done = make(checkout, PATH=bare_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Skipping tests that need packages for Node.js: npm is not installed\n"


def test_without_the_registry_one_line_says_what_is_skipped(checkout: Path, silent_registry: str) -> None:
    need_npm()
    require(checkout, {"remote": "1.0.0"}, REMOTE)
    done = make(checkout, npm_config_registry=silent_registry)
    assert (done.returncode, done.stderr) == (0, "")
    installing, skipping = done.stdout.splitlines()
    assert installing == "Installing packages for the tests that run Node.js"
    # npm 10 says "npm error", npm 9 "npm ERR!".
    assert re.fullmatch(r"Skipping tests that need packages for Node\.js: npm \S+ code ECONNREFUSED", skipping)


def test_with_require_all_a_failure_to_install_is_an_error(
    checkout: Path, silent_registry: str, bare_path: str
) -> None:
    done = make(checkout, PATH=bare_path, REQUIRE_ALL="1")
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "npm is not installed")
    need_npm()
    require(checkout, {"remote": "1.0.0"}, REMOTE)
    done = make(checkout, npm_config_registry=silent_registry, REQUIRE_ALL="1")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].endswith(" code ECONNREFUSED")
