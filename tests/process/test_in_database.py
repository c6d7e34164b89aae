"""Settings in the database apply from the first call, and when they change."""

import asyncio
import uuid
from collections.abc import Iterator

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from pgmq_gateway.database import in_database
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.gateway import Application, Gateway
from pgmq_gateway.process.preflight import settings_in_database
from pgmq_gateway.settings.model import Settings, SettingsError
from tests import server
from tests.databases import Sql
from tests.server import SECRET, Serve, Server
from tests.waiting import until

GATE = (
    "create function public.gate() returns void language plpgsql as "
    "$f$ begin raise sqlstate 'PT402' using message = 'pay first'; end $f$; "
    "create function public.free() returns int language sql as 'select 1'; "
    "grant execute on function public.gate, public.free to anon"
)


@pytest.fixture
def gated(database: str, own_sql: Sql) -> str:
    """The name of a database whose settings name a function that refuses each call."""
    own_sql(GATE)
    own_sql(f"alter role authenticator in database {database} set pgrst.db_pre_request = 'public.gate'")
    return database


def status(gateway: Server) -> int:
    """Of a call on a connection of its own, to any worker."""
    return httpx.get(f"{gateway.url}/rpc/free", timeout=30).status_code


@pytest.fixture
def role(sql: Sql) -> Iterator[str]:
    name = f"login_{uuid.uuid4().hex[:12]}"
    sql(f"create role {name} login")
    yield name
    sql(f"drop owned by {name}")
    sql(f"drop role {name}")


async def test_d6_settings_of_the_role_in_this_database_are_read(role: str, sql: Sql, directory: DataDirectory) -> None:
    for change in (
        f"alter role {role} set pgrst.db_schemas = 'a, b'",
        f"alter role {role} set pgrst.jwt_aud = 'x=1'",
        f"alter role {role} in database postgres set pgrst.db_schemas = 'c'",
        f"alter role {role} in database template1 set pgrst.db_schemas = 'd'",
        f"alter role {role} set statement_timeout = '1min'",
    ):
        sql(change)
    connection = await asyncpg.connect(socket_uri(directory, role))
    own = (("pgrst.db_schemas", "c"), ("pgrst.jwt_aud", "x=1"))
    assert await in_database.read(connection) == own
    await connection.execute(
        "create function pg_temp.configure() returns void language sql as $f$ "
        "select set_config('pgrst.db_schemas', 'e', false), set_config('pgrst.db_max_rows', '5', false) $f$"
    )
    assert await in_database.read(connection, "pg_temp.configure") == (("pgrst.db_max_rows", "5"), *own)
    # Nothing is left in the session.
    assert await in_database.read(connection) == own
    assert not await connection.fetchval("select current_setting('pgrst.db_max_rows', true)")
    with pytest.raises(asyncpg.UndefinedFunctionError):
        await in_database.read(connection, "pg_temp.missing")
    await connection.close()


def test_d6_a_pre_request_in_the_database_applies_from_the_first_call_until_it_is_reset(
    gated: str, serve: Serve, own_sql: Sql
) -> None:
    gateway = serve(gated, "--workers", "2", PGRST_LOG_LEVEL="info")
    answers: list[int] = []

    def refused() -> bool:
        answers.append(status(gateway))
        # 503 where a worker has not loaded the functions in time.
        assert answers[-1] in (402, 503)
        return answers.count(402) > 4

    until(refused)
    own_sql(f"alter role authenticator in database {gated} reset pgrst.db_pre_request")
    own_sql("notify pgrst")
    until(lambda: "settings reloaded" in gateway.log.read_text())
    assert {status(gateway) for _ in range(5)} == {200}
    own_sql(f"alter role authenticator in database {gated} set pgrst.db_max_rows = 'many'")
    own_sql("notify pgrst, 'reload config'")
    until(lambda: "keeping the present settings: pgrst.db_max_rows in the database: " in gateway.log.read_text())
    assert {status(gateway) for _ in range(5)} == {200}


def test_d6_the_settings_are_those_of_the_role_of_calls(
    gated: str, role: str, serve: Serve, sql: Sql, own_sql: Sql, directory: DataDirectory
) -> None:
    sql(f"grant authenticator to {role}")
    sql(f"alter role {role} set pgrst.db_pre_request = 'public.missing'")
    gateway = serve(
        gated, PGMQ_GATEWAY_LISTEN_URI=socket_uri(directory, role, gated), PGRST_LOG_LEVEL="info"
    )  # fmt: skip
    assert status(gateway) == 402
    own_sql(f"alter role authenticator in database {gated} reset pgrst.db_pre_request")
    own_sql("notify pgrst")
    until(lambda: "settings reloaded" in gateway.log.read_text())
    assert status(gateway) == 200


async def test_d6_settings_that_cannot_be_read_are_an_error(directory: DataDirectory) -> None:
    uri = SecretStr(socket_uri(directory, "authenticator", "no_such_database"))
    with pytest.raises(SettingsError, match=r"the settings in the database cannot be read: .*no_such_database"):
        await settings_in_database(Settings(db_uri=uri))


async def test_d6_nothing_is_served_until_the_settings_of_the_database_apply(
    gated: str, directory: DataDirectory
) -> None:
    uri = SecretStr(socket_uri(directory, "authenticator", gated))
    asked = asyncio.Event()
    # As when the database could not be reached at the start.
    application = Application(Gateway(Settings(db_uri=uri, jwt_secret=SecretStr(SECRET)), outdated=asked.set))
    await application.start(application.gateway)
    await asyncio.wait_for(asked.wait(), 60)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://gateway") as client:
        assert (await client.get("/rpc/free")).status_code == 503
    assert not application.gateway.watch.loaded.is_set()
    await application.stop(application.gateway)


async def test_d6_the_settings_that_are_printed_include_those_in_the_database(
    database: str, own_sql: Sql, directory: DataDirectory
) -> None:
    own_sql(f"alter role authenticator in database {database} set pgrst.db_max_rows = '3'")
    uri = socket_uri(directory, "authenticator", database)
    env = {"PGRST_DB_URI": uri, "PGRST_DB_MAX_ROWS": "2"}
    assert "db-max-rows = 3" in server.run("serve", "--dump-config", env=env).stdout
    assert await settings_in_database(Settings(db_uri=SecretStr(uri))) == (("pgrst.db_max_rows", "3"),)
    assert await settings_in_database(Settings(db_uri=SecretStr(uri), db_config=False)) == ()


@pytest.mark.parametrize("setting", ["openapi_mode = 'none'", "jwt_secret = '@/dev/zero'"])
def test_d6_a_wrong_setting_in_the_database_ends_the_start_in_one_line(
    database: str, own_sql: Sql, directory: DataDirectory, setting: str
) -> None:
    own_sql(f"alter role authenticator in database {database} set pgrst.{setting}")
    env = {"PGRST_DB_URI": socket_uri(directory, "authenticator", database), "PGRST_JWT_SECRET": SECRET}
    ended = server.run("serve", "--no-dashboard", env=env)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.startswith(f"pgmq-gateway: pgrst.{setting.split()[0]} in the database: ")
