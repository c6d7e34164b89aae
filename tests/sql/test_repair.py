"""Installing again on a damaged database restores missing objects and keeps messages and archives."""

import asyncio
import re
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest

from pgmq_gateway.embedded.cluster import binary, socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.http.sockets import ServeError
from pgmq_gateway.install.findings import InstallError
from pgmq_gateway.install.installer import install
from pgmq_gateway.install.owner import left_to_do, set_login_password
from pgmq_gateway.install.pgmq_upgrade import upgrade_pgmq
from pgmq_gateway.process.preflight import preflight
from pgmq_gateway.settings.model import load_settings
from tests import server
from tests.databases import Sql, runner
from tests.sql.backup_page import commands, paste
from tests.sql.cluster import Cluster
from tests.sql.conftest import Connect, as_role, connected
from tests.sql.dump import dump
from tests.sql.repairing import fill, found, installed, survivors, works

PGMQ = files("pgmq") / "sql"


@pytest.fixture
def extended(blank_server: Cluster) -> str:
    """The URI of a database on a server that has the extension pgmq, which is not created yet."""
    with psycopg.connect(blank_server.uri()) as connection:
        if connection.info.server_version < 18_00_00:
            pytest.skip("extension_control_path is new in Postgres 18")
    folder = blank_server.folder / "share"
    version = (PGMQ / "VERSION").read_text().strip()
    if not folder.exists():
        (folder / "extension").mkdir(parents=True)
        (folder / "extension" / "pgmq.control").write_text(
            f"default_version = '{version}'\nschema = 'pgmq'\nrelocatable = false\nsuperuser = false\n"
        )
        (folder / "extension" / f"pgmq--{version}.sql").write_text((PGMQ / "pgmq.sql").read_text())
    name = blank_server.create()
    blank_server.execute(f"alter database {name} set extension_control_path = '$system:{folder}'")
    return blank_server.uri(name)


async def test_dropping_pgmq_and_creating_it_again_is_repaired(extended: str, connect: Connect) -> None:
    await installed(extended)
    sql = runner(connect(extended))
    assert sql("select extname::text from pg_extension where extname = 'pgmq'") == [("pgmq",)]
    async with connected(extended) as connection:
        with pytest.raises(InstallError, match="pgmq is an extension here: run alter extension pgmq update"):
            await upgrade_pgmq(connection)
    whole = dump(extended)
    fill(sql)
    before = survivors(sql)
    sql("drop extension pgmq cascade")
    assert "missing: pgmq" in await found(extended)
    sql("create extension pgmq")
    lacking = await found(extended)
    assert {
        "missing: view pgmq_gateway.queues",
        "missing: function pgmq_public.read",
        "missing: function pgmq_public.pop",
        "missing: row of pgmq.meta for basic queue mail (tables pgmq.q_mail and pgmq.a_mail)",
        "missing: row of pgmq.meta for unlogged queue fast (tables pgmq.q_fast and pgmq.a_fast)",
    } <= set(lacking), lacking
    done = await installed(extended)
    assert "restored: view pgmq_gateway.queues" in done
    assert done[-2:] == [
        "adopted: unlogged queue fast (tables pgmq.q_fast and pgmq.a_fast)",
        "adopted: basic queue mail (tables pgmq.q_mail and pgmq.a_mail)",
    ]
    assert await found(extended) == []
    assert survivors(sql) == before
    assert dump(extended) == whole
    works(sql)


async def test_pgmq_that_was_dropped_is_created_again(extended: str, connect: Connect) -> None:
    await installed(extended)
    sql = runner(connect(extended))
    fill(sql)
    before = survivors(sql)
    sql("drop extension pgmq cascade")
    assert "restored: pgmq" in await installed(extended)
    assert await found(extended) == []
    assert survivors(sql) == before
    works(sql)


