"""What the tests with real clients share: the keys that the command line prints, a queue of messages with owners."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import server
from tests.conftest import Sql
from tests.server import SECRET, Server


@dataclass(frozen=True)
class Project:
    """What a program needs to know of a gateway, as `pgmq-gateway keys` and `pgmq-gateway token` print it."""

    url: str
    anon_key: str = field(repr=False)
    service_key: str = field(repr=False)
    alice: str = field(repr=False)


def project(*arguments: str, secret: str | None = None, cwd: Path | None = None) -> Project:
    """Ask the command line for the address, the keys, and a token of the user alice."""
    env = {"PGRST_JWT_SECRET": secret} if secret else {}
    printed = command("keys", *arguments, env=env, cwd=cwd)
    lines = dict(line.split("=", 1) for line in printed.splitlines())
    alice = command("token", "--role", "authenticated", "--sub", "alice", *arguments, env=env, cwd=cwd)
    return Project(lines["SUPABASE_URL"], lines["SUPABASE_ANON_KEY"], lines["SUPABASE_SERVICE_ROLE_KEY"], alice.strip())


def command(*arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run one command of `pgmq-gateway` that must succeed, and give what it prints."""
    done = server.run(*arguments, env=env, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def running(embedded: Server, folder: Path) -> Project:
    """The server of the whole run, as its operator hands it on to programs."""
    found = project("--data-dir", str(folder / "data"), secret=SECRET)
    assert found.url == embedded.url
    return found


@pytest.fixture
def owned(queue: str, sql: Sql, grant: Callable[..., None]) -> str:
    """A queue where a user may send and read messages with their own name as `owner`, and no others."""
    grant("authenticated", "send", "read")
    sql(f"""
        create policy own on pgmq.q_{queue} to authenticated
        using (message->>'owner' = current_setting('request.jwt.claims')::json->>'sub')
    """)
    return queue
