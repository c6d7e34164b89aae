"""All installed versions of Debian's Postgres: install, serve, and all six functions."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from tests import server
from tests.conftest import missing
from tests.server import Server
from tests.sql.cluster import Cluster, cluster

PROGRAMS: list[Path | None] = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
LOGIN = {"AUTHENTICATOR_PASSWORD": "let me in"}

Serve = Callable[..., Server]


@pytest.fixture(scope="module", params=PROGRAMS or [None], ids=str)
def debian(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A server of one of Debian's versions, installed by the command line."""
    if request.param is None:
        missing("Debian's Postgres", "apt-get install postgresql")
    with cluster(request.param) as own:
        installed = server.run("install", "--db-uri", own.uri(), env=LOGIN)
        assert (installed.returncode, installed.stderr) == (0, "")
        assert "left to do" not in installed.stdout
        yield own


@pytest.fixture
def gateway(debian: Cluster, serve: Serve) -> Server:
    """A gateway that logs in with the password that the installer set."""
    return serve("postgres", PGRST_DB_URI=debian.uri("postgres", "authenticator", LOGIN["AUTHENTICATOR_PASSWORD"]))


def call(gateway: Server, headers: dict[str, str], function: str, **arguments: object) -> httpx.Response:
    profile = {"Content-Profile": "pgmq_public", **headers}
    return httpx.post(f"{gateway.url}/rpc/{function}", json=arguments, headers=profile, timeout=30)


def test_all_six_functions_work(debian: Cluster, gateway: Server, bearer: Callable[..., dict[str, str]]) -> None:
    assert server.run("queue", "create", "jobs", "--db-uri", debian.uri()).stdout == "created basic queue jobs\n"
    service = bearer("service_role")
    assert call(gateway, service, "send", queue_name="jobs", message={"n": 1.10}).text == "[1]"
    assert call(gateway, service, "send_batch", queue_name="jobs", messages=[2, 3, 4]).text == "[2, 3, 4]"
    rows = call(gateway, service, "read", queue_name="jobs", sleep_seconds=60, n=2).json()
    assert [(row["msg_id"], row["read_ct"]) for row in rows] == [(1, 1), (2, 1)]
    assert call(gateway, service, "archive", queue_name="jobs", message_id=1).text == "true"
    assert call(gateway, service, "delete", queue_name="jobs", message_id=2).text == "true"
    assert [row["message"] for row in call(gateway, service, "pop", queue_name="jobs").json()] == [3]
    with psycopg.connect(debian.uri()) as owner:
        assert owner.execute("select array_agg(msg_id) from pgmq.q_jobs").fetchone() == ([4],)
        assert owner.execute("select array_agg(msg_id) from pgmq.a_jobs").fetchone() == ([1],)


def test_roles_and_policies_decide(debian: Cluster, gateway: Server, bearer: Callable[..., dict[str, str]]) -> None:
    debian.execute(
        "select pgmq_admin.create_queue('mine')",
        "create policy own on pgmq.q_mine using (message->>'by' = current_setting('request.jwt.claims')::json->>'sub')",
    )
    refused = call(gateway, {}, "send", queue_name="mine", message={})
    assert (refused.status_code, refused.json()["code"]) == (401, "42501")
    granted = server.run("queue", "grant", "mine", "authenticated", "send", "read", "--db-uri", debian.uri())
    assert granted.returncode == 0
    ann, bob = bearer("authenticated", sub="ann"), bearer("authenticated", sub="bob")
    assert call(gateway, ann, "send", queue_name="mine", message={"by": "ann"}).text == "[1]"
    assert call(gateway, bob, "send", queue_name="mine", message={"by": "ann"}).status_code == 403
    assert call(gateway, bob, "read", queue_name="mine", sleep_seconds=0, n=9).json() == []
    assert len(call(gateway, ann, "read", queue_name="mine", sleep_seconds=0, n=9).json()) == 1


def test_installing_again_changes_nothing(debian: Cluster) -> None:
    assert server.run("install", "--db-uri", debian.uri()).stdout.startswith("up to date")
    assert server.run("install", "--check", "--db-uri", debian.uri()).stdout == "up to date\n"