async def test_queues_in_the_extension_are_taken_out_and_moved_to_a_server_without_it(
    extended: str, blank_server: Cluster, connect: Connect, tmp_path: Path
) -> None:
    """The commands of docs/operating/backup.md. Before 1.6, pgmq made queues members of the extension."""
    await installed(extended)
    sql = runner(connect(extended))
    fill(sql)
    sql("alter extension pgmq add table pgmq.q_mail")
    sql("alter extension pgmq add table pgmq.a_mail")
    sql("alter extension pgmq add sequence pgmq.q_mail_msg_id_seq")
    before = survivors(sql)
    async with connected(extended) as connection:
        assert (
            "pg_dump leaves out 2 tables of queues, which are members of the extension pgmq: before a dump,"
            " take them out (docs/operating/backup.md)"
        ) in await left_to_do(connection, "AUTHENTICATOR_PASSWORD")
    take_out, move = commands()["pgmq as an extension"]
    programs = binary("psql").parent
    assert paste(take_out, tmp_path, programs, SOURCE=extended).splitlines() == ["ALTER EXTENSION"] * 3
    target = blank_server.uri(blank_server.create())
    moved = paste(move, tmp_path, programs, SOURCE=extended, TARGET=target).splitlines()
    assert moved[-3:-1] == [
        "adopted: unlogged queue fast (tables pgmq.q_fast and pgmq.a_fast)",
        "adopted: basic queue mail (tables pgmq.q_mail and pgmq.a_mail)",
    ]
    sql = runner(connect(target))
    samples = 3
    assert [*survivors(sql)[:samples], *survivors(sql)[samples + 1 :]] == [*before[:samples], *before[samples + 1 :]]
    works(sql)


async def test_partitioned_queues_are_adopted_as_such(blank_server: Cluster, connect: Connect) -> None:
    uri = blank_server.uri(blank_server.create())
    await installed(uri)
    sql = runner(connect(uri))
    sql("select pgmq.create('plain')")
    sql("create table pgmq.q_parts (like pgmq.q_plain including all) partition by range (msg_id)")
    sql("create table pgmq.a_parts (like pgmq.a_plain including defaults) partition by range (msg_id)")
    sql("create table pgmq.q_parts_default partition of pgmq.q_parts default")
    sql("create table pgmq.q_strange (id int)")
    sql("create table pgmq.a_strange (id int)")
    # Of a detached partition and its archive.
    sql("create table pgmq.q_parts_p20260101 (like pgmq.q_plain)")
    sql("create table pgmq.a_parts_p20260101 (like pgmq.a_plain)")
    assert "adopted: partitioned queue parts (tables pgmq.q_parts and pgmq.a_parts)" in await installed(uri)
    assert sql("select queue_name, is_partitioned, is_unlogged from pgmq.meta order by 1") == [
        ("parts", True, False), ("plain", False, False)
    ]  # fmt: skip


async def test_another_roles_trigger_on_the_list_of_queues_is_not_run(blank_server: Cluster, connect: Connect) -> None:
    uri = blank_server.uri(blank_server.create())
    await installed(uri)
    sql = runner(connect(uri))
    sql("grant create on schema public to service_role")
    sql("grant trigger on pgmq.meta to service_role")
    sql("select pgmq.create('kept')")
    sql("delete from pgmq.meta")
    as_role(
        sql,
        "service_role",
        "create function public.caught() returns trigger language plpgsql as"
        " 'begin alter role service_role superuser; return new; end'",
    )
    as_role(
        sql,
        "service_role",
        "create trigger caught before insert on pgmq.meta for each row execute function public.caught()",
    )
    with pytest.raises(InstallError, match=r"trigger caught on pgmq\.meta runs a function of service_role: drop it"):
        await installed(uri)
    assert sql("select rolsuper from pg_roles where rolname = 'service_role'") == [(False,)]
    assert sql("select * from pgmq.meta") == []


SHIPPED = "pgmq_gateway.shipped"
FORMER = {
    f"trigger t on {SHIPPED} runs a function of former": (
        f"create trigger t after insert on {SHIPPED} execute function public.former()", f"drop trigger t on {SHIPPED}"),
    f"rule r on {SHIPPED} is not the gateway's": (
        f"create rule r as on update to {SHIPPED} do also select 1", f"drop rule r on {SHIPPED}"),
    f"policy p on {SHIPPED} is not the gateway's": (
        f"create policy p on {SHIPPED} using (true)", f"drop policy p on {SHIPPED}"),
    f"constraint c on {SHIPPED} is not the gateway's": (
        f"alter table {SHIPPED} add constraint c check (length(name) > 0)", f"alter table {SHIPPED} drop constraint c"),
    f"index pgmq_gateway.i on {SHIPPED} is not the gateway's": (
        f"create index i on {SHIPPED} (lower(name))", "drop index pgmq_gateway.i"),
    f"the default 'x'::text on {SHIPPED} is not the gateway's": (
        f"alter table {SHIPPED} alter column file set default 'x'",
        f"alter table {SHIPPED} alter column file drop default"),
}  # fmt: skip


