"""Installing: first, repeated, concurrent, failed, with edited or newer migrations, and from the command line."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import asyncpg
import psycopg
import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.install.findings import InstallError
from pgmq_gateway.install.installer import Release, install
from pgmq_gateway.install.migrations import Migration, migrate, migrations, pending
from pgmq_gateway.install.owner import left_to_do, set_login_password
from pgmq_gateway.install.scripts import function_scripts
from tests import server
from tests.sql.cluster import Cluster
from tests.sql.conftest import connected

ALL = [str(migration) for migration in migrations()]
INSTALLED = [
    *(f"installed: {name}" for name in ALL),
    "installed: functions of pgmq_gateway, pgmq_settings, pgmq_api, pgmq_admin, pgmq_public",
]

# What left_to_do says after a statement.
LEFT_TO_DO = {
    "alter role authenticator password null": ["authenticator has no password: install again with P set, "],
    "alter role authenticator nologin": ["authenticator cannot log in: install again with P set, "],
    "alter role authenticator bypassrls": ["authenticator escapes row-level security: "],
    "alter role authenticator superuser": ["authenticator escapes row-level security: "],
    "select pgmq_admin.create_queue('safe')": [],
    "select pgmq_admin.create_queue('open', rls => false)": ["no row-level security on open: "],
    "alter function pgmq.pop(text, integer) owner to anon": ["function pgmq.pop(text,integer) is owned by anon, "],
}


@pytest.fixture
def uri(directory: DataDirectory, new_database: Callable[..., str]) -> str:
    """The URI of an empty database, as its owner."""
    return socket_uri(directory, database=new_database())


async def recorded(uri: str) -> Sequence[asyncpg.Record]:
    async with connected(uri) as connection:
        return await connection.fetch("select * from pgmq_gateway.migrations order by number")


async def install_at_once(uris: Sequence[str]) -> list[Sequence[str]]:
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(connected(uri)) for uri in uris]
        return await asyncio.gather(*(install(connection) for connection in connections))


def write(folder: Path, **statements: str) -> Sequence[Migration]:
    """Migrations of a test: write(folder, a="…", b="…") makes 0001_a.sql and 0002_b.sql."""
    for number, (name, sql) in enumerate(statements.items(), start=1):
        (folder / f"{number:04}_{name}.sql").write_text(sql)
    return migrations(folder)


def scram_keys(password: str, salt: bytes, iterations: int) -> tuple[bytes, bytes]:
    """StoredKey and ServerKey, spelled out from RFC 5802, section 3."""
    block = salted = hmac.new(password.encode(), salt + b"\0\0\0\1", "sha256").digest()
    for _ in range(iterations - 1):
        block = hmac.new(password.encode(), block, "sha256").digest()
        salted = bytes(a ^ b for a, b in zip(salted, block, strict=True))
    client_key = hmac.new(salted, b"Client Key", "sha256").digest()
    return hashlib.sha256(client_key).digest(), hmac.new(salted, b"Server Key", "sha256").digest()


async def test_an_empty_database_gets_every_migration_in_order(uri: str) -> None:
    said: list[str] = []
    async with connected(uri) as connection:
        done = await install(connection, progress=said.append)
        assert not await pending(connection, migrations())
    assert done == INSTALLED
    assert said == [*(f"Installing {name}" for name in ALL), "Installing functions"]
    rows = await recorded(uri)
    assert [(row["number"], row["name"], row["checksum"]) for row in rows] == [
        (migration.number, migration.name, migration.checksum) for migration in migrations()
    ]


async def test_installing_again_changes_nothing(uri: str) -> None:
    async with connected(uri) as connection:
        await install(connection)
        before = await recorded(uri)
        assert await install(connection) == []
    assert await recorded(uri) == before


async def test_every_file_may_be_run_twice(uri: str) -> None:
    async with connected(uri) as connection:
        await install(connection)
        for migration in migrations():
            await connection.execute(migration.sql)
        for script in function_scripts():
            await connection.execute(script.text)
        assert await connection.fetchval("select pgmq_admin.create_queue('still-works')") is True


async def test_ten_installers_of_one_database_wait_for_each_other(uri: str) -> None:
    done = await install_at_once([uri] * 10)
    assert sorted(line for each in done for line in each) == sorted(INSTALLED)
    assert [f"{row['number']:04}_{row['name']}" for row in await recorded(uri)] == ALL


async def test_four_databases_of_a_server_without_roles_can_be_installed_at_once(blank_server: Cluster) -> None:
    names = [blank_server.create() for _ in range(4)]
    done = await install_at_once([blank_server.uri(name) for name in names])
    # The roles are created once, and an installer that began before reports their limits.
    assert [[line for line in each if not line.startswith("set: ")] for each in done] == [INSTALLED] * 4
    async with connected(blank_server.uri()) as connection:
        members = await connection.fetch(
            "select roleid::regrole::text as role, count(*) from pg_auth_members"
            " where member = 'authenticator'::regrole group by 1 order by 1"
        )
    assert [tuple(row) for row in members] == [("anon", 1), ("authenticated", 1), ("service_role", 1)]


async def test_the_roles_have_no_more_power_than_they_need(blank_server: Cluster) -> None:
    uri = blank_server.uri(blank_server.create())
    async with connected(uri) as connection:
        await install(connection)
        rows = await connection.fetch(
            "select rolname, rolcanlogin, rolinherit, rolbypassrls, rolsuper or rolcreaterole or rolcreatedb"
            " or rolreplication from pg_roles where rolname !~ '^pg_' and rolname <> 'boss' order by 1"
        )
    assert [tuple(row) for row in rows] == [
        ("anon", False, False, False, False),
        ("authenticated", False, False, False, False),
        ("authenticator", True, False, False, False),
        ("pgmq_definer", False, False, True, False),
        ("service_role", False, False, True, False),
    ]


async def test_who_may_not_create_roles_is_told_what_to_ask_for(blank_server: Cluster) -> None:
    blank_server.execute("create role limited login password 'x'")
    name = blank_server.create("limited")
    async with connected(blank_server.uri(name, "limited", "x")) as connection:
        with pytest.raises(
            InstallError,
            match=r"role anon is missing, and role limited has no permission to create it"
            r" \(As a superuser run \"create role anon nologin",
        ):
            await install(connection)
        assert await connection.fetchval("select to_regnamespace('pgmq_gateway') is null")


async def test_a_failing_migration_leaves_nothing_and_keeps_those_before(uri: str, tmp_path: Path) -> None:
    wanted = write(tmp_path, good="create table kept ()", bad="create table lost (); select 1 / 0", never="select 1")
    async with connected(uri) as connection:
        with pytest.raises(InstallError, match="division by zero"):
            await install(connection, release=Release(wanted, []))
        assert await connection.fetchval("select to_regclass('kept') is not null and to_regclass('lost') is null")
    assert [row["name"] for row in await recorded(uri)] == ["good"]


async def test_a_failing_first_migration_leaves_an_empty_database(uri: str, tmp_path: Path) -> None:
    async with connected(uri) as connection:
        with pytest.raises(InstallError):
            await install(connection, release=Release(write(tmp_path, bad="select 1 / 0"), []))
        assert await connection.fetchval("select to_regnamespace('pgmq_gateway') is null")


async def test_installing_goes_on_where_it_failed(uri: str, tmp_path: Path) -> None:
    broken = write(tmp_path, good="create table kept ()", bad="select 1 / 0")
    async with connected(uri) as connection:
        with pytest.raises(InstallError):
            await install(connection, release=Release(broken, []))
        fixed = write(tmp_path, good="create table kept ()", bad="create table fixed ()")
        assert [str(migration) for migration in await migrate(connection, fixed, print)] == ["0002_bad"]


async def test_an_edited_file_is_refused_by_name(uri: str) -> None:
    first, second, *rest = migrations()
    edited = [first, replace(second, sql=second.sql + "-- one more line\n"), *rest]
    async with connected(uri) as connection:
        await install(connection)
        with pytest.raises(InstallError, match=r"sql/migrations/0002_pgmq\.sql was edited"):
            await install(connection, release=Release(edited, []))
        with pytest.raises(InstallError, match=r"sql/migrations/0002_pgmq\.sql was edited"):
            await pending(connection, edited)


async def test_a_database_that_is_ahead_is_left_alone(uri: str) -> None:
    async with connected(uri) as connection:
        await install(connection)
        await connection.execute("insert into pgmq_gateway.migrations values (9000, 'future', 'x')")
        with pytest.raises(InstallError, match="migration 9000_future, which this version does not know"):
            await install(connection)
        with pytest.raises(InstallError, match="install the newer pgmq-gateway"):
            await install(connection, release=Release(migrations()[:2], []))


async def test_the_command_line_checks_installs_and_repeats(uri: str) -> None:
    looked = server.run("install", "--check", "--db-uri", uri)
    missing = [
        "pgmq", "schema pgmq_gateway", "schema pgmq_admin", "schema pgmq_api", "schema pgmq_settings",
        "schema pgmq_public",
    ]  # fmt: skip
    assert (looked.returncode, looked.stdout.splitlines()) == (1, [f"missing: {name}" for name in missing])
    first = server.run("install", "--db-uri", uri)
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines()[: len(INSTALLED)] == INSTALLED
    before = await recorded(uri)
    again = server.run("install", "--db-uri", uri)
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, "up to date")
    looked = server.run("install", "--check", "--db-uri", uri)
    assert (looked.returncode, looked.stdout) == (0, "up to date\n")
    assert await recorded(uri) == before


def test_checking_writes_nothing(uri: str) -> None:
    server.run("install", "--check", "--db-uri", uri)
    with psycopg.connect(uri) as connection:
        found = connection.execute("select nspname from pg_namespace where nspname ~ 'pgmq'").fetchall()
    assert found == []


def test_the_command_line_says_in_one_line_what_a_database_refused(uri: str) -> None:
    with psycopg.connect(uri) as connection:
        connection.execute("create schema pgmq_gateway")
        connection.execute(
            "create table pgmq_gateway.migrations as select 9000 as number, 'x' as name, 'x' as checksum"
        )
    failed = server.run("install", "--db-uri", uri)
    assert (failed.returncode, failed.stdout, failed.stderr.count("\n")) == (1, "", 1)
    assert failed.stderr.startswith("pgmq-gateway: the database has migration 9000_x")


async def test_a_password_lets_the_login_role_in_and_no_other_does(blank_server: Cluster) -> None:
    name = blank_server.create()
    async with connected(blank_server.uri(name)) as connection:
        await install(connection)
        for password in ("correct horse", """a'b"c\\d$1 %s :/?#@"""):
            await set_login_password(connection, password)
            with psycopg.connect(blank_server.uri(name, "authenticator", password)) as login:
                assert login.execute("select current_user").fetchone() == ("authenticator",)
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(blank_server.uri(name, "authenticator", password + "x"))


