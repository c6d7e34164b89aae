"""Fixtures of the tests with real clients: keys printed by the command line, and a queue of messages with owners."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pgmq_gateway.embedded.datadir import DataDirectory
from tests import nodejs, server
from tests.conftest import missing
from tests.databases import Sql
from tests.server import PROGRAM, SECRET, Server

REPOSITORY = Path(__file__).parents[2]
MAKEFILE_NEEDS = ("pyproject.toml", "requirements.lock")


@dataclass(frozen=True)
class Project:
    """The output of `pgmq-gateway keys` and `pgmq-gateway token`, for programs."""

    url: str
    anon_key: str = field(repr=False)
    service_key: str = field(repr=False)
    alice: str = field(repr=False)


def project(*arguments: str, secret: str | None = None, cwd: Path | None = None) -> Project:
    """The address, the keys, and a token of the user alice, from the command line."""
    env = {"PGRST_JWT_SECRET": secret} if secret else {}
    printed = command("keys", "--json", *arguments, env=env, cwd=cwd)
    lines = json.loads(printed)
    alice = command("token", "--role", "authenticated", "--sub", "alice", *arguments, env=env, cwd=cwd)
    return Project(lines["SUPABASE_URL"], lines["SUPABASE_ANON_KEY"], lines["SUPABASE_SERVICE_ROLE_KEY"], alice.strip())


def command(*arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a command of `pgmq-gateway`, which must succeed, and return its output."""
    done = server.run(*arguments, env=env, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def running(embedded: Server, folder: Path) -> Project:
    """The running server with its keys, for programs."""
    found = project("--data-dir", str(folder / "data"), secret=SECRET)
    assert found.url == embedded.url
    return found


@pytest.fixture
def owned(queue: str, sql: Sql, grant: Callable[..., None]) -> str:
    """A queue on which users can send and read only messages with their own name as `owner`."""
    grant("authenticated", "send", "read")
    sql(f"""
        create policy own on pgmq.q_{queue} to authenticated
        using (message->>'owner' = current_setting('request.jwt.claims')::json->>'sub')
    """)
    return queue


def node(script: str, url: str, key: str, **variables: str) -> Any:  # noqa: ANN401
    """Run one of the programs with supabase-js and return the JSON that it prints."""
    variables = {"SUPABASE_URL": url, "SUPABASE_KEY": key, **variables}
    return json.loads(nodejs.run(script, packages=["@supabase/supabase-js"], **variables))


@pytest.fixture(scope="session")
def checkout(folder: Path) -> Iterator[tuple[Path, Server]]:
    """A folder in which `make serve` runs, like an installed checkout that was never served."""
    place = folder / "checkout"
    (place / ".venv").mkdir(parents=True)
    for name in ("bin", "lib", "pyvenv.cfg"):
        (place / ".venv" / name).symlink_to(PROGRAM.parents[1] / name)
    for name in MAKEFILE_NEEDS:
        (place / name).symlink_to(REPOSITORY / name)
    # Newer than its prerequisites, so make installs nothing.
    (place / ".venv" / "installed").touch()
    started = make_serve(place)
    try:
        yield place, started
    finally:
        # Ctrl-C in a terminal reaches make and its child; a second one would stop make before its child.
        os.killpg(started.process.pid, signal.SIGINT)
        started.process.wait(server.TIMEOUT_SECONDS)
        started.stop()
    assert DataDirectory(place / ".pgmq-gateway").holder() is None


@pytest.fixture(scope="session")
def made(checkout: tuple[Path, Server]) -> Path:
    """The folder in which `make serve` runs."""
    return checkout[0]


def make_serve(place: Path) -> Server:
    """Run `make serve` in a folder and wait for the banner."""
    make = shutil.which("make")
    if not make:
        missing("make", "install make")
    free_ports = {"PGRST_SERVER_PORT": "0", "PGRST_ADMIN_SERVER_PORT": "0"}
    env = {
        name: value for name, value in server.environment(free_ports).items() if not name.startswith(("MAKE", "MFL"))
    }
    log = place / "serve.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [make, "-f", REPOSITORY / "Makefile", "serve"],
            cwd=place,
            env=env,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    output = server.banner(process, log, "/ready")
    api, admin = server.addresses(output)
    return Server(process, api, admin, output, log)


def paste(script: str, folder: Path) -> str:
    """The output of a shell in `folder` for pasted commands."""
    if not shutil.which("curl"):
        missing("curl", "install curl")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=server.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
