"""docs/operating/backup.md works as it stands: queues, grants and policies survive each of its ways."""

import asyncio
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from pgmq_gateway.auth.signing import api_key
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import server
from tests.databases import Sql, runner
from tests.server import Server
from tests.sql.backup_page import PROGRAMS, commands, paste
from tests.sql.cluster import Cluster, cluster
from tests.sql.repairing import fill, found, installed, survivors, works

COMMANDS = commands()
# A role of one's own, beside the four.
ROLE = "create role courier nologin noinherit"
GRANT_ROLE = "grant courier to authenticator"
GRANTS = "select role::text, operations from pgmq_admin.list_grants('mail') where operations <> '{}' order by 1"

# A folder, and the content of a database that was filled there.
Filled = tuple[Path, tuple[object, ...]]


def test_d14_the_sections_with_commands_are_those_that_tests_run() -> None:
    assert {heading: len(blocks) for heading, blocks in COMMANDS.items()} == {
        "The embedded database": 3,
        "Your own database": 1,
        "With the roles": 1,
        "Without the roles, or for another owner": 1,
        "After a restore without grants": 1,
        "pgmq as an extension": 2,
        "Moving": 4,
        "Clients of the embedded database": 2,
        "Upgrading pgmq": 1,
    }


@contextmanager
def connected(uri: str) -> Iterator[Sql]:
    """Run SQL in a database."""
    with psycopg.connect(uri, autocommit=True) as connection:
        yield runner(connection)


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Server, str]]:
    """A gateway with the embedded database in a folder, and the URI of its owner."""
    running = server.start(folder.with_suffix(".log"), cwd=folder)
    try:
        yield running, socket_uri(DataDirectory(folder / ".pgmq-gateway"))
    finally:
        assert running.stop() == 0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the folders of users."""
    path = tmp_path_factory.mktemp("backup")
    for each in (path, path.parent):
        each.chmod(0o755)
    return path


def filled(sql: Sql) -> tuple[object, ...]:
    """Fill the queues, and return their rows, policies and grants."""
    fill(sql)
    sql(ROLE)
    sql(GRANT_ROLE)
    sql("select pgmq_admin.grant_queue('mail', 'courier', '{read,delete}')")
    return content(sql)


def content(sql: Sql) -> tuple[object, ...]:
    return (*survivors(sql), sql(GRANTS), sql("select last_value, is_called from pgmq.q_mail_msg_id_seq"))


def all_there(uri: str, expected: tuple[object, ...]) -> None:
    """The database has these rows, policies and grants, and works."""
    with connected(uri) as sql:
        assert content(sql) == expected
        works(sql)


@pytest.fixture(scope="module")
def first(place: Path) -> Iterator[Filled]:
    """A folder in which a gateway serves its embedded database, and the content of that."""
    folder = place / "first"
    folder.mkdir()
    with serving(folder) as (_, uri):
        with connected(uri) as sql:
            expected = filled(sql)
        yield folder, expected


@pytest.fixture(scope="module")
def own_server(first: Filled) -> Iterator[Cluster]:  # noqa: ARG001 its start makes programs readable for Postgres' user
    """A server of one's own."""
    with cluster(PROGRAMS) as own:
        yield own


@pytest.fixture
def target(own_server: Cluster) -> Iterator[Cluster]:
    """The server of `own_server`, without databases and roles."""
    yield own_server
    own_server.forget()


@pytest.fixture(scope="module")
def dumped(own_server: Cluster, place: Path) -> Filled:
    """A folder with the dump of a database that no longer exists, and the content of that."""
    folder = place / "dumped"
    folder.mkdir()
    source = own_server.uri(own_server.create())
    asyncio.run(installed(source))
    with connected(source) as sql:
        expected = filled(sql)
    paste(COMMANDS["Your own database"][0], folder, SOURCE=source)
    own_server.forget()
    return folder, expected