async def test_f2_a_wrong_password_ends_the_gateway_with_one_line(blank_server: Cluster) -> None:
    name = blank_server.create()
    async with connected(blank_server.uri(name)) as connection:
        # Before it looks at the database, the gateway logs in.
        await connection.execute("create role authenticator login")
        await set_login_password(connection, "right")
    env = {"PGRST_DB_URI": blank_server.uri(name, "authenticator", "wrong"), "PGRST_JWT_SECRET": "x" * 32}
    failed = await asyncio.to_thread(server.run, "serve", "--port", "0", "--admin-port", "0", env=env)
    refused = 'the database rejects PGRST_DB_URI: password authentication failed for user "authenticator"'
    assert (failed.returncode, failed.stderr) == (1, f"pgmq-gateway: {refused}\n")


async def test_the_login_role_gets_limits_and_keeps_those_it_has(blank_server: Cluster) -> None:
    async def limits() -> list[str]:
        async with connected(blank_server.uri(blank_server.create())) as connection:
            await install(connection)
            rows = await connection.fetch(
                "select unnest(setconfig) from pg_db_role_setting where setrole = 'authenticator'::regrole order by 1"
            )
        return [row[0] for row in rows]

    assert await limits() == ["idle_in_transaction_session_timeout=1min", "statement_timeout=5min"]
    blank_server.execute("alter role authenticator set statement_timeout = '8s'")
    blank_server.execute("alter role authenticator reset idle_in_transaction_session_timeout")
    assert await limits() == ["idle_in_transaction_session_timeout=1min", "statement_timeout=8s"]