async def test_code_of_a_former_installer_is_not_run(blank_server: Cluster, connect: Connect) -> None:
    blank_server.execute("create role former")
    uri = blank_server.uri(blank_server.create())
    await installed(uri)
    sql = runner(connect(uri))
    sql("drop function pgmq_admin.purge_queue")
    sql("create function public.former() returns trigger language plpgsql as $$ begin raise 'ran'; end $$")
    sql("alter function public.former() owner to former")
    for error, (addition, removal) in FORMER.items():
        sql(addition)
        with pytest.raises(InstallError, match=f"^{re.escape(error)}: drop it and install again$"):
            await installed(uri)
        sql(removal)
    assert await installed(uri) == ["restored: function pgmq_admin.purge_queue"]


async def test_many_installers_repair_once(blank_server: Cluster, connect: Connect) -> None:
    uri = blank_server.uri(blank_server.create())
    await installed(uri)
    whole = dump(uri)
    sql = runner(connect(uri))
    sql("select pgmq.create('kept')")
    sql("delete from pgmq.meta")
    sql("drop table pgmq_gateway.samples")
    sql("drop view pgmq_gateway.queues cascade")
    done = await asyncio.gather(*(installed(uri) for _ in range(10)))
    lines = [line for each in done for line in each]
    assert len(lines) == len(set(lines))
    assert {
        "restored: table pgmq_gateway.samples",
        "restored: view pgmq_gateway.queues",
        "adopted: basic queue kept (tables pgmq.q_kept and pgmq.a_kept)",
    } <= set(lines)
    assert dump(uri) == whole


async def test_install_does_not_queue_behind_a_long_transaction(blank_server: Cluster, connect: Connect) -> None:
    """Behind an installer that waits for an exclusive lock, all sends and reads would wait too."""
    damages = (
        "alter table pgmq.meta replica identity default",
        "create role stranger; alter table pgmq_gateway.samples owner to stranger",
    )
    uris = [blank_server.uri(blank_server.create()) for _ in damages]
    for uri, damage in zip(uris, damages, strict=True):
        await installed(uri)
        sql = runner(connect(uri))
        sql(damage)
        sql("begin")
        sql("lock table pgmq.meta, pgmq_gateway.samples in access share mode")
    for failed in await asyncio.gather(*(asyncio.to_thread(server.run, "install", "--db-uri", uri) for uri in uris)):
        assert (failed.returncode, failed.stdout) == (1, "")
        assert failed.stderr == (
            "pgmq-gateway: a table was locked for more than 3 seconds by another transaction, as of pg_dump: wait until"
            " it has ended, and repeat the command\n"
        )
    for uri in uris:
        assert len(await found(uri)) == 1


@pytest.fixture
def uri(directory: DataDirectory, database: str) -> str:
    """The URI of an installed database, as its owner."""
    return socket_uri(directory, database=database)


@pytest.fixture(scope="module")
def whole(directory: DataDirectory, template: str) -> str:
    """The dump of such a database."""
    return dump(socket_uri(directory, database=template))


@pytest.fixture
def login(directory: DataDirectory, database: str) -> str:
    """The URI of the same database, as the login role."""
    return socket_uri(directory, "authenticator", database)


@pytest.fixture
def sql(uri: str, connect: Connect) -> Sql:
    """Run SQL in that database as its owner."""
    return runner(connect(uri))


