"""Login roles and releases of Postgres that the gateway refuses or warns of."""

from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from pgmq_gateway.calls import watch
from pgmq_gateway.database.connector import connect
from pgmq_gateway.database.login import UnsafeLogin, check_login, vulnerabilities
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.errors import CatalogMissing
from pgmq_gateway.gateway import Gateway
from pgmq_gateway.settings.model import Settings
from tests.gateways import RunningGateway
from tests.server import SECRET
from tests.waiting import until_async


@pytest.fixture
def own_login(gateway: RunningGateway) -> Iterator[str]:
    """A login role like authenticator, in the test file's database."""
    gateway.sql("create role other_login login noinherit")
    gateway.sql("grant usage on schema pgmq_gateway to other_login")
    gateway.sql("grant execute on all functions in schema pgmq_gateway to other_login")
    yield "other_login"
    gateway.sql("drop owned by other_login")
    gateway.sql("drop role other_login")


OWNS = "alter table pgmq.q_jobs owner to other_login"
INHERITS = "alter table pgmq.q_jobs owner to holder; grant holder to other_login with inherit true"
CAN_SWITCH = "alter table pgmq.q_jobs owner to holder; grant holder to other_login with inherit false"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("alter role other_login superuser", "is a superuser"),
        ("alter role other_login bypassrls", "has BYPASSRLS"),
        (OWNS, "owns table pgmq.q_jobs, or inherits"),
        (INHERITS, "owns table pgmq.q_jobs, or inherits"),
        (CAN_SWITCH, None),
    ],
)
async def test_a21_a_login_role_that_bypasses_row_level_security_is_refused(
    gateway: RunningGateway, own_login: str, directory: DataDirectory, change: str, message: str | None
) -> None:
    gateway.sql("create role holder nologin")
    gateway.sql("select pgmq_admin.create_queue('jobs')")
    ((database,),) = gateway.sql("select current_database()")
    try:
        for statement in change.split("; "):
            gateway.sql(statement)
        connection = await connect(socket_uri(directory, own_login, database))
        if message is None:
            assert await check_login(connection) == []
        else:
            with pytest.raises(UnsafeLogin) as refused:
                await check_login(connection)
            assert message in str(refused.value)
        await connection.close()
    finally:
        gateway.sql("alter table pgmq.q_jobs owner to postgres")
        gateway.sql("select pgmq.drop_queue('jobs')")
        gateway.sql("drop role holder")


async def test_a21_a_login_role_that_inherits_privileges_is_a_warning(
    gateway: RunningGateway, own_login: str, directory: DataDirectory
) -> None:
    gateway.sql("grant anon to other_login with inherit true")
    ((database,),) = gateway.sql("select current_database()")
    connection = await connect(socket_uri(directory, own_login, database))
    (warning,) = await check_login(connection)
    assert warning.startswith("login role other_login inherits the privileges of anon, which should need SET ROLE")
    await connection.close()


async def test_a21_nothing_is_served_while_the_login_role_is_a_superuser(
    gateway: RunningGateway,
    own_login: str,
    directory: DataDirectory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(watch, "CHECK_INTERVAL_SECONDS", 0.02)
    ((database,),) = gateway.sql("select current_database()")
    uri = SecretStr(socket_uri(directory, own_login, database))
    in_process = Gateway(Settings(db_uri=uri, jwt_secret=SecretStr(SECRET), history_interval=0, background=False))
    async with in_process.running():
        await until_async(lambda: in_process.watch.ready and in_process.watch.loaded.is_set())
        gateway.sql(f"alter role {own_login} superuser")
        # The check runs on the open connection too.
        await until_async(lambda: caplog.text.count("cannot reach") == 0 and in_process.watch.failures >= 3)
        assert not in_process.watch.ready
        with pytest.raises(CatalogMissing):
            _ = in_process.watch.catalog
        gateway.sql(f"alter role {own_login} nosuperuser")
        await until_async(lambda: in_process.watch.ready and in_process.watch.loaded.is_set())
        assert list(in_process.watch.catalog)
    assert caplog.text.count("no requests are served until this is fixed: login role other_login is a superuser") == 1


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ((18, 0, 0, "final", 0), ""),
        ((17, 0, 6, "final", 0), ""),
        ((17, 0, 5, "final", 0), "update to 17.6 or newer"),
        ((13, 0, 21, "final", 0), "update to 13.22 or newer"),
        ((12, 0, 22, "final", 0), "out of support"),
        ((18, 0, 0, "beta", 2), "Postgres 18 beta is a test release"),
    ],
)
def test_releases_with_vulnerable_role_switching_are_named(version: tuple[Any, ...], expected: str) -> None:
    found = list(vulnerabilities(asyncpg.ServerVersion(*version)))
    assert len(found) == (1 if expected else 0)
    assert expected in "".join(found)