async def test_s5_roles_that_install_creates_get_time_limits_and_others_keep_theirs(blank_server: Cluster) -> None:
    async def limits() -> tuple[list[str], list[tuple[str, list[str]]]]:
        async with connected(blank_server.uri(blank_server.create())) as connection:
            printed = [line for line in await install(connection) if "statement_timeout" in line]
            rows = await connection.fetch(
                "select setrole::regrole::text, setconfig from pg_db_role_setting "
                "where setrole <> 'authenticator'::regrole order by 1"
            )
        return printed, [tuple(row) for row in rows]

    both = [("anon", ["statement_timeout=3s"]), ("authenticated", ["statement_timeout=8s"])]
    assert await limits() == ([
        "set: statement_timeout of role anon to 3s", "set: statement_timeout of role authenticated to 8s",
    ], both)  # fmt: skip
    blank_server.execute("alter role anon reset statement_timeout")
    blank_server.execute("alter role authenticated set statement_timeout = '1min'")
    assert await limits() == ([], [("authenticated", ["statement_timeout=1min"])])


def test_the_password_from_the_environment_is_kept_as_its_verifier_alone(blank_server: Cluster) -> None:
    uri = blank_server.uri(blank_server.create())
    done = server.run("install", "--db-uri", uri, env={"AUTHENTICATOR_PASSWORD": "pencil"})
    assert done.returncode == 0, done.stderr
    assert "left to do" not in done.stdout
    assert "pencil" not in done.stdout + done.stderr
    with psycopg.connect(uri) as connection:
        row = connection.execute("select rolpassword from pg_authid where rolname = 'authenticator'").fetchone()
    assert row is not None
    kind, parameters, keys = row[0].split("$")
    iterations, salt = parameters.split(":")
    assert (kind, len(base64.b64decode(salt))) == ("SCRAM-SHA-256", 16)
    stored = tuple(base64.b64decode(key) for key in keys.split(":"))
    assert stored == scram_keys("pencil", base64.b64decode(salt), int(iterations))


def test_a_password_that_would_need_normalising_is_refused(blank_server: Cluster) -> None:
    failed = server.run(
        "install", "--db-uri", blank_server.uri(blank_server.create()), env={"AUTHENTICATOR_PASSWORD": "pässword"}
    )
    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)
    assert "printable ASCII" in failed.stderr
    assert "pässword" not in failed.stderr


async def test_what_is_left_to_do_is_said(blank_server: Cluster) -> None:
    async with connected(blank_server.uri(blank_server.create())) as connection:
        await install(connection)
        await set_login_password(connection, "pencil")
        for meanwhile, said in LEFT_TO_DO.items():
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(meanwhile)
            steps = await left_to_do(connection, "P")
            await transaction.rollback()
            assert len(steps) == len(said), meanwhile
            assert all(step.startswith(start) for step, start in zip(steps, said, strict=True)), steps


def test_the_command_line_says_what_is_left_to_do(blank_server: Cluster) -> None:
    done = server.run("install", "--db-uri", blank_server.uri(blank_server.create()))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(
        "left to do: authenticator has no password: install again with AUTHENTICATOR_PASSWORD set"
    )
