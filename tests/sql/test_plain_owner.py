"""Installing as the database's owner with CREATEROLE, as on managed servers: service_role has no BYPASSRLS (D8)."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from pgmq_gateway.install.findings import InstallError
from pgmq_gateway.install.migrations import PGMQ
from pgmq_gateway.install.owner import left_to_do
from tests import server
from tests.databases import Sql, runner
from tests.server import Server
from tests.sql.cluster import Cluster, cluster
from tests.sql.conftest import Connect, connected
from tests.sql.repairing import found, installed

LOGIN = {"AUTHENTICATOR_PASSWORD": "let me in"}
WAY = "service_role has no BYPASSRLS: each queue gets a policy with which it can access all messages"
POLICY = "policy of service_role, which has no BYPASSRLS, on table pgmq.{}"
OWNER = "create role owner login createrole password 'x'"
# The programs of Debian's servers; None is the embedded one.
PROGRAMS: list[Path | None] = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"))] or [None]

Call = Callable[..., httpx.Response]


@pytest.fixture(params=PROGRAMS, ids=str)
def managed(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A server with a role "owner" that can create roles, and neither superusers nor roles with BYPASSRLS."""
    with cluster(request.param) as own:
        own.execute(OWNER)
        yield own


@pytest.fixture
def call(managed: Cluster, serve: Callable[..., Server]) -> Call:
    """call(headers, "pgmq_public.read", **arguments): the response of a gateway whose database the owner installed."""
    name = managed.create("owner")
    done = server.run("install", "--db-uri", managed.uri(name, "owner", "x"), env=LOGIN)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"\n{WAY}\n" in done.stdout
    assert "left to do" not in done.stdout
    login = managed.uri(name, "authenticator", LOGIN["AUTHENTICATOR_PASSWORD"])
    gateway = serve(name, PGRST_DB_URI=login, PGRST_DB_SCHEMAS="pgmq_public,pgmq_admin")

    def post(headers: dict[str, str], function: str, **arguments: object) -> httpx.Response:
        schema, _, name = function.partition(".")
        profile = {"Content-Profile": schema, **headers}
        return httpx.post(
            f"{gateway.url}/rpc/{name}", json={"queue_name": "jobs", **arguments}, headers=profile, timeout=30
        )

    return post


def test_d8_service_role_has_all_messages_of_a_plain_owner(call: Call, bearer: Callable[..., dict[str, str]]) -> None:
    service = bearer("service_role")
    assert call(service, "pgmq_admin.create_queue").json() is True
    assert call(service, "pgmq_admin.set_rls", enabled=True, archive=True).is_success
    assert call(service, "pgmq_public.send_batch", messages=[1, 2, 3]).json() == [1, 2, 3]
    assert len(call(service, "pgmq_public.read", sleep_seconds=0, n=9).json()) == 3
    assert call(service, "pgmq_public.archive", message_id=1).json() is True
    assert call(service, "pgmq_public.delete", message_id=2).json() is True
    assert [row["message"] for row in call(service, "pgmq_public.pop").json()] == [3]
    assert call(service, "pgmq_admin.requeue", msg_ids=[1]).is_success
    assert len(call(service, "pgmq_admin.list_messages", filter={}).json()) == 1
    verdicts = call(service, "pgmq_admin.rights").json()
    assert {row["verdict"] for row in verdicts if row["role"] == "service_role"} == {"all"}
    assert {row["verdict"] for row in verdicts if row["role"] != "service_role"} == {"none"}
    # The policy is for service_role only.
    assert call(service, "pgmq_admin.grant_queue", role="anon", operations=["read"]).is_success
    assert call({}, "pgmq_public.read", sleep_seconds=0, n=9).json() == []
    assert {row["rule"] for row in call(service, "pgmq_admin.lint").json()} == {"silent_policy"}
    assert call(service, "pgmq_admin.drop_queue").is_success