@pytest.mark.parametrize(
    ("damage", "lacking"),
    [
        ("drop table pgmq_gateway.samples", "missing: table pgmq_gateway.samples"),
        ("drop table pgmq_gateway.shipped cascade", "missing: table pgmq_gateway.shipped"),
        ("drop type pgmq_admin.finding cascade", "missing: type pgmq_admin.finding"),
        ("drop schema pgmq_admin cascade", "missing: schema pgmq_admin"),
        (
            "revoke usage on schema pgmq_admin from service_role",
            "missing: USAGE on schema pgmq_admin for service_role",
        ),
        (
            "revoke select on pgmq_gateway.migrations from authenticator",
            "missing: SELECT on table pgmq_gateway.migrations for authenticator",
        ),
        ("drop function pgmq_gateway.call", "missing: function pgmq_gateway.call"),
        ("drop view pgmq_gateway.queues cascade", "missing: view pgmq_gateway.queues"),
        (
            "revoke execute on function pgmq_gateway.call from authenticator",
            "missing: EXECUTE on function pgmq_gateway.call for authenticator",
        ),
        (
            "grant execute on function pgmq_admin.lint to public",
            "open: EXECUTE on function pgmq_admin.lint for PUBLIC",
        ),
        ("grant select on pgmq_gateway.queues to public", "open: SELECT on view pgmq_gateway.queues for PUBLIC"),
        ("alter function pgmq_admin.lint security invoker", "changed: function pgmq_admin.lint"),
        ("alter function pgmq_admin.lint set search_path = public", "changed: function pgmq_admin.lint"),
        ("alter function pgmq_admin.lint owner to anon", "wrong owner: function pgmq_admin.lint (anon)"),
        ("alter view pgmq_gateway.tables owner to anon", "wrong owner: view pgmq_gateway.tables (anon)"),
        ("alter schema pgmq_admin owner to anon", "wrong owner: schema pgmq_admin (anon)"),
        ("alter table pgmq_gateway.samples owner to anon", "wrong owner: table pgmq_gateway.samples (anon)"),
        ("drop function pgmq_public.pop", "missing: function pgmq_public.pop"),
        ("alter function pgmq_public.pop owner to anon", "wrong owner: function pgmq_public.pop (anon)"),
        ("drop schema pgmq cascade", "missing: pgmq"),
        ("alter table pgmq.meta replica identity default", "missing: replica identity of table pgmq.meta"),
    ],
    ids=str,
)
async def test_damage_is_named_and_repaired(uri: str, sql: Sql, whole: str, damage: str, lacking: str) -> None:
    await repaired(uri, sql, whole, damage, lacking)


@pytest.mark.parametrize(
    ("damage", "lacking"),
    [
        ("revoke anon from authenticator", "missing: membership of authenticator in anon"),
        ("drop owned by authenticator; drop role authenticator", "missing: role authenticator"),
    ],
    ids=str,
)
async def test_damage_to_roles_is_named_and_repaired(
    blank_server: Cluster, connect: Connect, damage: str, lacking: str
) -> None:
    uri = blank_server.uri(blank_server.create())
    await installed(uri)
    await repaired(uri, runner(connect(uri)), dump(uri), damage, lacking)


async def repaired(uri: str, sql: Sql, whole: str, damage: str, lacking: str) -> None:
    """Damage a database: `lacking` is found, and another install makes it whole."""
    for statement in damage.split(";"):
        sql(statement)
    assert lacking in await found(uri)
    assert await installed(uri) != []
    # Without its records, the installer does not know functions of pgmq_public as its own.
    assert [line for line in await found(uri) if not line.startswith("kept: ")] == []
    assert await installed(uri) == []
    # Restored privileges are in another order.
    assert sorted(dump(uri).splitlines()) == sorted(whole.splitlines())


async def test_what_an_operator_revoked_stays_revoked(blank_server: Cluster, connect: Connect) -> None:
    uri = blank_server.uri(blank_server.create())
    await installed(uri)
    sql = runner(connect(uri))
    sql("revoke execute on function pgmq_public.pop(text) from public, anon")
    sql("revoke usage on schema pgmq_public from anon")
    sql("revoke select on pgmq.meta from service_role")
    sql("alter default privileges in schema pgmq revoke all on tables from service_role")
    whole = dump(uri)
    assert await installed(uri) == []
    assert dump(uri) == whole
    looked = server.run("install", "--check", "--db-uri", uri)
    assert (looked.returncode, looked.stdout.splitlines()) == (
        0,
        [
            "revoked: USAGE on schema pgmq_public for anon",
            "revoked: EXECUTE on function pgmq_public.pop for anon",
            "up to date",
        ],
    )