def test_d14_the_embedded_database_is_restored_in_a_new_folder(first: Filled, place: Path) -> None:
    source, expected = first
    back_up, keep_secret, restore = COMMANDS["The embedded database"]
    second = place / "second"
    second.mkdir()
    paste(back_up, source)
    shutil.move(source / "backup.sql", second)
    shutil.move(source / "secret.json", second)
    paste(keep_secret, second)
    with serving(second) as (gateway, uri):
        with connected(uri) as sql:
            sql(ROLE)
            sql(GRANT_ROLE)
        assert paste(restore, second) == "up to date\n"
        all_there(uri, expected)
        # The running gateway uses the restored functions, and accepts the keys of the first one.
        secrets = DataDirectory(source / ".pgmq-gateway").read_secrets()
        assert secrets is not None
        headers = {"apikey": api_key(secrets.jwt_secret.encode(), "service_role"), "Content-Profile": "pgmq_public"}
        popped = httpx.post(f"{gateway.url}/rpc/pop", json={"queue_name": "mail"}, headers=headers, timeout=30)
        assert [row["msg_id"] for row in popped.json()] == [1], popped.text


def test_d14_a_dump_is_restored_with_the_roles(dumped: Filled, target: Cluster) -> None:
    folder, expected = dumped
    target.execute("create role authenticated connection limit 5")
    uri = target.uri(target.create())
    assert paste(COMMANDS["With the roles"][0], folder, TARGET=uri).startswith("up to date\n")
    all_there(uri, expected)
    with connected(uri) as sql:
        assert sql("select rolconnlimit, rolconfig from pg_roles where rolname = 'authenticated'") == [(5, None)]


def test_d14_a_dump_is_restored_without_the_roles_for_another_owner_and_without_grants(
    dumped: Filled, target: Cluster
) -> None:
    folder, expected = dumped
    target.execute(ROLE, "create role chief superuser login password 'chief'")
    uri = target.uri(target.create("chief"), "chief", "chief")
    (restore,) = COMMANDS["Without the roles, or for another owner"]
    printed = paste(restore, folder, TARGET=uri)
    assert "\ninstalled: 0001_roles\n" in f"\n{printed}"
    assert "\nrestored: default privileges on tables in schema pgmq for service_role\n" in printed
    target.execute(GRANT_ROLE)
    with connected(uri) as sql:
        assert content(sql) == expected
        sql("drop table public.notes")
        without = restore.replace("--no-owner", "--no-owner --no-acl").replace("pgmq-gateway install", "true")
        paste(without, folder, TARGET=uri)
        assert "restored: privileges on table pgmq.q_mail for service_role" in asyncio.run(installed(uri))
        assert sql(GRANTS) == [("service_role", ["send", "read", "pop", "archive", "delete"])]
        paste(COMMANDS["After a restore without grants"][0], folder, TARGET=uri)
        assert asyncio.run(found(uri)) == []
    all_there(uri, expected)


def test_d14_queues_move_to_a_server_and_back(first: Filled, target: Cluster) -> None:
    source, expected = first
    save, move, keep_keys, back = COMMANDS["Moving"]
    uri = target.uri(target.create())
    target.execute(ROLE)
    paste(save + move, source, TARGET=uri)
    target.execute(GRANT_ROLE)
    assert asyncio.run(found(uri)) == []
    all_there(uri, expected)
    settings = dict(line.split("=", 1) for line in paste(f"{keep_keys}env", source).splitlines() if "=" in line)
    keys = dict(line.split("=", 1) for line in (source / "keys.env").read_text().splitlines())
    assert settings["PGRST_JWT_SECRET"] == keys["JWT_SECRET"]
    assert settings["PGMQ_GATEWAY_PUBLISHABLE_KEYS"] == keys["SUPABASE_PUBLISHABLE_KEY"]
    assert settings["PGMQ_GATEWAY_SECRET_KEYS"] == f"default={keys['SUPABASE_SECRET_KEY']}"
    with connected(uri) as sql:
        moved = content(sql)
    with connected(socket_uri(DataDirectory(source / ".pgmq-gateway"))) as sql:
        sql("select pgmq_admin.create_queue('later')")
        sql("drop table public.notes")
        assert "restored: default privileges" in paste(back, source, SOURCE=uri)
        assert content(sql) == moved


def test_d14_clients_use_the_embedded_database(first: Filled) -> None:
    source, _ = first
    role, program = COMMANDS["Clients of the embedded database"]
    paste(role, source)
    sent = paste(f"{sys.executable} -W ignore -c '{program}'", source)
    with connected(socket_uri(DataDirectory(source / ".pgmq-gateway"))) as sql:
        assert sql("select message from pgmq.q_mail where msg_id = %s", int(sent)) == [({"hello": "world"},)]