async def test_d8_queues_that_exist_get_policies(blank_server: Cluster, connect: Connect) -> None:
    blank_server.execute(OWNER)
    name = blank_server.create("owner")
    uri = blank_server.uri(name, "owner", "x")
    sql: Sql = runner(connect(uri))
    assert WAY in await installed(uri)
    assert await found(uri) == []
    sql("select pgmq.create('made')")
    sql("alter table pgmq.q_made enable row level security")
    sql('create policy "service_role: all messages" on pgmq.a_made using (false)')
    sql("select pgmq_admin.create_queue('other')")
    lacking = [POLICY.format("q_made"), POLICY.format("a_made")]
    assert await found(uri) == [f"missing: {each}" for each in lacking]
    assert sql("select queue_name, rule from pgmq_admin.lint() where level = 'error'") == [("made", "service_policy")]
    assert await installed(uri) == [f"restored: {each}" for each in lacking]
    assert await found(uri) == []
    assert sql("select * from pgmq_admin.lint()") == []
    assert sql("select distinct polname::text, polroles = array['service_role'::regrole::oid] from pg_policy") == [
        ("service_role: all messages", True)
    ]


async def test_d8_roles_of_another_creator_need_one_grant(blank_server: Cluster, connect: Connect) -> None:
    if connect(blank_server.uri()).info.server_version < 16_00_00:
        pytest.skip("before Postgres 16 CREATEROLE is enough")
    blank_server.execute(
        OWNER, "create role anon", "create role service_role bypassrls", "create role authenticator login noinherit"
    )
    uri = blank_server.uri(blank_server.create("owner"), "owner", "x")
    with pytest.raises(
        InstallError, match="role owner has no permission to grant role anon to authenticator"
    ) as refused:
        await installed(uri)
    statement = re.search(r'As a superuser run "(.*)", then install again', str(refused.value))
    assert statement is not None
    blank_server.execute(statement[1])
    done = server.run("install", "--db-uri", uri, env=LOGIN)
    assert done.stdout.startswith("installed: 0001_roles\n")
    assert (done.returncode, done.stderr) == (
        1,
        'pgmq-gateway: role owner has no permission to set the password of authenticator: as a superuser run "grant'
        ' authenticator to owner with admin option", or leave AUTHENTICATOR_PASSWORD out\n',
    )
    assert await found(uri) == []


async def test_d8_pgmq_of_another_owner_is_refused(blank_server: Cluster, connect: Connect) -> None:
    blank_server.execute(OWNER)
    name = blank_server.create("owner")
    runner(connect(blank_server.uri(name)))("create schema pgmq create table meta (queue_name text unique not null)")
    for work in (installed, found):
        with pytest.raises(
            InstallError, match=r"^schema pgmq is owned by boss, .*: install as boss or as a superuser$"
        ):
            await work(blank_server.uri(name, "owner", "x"))


async def test_d8_a_queue_of_another_owner_stays_as_it_is(blank_server: Cluster, connect: Connect) -> None:
    blank_server.execute(OWNER)
    name = blank_server.create("owner")
    uri = blank_server.uri(name, "owner", "x")
    runner(connect(uri))((PGMQ / "pgmq.sql").read_text())
    boss = runner(connect(blank_server.uri(name)))
    boss("select pgmq.create('made')")
    boss("alter table pgmq.q_made enable row level security")
    assert WAY in await installed(uri)
    assert boss("select relname from pg_class where relname ~ '^._made$' and relacl is not null") == []
    assert await found(uri) == []
    async with connected(uri) as connection:
        assert await left_to_do(connection, "X") == [
            "service_role has no BYPASSRLS, and no policy gives it the messages of pgmq.q_made. As a superuser run:"
            " alter role service_role bypassrls; or make owner the owner of the queue's tables."
        ]


def test_d8_with_bypassrls_no_queue_gets_a_policy(db: Sql) -> None:
    db("select pgmq_admin.create_queue('made'), pgmq_admin.set_rls('made', true, true)")
    assert db("select * from pg_policy") == []