async def test_a_dropped_api_stays_away_until_it_is_asked_for(uri: str, sql: Sql) -> None:
    whole = dump(uri)
    sql("drop schema pgmq_public cascade")
    assert await found(uri) == []
    assert await installed(uri) == []
    # A repair of the state does not restore it either.
    sql("drop table pgmq_gateway.samples")
    await installed(uri)
    assert sql("select to_regnamespace('pgmq_public') is null") == [(True,)]
    await installed(uri, replace=True)
    assert dump(uri) == whole


async def test_replacing_keeps_what_an_operator_revoked(uri: str, sql: Sql) -> None:
    sql("revoke execute on function pgmq_public.pop(text) from public, anon")
    whole = dump(uri)
    sql("drop function pgmq_public.pop; create function pgmq_public.pop(queue_name text) returns text language sql"
        " as 'select $1'; revoke execute on function pgmq_public.pop(text) from public;"
        " grant execute on function pgmq_public.pop(text) to authenticated, service_role")  # fmt: skip
    assert "kept: function pgmq_public.pop differs from this version's (install --replace replaces it)" in await found(
        uri
    )
    assert await installed(uri) == []
    await installed(uri, replace=True)
    assert dump(uri) == whole


async def test_a_time_limit_of_one_function_outlives_a_repair(uri: str, sql: Sql) -> None:
    sql("alter function pgmq_admin.purge_queue set statement_timeout = '10min'")
    assert await found(uri) == []
    sql("alter function pgmq_admin.purge_queue security invoker")
    await installed(uri)
    assert sql("select proconfig, prosecdef from pg_proc where oid = 'pgmq_admin.purge_queue'::regproc") == [
        (['search_path=pg_catalog, pg_temp', 'lock_timeout=3s', 'statement_timeout=10min'], True)
    ]  # fmt: skip


async def test_the_command_line_says_what_is_missing_and_what_it_did(uri: str, sql: Sql) -> None:
    sql("drop function pgmq_admin.lint")
    looked = server.run("install", "--check", "--db-uri", uri)
    assert (looked.returncode, looked.stdout) == (1, "missing: function pgmq_admin.lint\n")
    done = server.run("install", "--db-uri", uri)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "restored: function pgmq_admin.lint")
    looked = server.run("install", "--check", "--db-uri", uri)
    assert (looked.returncode, looked.stdout) == (0, "up to date\n")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("drop function pgmq_admin.lint", "this database lacks function pgmq_admin.lint"),
        ("drop view pgmq_gateway.queues cascade", "this database lacks "),
        ("drop schema pgmq cascade", "this database lacks "),
        ("drop table pgmq_gateway.shipped", "this database is not installed completely"),
        ("drop function pgmq_gateway.call", "login role authenticator cannot call pgmq_gateway.call"),
    ],
)
async def test_serving_a_damaged_database_is_refused(login: str, sql: Sql, damage: str, said: str) -> None:
    sql(damage)
    refused = await refusal_to_serve(login)
    assert refused.startswith(said)
    assert refused.endswith(": run pgmq-gateway install")


async def test_serving_without_the_login_role_is_refused(blank_server: Cluster, connect: Connect) -> None:
    name = blank_server.create()
    async with connected(blank_server.uri(name)) as connection:
        await install(connection)
        await set_login_password(connection, "pencil")
    sql = runner(connect(blank_server.uri(name)))
    sql("drop owned by authenticator")
    sql("drop role authenticator")
    refused = await refusal_to_serve(blank_server.uri(name, "authenticator", "pencil"))
    assert refused.startswith("the database rejects PGRST_DB_URI: ")


async def refusal_to_serve(login: str) -> str:
    with pytest.raises(ServeError) as refused:
        await preflight(load_settings(db_uri=login, jwt_secret="x" * 32))
    return str(refused.value)


def test_serving_a_damaged_database_ends_with_one_line(login: str, sql: Sql) -> None:
    sql("drop function pgmq_admin.lint")
    env = {"PGRST_DB_URI": login, "PGRST_JWT_SECRET": "x" * 32}
    failed = server.run("serve", "--port", "0", "--admin-port", "0", "--no-dashboard", env=env)
    line = "pgmq-gateway: this database lacks function pgmq_admin.lint: run pgmq-gateway install\n"
    assert (failed.returncode, failed.stdout, failed.stderr) == (1, "", line)
