"""Restoring dumps without owners, privileges or roles, then installing: only data missing in the dump is lost."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pgmq_gateway.embedded.cluster import binary
from tests.databases import runner
from tests.sql.cluster import Cluster, cluster
from tests.sql.conftest import Connect
from tests.sql.dump import dump
from tests.sql.repairing import fill, found, installed, survivors, works

DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
CALLERS = ("anon", "authenticated", "service_role")


@pytest.fixture(scope="module", params=["embedded", *map(str, DEBIAN)])
def programs(request: pytest.FixtureRequest) -> Path:
    """The folder of the programs of a Postgres."""
    return binary("postgres").parent if request.param == "embedded" else Path(request.param)


@pytest.fixture(scope="module")
def servers(programs: Path, directory: object) -> Iterator[tuple[Cluster, Cluster]]:  # noqa: ARG001 see own
    """Two servers of the same release, without roles."""
    with cluster(programs) as first, cluster(programs) as second:
        yield first, second


@pytest.fixture(scope="module")
def original(servers: tuple[Cluster, Cluster]) -> str:
    """The URI of a filled database on the first server."""
    uri = servers[0].uri(servers[0].create())
    asyncio.run(installed(uri))
    with psycopg.connect(uri, autocommit=True) as connection:
        fill(runner(connection))
    return uri


@pytest.fixture(scope="module")
def archive(original: str, programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its dump."""
    archive = tmp_path_factory.mktemp("dumped") / "dump"
    subprocess.run([programs / "pg_dump", "-Fc", "-f", archive, original], check=True)
    return archive


@pytest.fixture
def target(servers: tuple[Cluster, Cluster]) -> Iterator[Cluster]:
    """The second server, blank."""
    yield servers[1]
    servers[1].forget()


def restore(programs: Path, archive: Path, target: str, *options: str) -> str:
    """Run pg_restore, and return its errors."""
    restored = subprocess.run(
        [programs / "pg_restore", *options, "-d", target, archive], capture_output=True, text=True, check=False
    )
    return restored.stderr


async def test_a_dump_without_owners_and_privileges_is_made_whole(
    servers: tuple[Cluster, Cluster], original: str, archive: Path, programs: Path, connect: Connect
) -> None:
    # On the same server: the roles exist.
    copied = servers[0].uri(servers[0].create())
    whole = dump(original)
    assert restore(programs, archive, copied, "--no-owner", "--no-acl") == ""
    sql = runner(connect(copied))
    before = await found(copied)
    assert {
        "missing: USAGE on schema pgmq_gateway for authenticator",
        "missing: SELECT on table pgmq_gateway.migrations for authenticator",
        "open: EXECUTE on function pgmq_gateway.call for PUBLIC",
        "missing: EXECUTE on function pgmq_gateway.call for authenticator",
        "missing: USAGE on schema pgmq_public for anon",
        "missing: EXECUTE on function pgmq_public.read for anon",
        "missing: privileges on table pgmq.meta for service_role",
        "missing: privileges on table pgmq.q_mail for service_role",
        "missing: default privileges on tables in schema pgmq for service_role",
    } <= set(before), before
    done = await installed(copied)
    assert "restored: EXECUTE on function pgmq_gateway.call for authenticator" in done
    assert "revoked: EXECUTE on function pgmq_gateway.call for PUBLIC" in done
    assert await found(copied) == []
    assert await installed(copied) == []
    assert dump(copied) == whole
    assert survivors(sql) == survivors(runner(connect(original)))
    # The dump does not contain the grants of the queue.
    sql("select pgmq_admin.grant_queue('mail', 'authenticated', '{send,read}')")
    works(sql)


async def test_a_dump_with_privileges_keeps_the_grants_of_queues(
    target: Cluster, archive: Path, programs: Path, connect: Connect
) -> None:
    # The roles exist, because another database of the server was installed.
    await installed(target.uri(target.create()))
    copied = target.uri(target.create())
    assert restore(programs, archive, copied) == ""
    assert await found(copied) == []
    assert await installed(copied) == []
    works(runner(connect(copied)))


async def test_a_dump_that_is_restored_without_roles_gets_them(
    target: Cluster, original: str, archive: Path, programs: Path, connect: Connect
) -> None:
    copied = target.uri(target.create())
    complaints = restore(programs, archive, copied)
    assert 'role "authenticator" does not exist' in complaints
    before = await found(copied)
    assert before[:4] == [f"missing: role {role}" for role in (*CALLERS, "authenticator")]
    done = await installed(copied)
    assert "restored: role authenticator" in done
    assert await found(copied) == []
    assert await installed(copied) == []
    sql = runner(connect(copied))
    assert sql("select pg_has_role('authenticator', 'anon', 'member')") == [(True,)]
    assert sorted(dump(copied).splitlines()) == sorted(dump(original).splitlines())
    # A policy for a role that was missing is lost, policies for PUBLIC are not.
    assert [*survivors(sql)[:4], sql("select polname from pg_policy")] == [
        *survivors(runner(connect(original)))[:4],
        [("everybody",)],
    ]
    sql("select pgmq_admin.grant_queue('mail', 'authenticated', '{send,read}')")
    works(sql)
