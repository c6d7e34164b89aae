"""All installed versions of Debian's Postgres: the owner of a database, no superuser, installs and serves."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest

from tests import server
from tests.conftest import missing
from tests.server import Server
from tests.sql.cluster import Cluster, cluster

PROGRAMS: list[Path | None] = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
POLICIES = "service_role has no BYPASSRLS: each queue gets a policy with which it can access all messages"
LOGIN = {"AUTHENTICATOR_PASSWORD": "let me in"}

Serve = Callable[..., Server]


@dataclass(frozen=True)
class Database:
    """A database whose owner can create roles, but cannot give them BYPASSRLS, as on managed servers."""

    server: Cluster
    name: str

    @property
    def owner(self) -> str:
        """The URI of its owner."""
        return self.server.uri(self.name, "owner", "x")

    @property
    def login(self) -> str:
        """The URI of the gateway's login role, with the password that the installer set."""
        return self.server.uri(self.name, "authenticator", LOGIN["AUTHENTICATOR_PASSWORD"])


@pytest.fixture(scope="module", params=PROGRAMS or [None], ids=str)
def debian(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database on one of Debian's versions, installed by the command line."""
    if request.param is None:
        missing("Debian's Postgres", "apt-get install postgresql")
    with cluster(request.param) as own:
        own.execute("create role owner login createrole password 'x'")
        database = Database(own, own.create("owner"))
        done = server.run("install", "--db-uri", database.owner, env=LOGIN)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"\n{POLICIES}\n" in done.stdout
        assert "left to do" not in done.stdout
        yield database


@pytest.fixture
def gateway(debian: Database, serve: Serve) -> Server:
    return serve(debian.name, PGRST_DB_URI=debian.login)


def call(
    gateway: Server, headers: dict[str, str], function: str, schema: str = "pgmq_public", **arguments: object
) -> httpx.Response:
    profile = {"Content-Profile": schema, **headers}
    return httpx.post(f"{gateway.url}/rpc/{function}", json=arguments, headers=profile, timeout=30)


def test_all_six_functions_work(debian: Database, gateway: Server, bearer: Callable[..., dict[str, str]]) -> None:
    assert server.run("queue", "create", "jobs", "--db-uri", debian.owner).stdout == "created basic queue jobs\n"
    service = bearer("service_role")
    assert call(gateway, service, "send", queue_name="jobs", message={"n": 1.10}).text == "[1]"
    assert call(gateway, service, "send_batch", queue_name="jobs", messages=[2, 3, 4]).text == "[2, 3, 4]"
    rows = call(gateway, service, "read", queue_name="jobs", sleep_seconds=60, n=2).json()
    assert [(row["msg_id"], row["read_ct"]) for row in rows] == [(1, 1), (2, 1)]
    assert call(gateway, service, "archive", queue_name="jobs", message_id=1).text == "true"
    assert call(gateway, service, "delete", queue_name="jobs", message_id=2).text == "true"
    assert [row["message"] for row in call(gateway, service, "pop", queue_name="jobs").json()] == [3]
    with psycopg.connect(debian.owner) as owner:
        assert owner.execute("select array_agg(msg_id) from pgmq.q_jobs").fetchone() == ([4],)
        assert owner.execute("select array_agg(msg_id) from pgmq.a_jobs").fetchone() == ([1],)


def test_roles_and_policies_decide(debian: Database, gateway: Server, bearer: Callable[..., dict[str, str]]) -> None:
    with psycopg.connect(debian.owner) as owner:
        owner.execute("select pgmq_admin.create_queue('mine')")
        owner.execute(
            "create policy own on pgmq.q_mine"
            " using (message->>'by' = current_setting('request.jwt.claims')::json->>'sub')"
        )
    refused = call(gateway, {}, "send", queue_name="mine", message={})
    assert (refused.status_code, refused.json()["code"]) == (401, "42501")
    granted = server.run("queue", "grant", "mine", "authenticated", "send", "read", "--db-uri", debian.owner)
    assert granted.returncode == 0
    ann, bob = bearer("authenticated", sub="ann"), bearer("authenticated", sub="bob")
    assert call(gateway, ann, "send", queue_name="mine", message={"by": "ann"}).text == "[1]"
    assert call(gateway, bob, "send", queue_name="mine", message={"by": "ann"}).status_code == 403
    assert call(gateway, bob, "read", queue_name="mine", sleep_seconds=0, n=9).json() == []
    assert len(call(gateway, ann, "read", queue_name="mine", sleep_seconds=0, n=9).json()) == 1


def test_d8_service_role_manages_the_queues_of_a_plain_owner(
    gateway: Server, bearer: Callable[..., dict[str, str]]
) -> None:
    service = bearer("service_role")

    def manage(function: str, **arguments: object) -> httpx.Response:
        answer = call(gateway, service, function, "pgmq_admin", queue_name="managed", **arguments)
        assert answer.is_success, answer.text
        return answer

    assert manage("create_queue").json() is True
    manage("set_rls", enabled=True, archive=True)
    assert call(gateway, service, "send", queue_name="managed", message=1).json() == [1]
    assert call(gateway, service, "archive", queue_name="managed", message_id=1).json() is True
    manage("requeue", msg_ids=[1])
    assert len(manage("list_messages", filter={}).json()) == 1
    verdicts = manage("rights").json()
    assert {row["verdict"] for row in verdicts if row["role"] == "service_role"} == {"all"}
    assert {row["verdict"] for row in verdicts if row["role"] != "service_role"} == {"none"}
    # The policy is for service_role only.
    manage("grant_queue", role="anon", operations=["read"])
    assert call(gateway, {}, "read", queue_name="managed", sleep_seconds=0, n=9).json() == []
    assert {row["rule"] for row in manage("lint").json()} == {"silent_policy"}
    manage("drop_queue")


def test_groups_are_limited(debian: Database) -> None:
    with psycopg.connect(debian.owner, autocommit=True) as owner:
        owner.execute("select pgmq_admin.create_queue('ordered')")
        owner.execute("select pgmq_admin.set_queue_settings('ordered', '{\"group_limit\": 1}')")
        for _ in range(3):
            owner.execute(
                "select pgmq_api.send('ordered', '1', group_id => 'a', deduplication_id => gen_random_uuid()::text)"
            )
        owner.execute("select pgmq.delete('ordered', 1)")
        states = owner.execute("select state from pgmq_api.peek('ordered')").fetchall()
        assert states == [("visible",), ("parked",)]
        owner.execute("update pgmq.q_ordered set read_ct = 1000001 where vt < 'infinity'")
        assert owner.execute("select pgmq_gateway.maintain(60000)").fetchall() != [(5,)]
        assert owner.execute("select state from pgmq_api.peek('ordered')").fetchall() == [("visible",)]


def test_installing_again_changes_nothing(debian: Database) -> None:
    assert server.run("install", "--db-uri", debian.owner).stdout.startswith("up to date")
    assert server.run("install", "--check", "--db-uri", debian.owner).stdout == "up to date\n"
