"""Installing again on a damaged database: what is missing comes back, and messages, archives and grants survive."""

import asyncio
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from pgmq_gateway.embedded.cluster import binary
from pgmq_gateway.install.findings import InstallError
from pgmq_gateway.install.installer import check, install
from tests import server
from tests.conftest import Sql, runner
from tests.sql.cluster import Cluster, cluster
from tests.sql.conftest import Connect, as_role, connected
from tests.sql.dump import dump

DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
PGMQ = files("pgmq") / "sql"


@pytest.fixture(scope="module", params=["embedded", *map(str, DEBIAN)])
def programs(request: pytest.FixtureRequest) -> Path:
    """Where the programs of a Postgres are."""
    return binary("postgres").parent if request.param == "embedded" else Path(request.param)


@pytest.fixture(scope="module")
def servers(programs: Path, directory: object) -> Iterator[tuple[Cluster, Cluster]]:  # noqa: ARG001 see own
    """Two servers of the same release, without roles."""
    with cluster(programs) as first, cluster(programs) as second:
        yield first, second


@pytest.fixture
def source(servers: tuple[Cluster, Cluster]) -> Iterator[Cluster]:
    """A server with nothing on it."""
    yield servers[0]
    servers[0].forget()


@pytest.fixture
def target(servers: tuple[Cluster, Cluster]) -> Iterator[Cluster]:
    """Another server with nothing on it."""
    yield servers[1]
    servers[1].forget()


async def installed(uri: str, *, replace: bool = False) -> list[str]:
    async with connected(uri) as connection:
        return list(await install(connection, replace=replace))


async def found(uri: str) -> list[str]:
    async with connected(uri) as connection:
        return [str(finding) for finding in await check(connection)]


def fill(sql: Sql) -> None:
    """Queues of two kinds, messages, an archive, grants, policies and a sample of the history."""
    sql("create table if not exists public.notes (id int)")
    sql("select pgmq_admin.create_queue('mail')")
    sql("select pgmq_admin.create_queue('fast', 'unlogged')")
    sql("select pgmq.send('mail', '{\"n\": 1}'), pgmq.send('mail', '{\"n\": 2}'), pgmq.send('fast', '{\"n\": 3}')")
    sql("select pgmq.archive('mail', 2)")
    sql("select pgmq_admin.grant_queue('mail', 'authenticated', '{send,read}')")
    sql("create policy everybody on pgmq.q_mail for all using (true) with check (true)")
    sql("create policy members on pgmq.q_mail for select to authenticated using (true)")
    sql("select pgmq_gateway.take_sample(60, 1)")


SURVIVORS = (
    "select msg_id, message from pgmq.q_mail",
    "select msg_id, message from pgmq.a_mail",
    "select msg_id, message from pgmq.q_fast",
    "select queue_name, messages from pgmq_gateway.samples order by 1",
    "select polname from pg_policy order by 1",
    "select relname, relrowsecurity from pg_class where relname in ('q_mail', 'q_fast', 'a_mail') order by 1",
    "select relpersistence::text from pg_class where relname = 'q_fast'",
)


def survivors(sql: Sql) -> list[object]:
    return [sql(query) for query in SURVIVORS]


def copy(programs: Path, source: str, target: str, folder: Path, *options: str) -> str:
    """pg_dump and pg_restore; gives what the latter complained of."""
    archive = folder / "dump"
    subprocess.run([programs / "pg_dump", "-Fc", "-f", archive, source], check=True)
    restored = subprocess.run(
        [programs / "pg_restore", *options, "-d", target, archive], capture_output=True, text=True, check=False
    )
    return restored.stderr


def works(sql: Sql, queue: str = "mail") -> None:
    """A caller with a grant reads the message that has survived, and sends another."""
    (sent,) = as_role(sql, "authenticated", "select * from pgmq_public.send(%s, '{}')", queue)
    read = as_role(sql, "authenticated", "select msg_id from pgmq_public.read(%s, 0, 10)", queue)
    assert read == [(1,), sent]
    assert as_role(sql, "service_role", "select queue_name, queue_type from pgmq_admin.list_queues() order by 1") == [
        ("fast", "unlogged"), (queue, "basic")
    ]  # fmt: skip


async def test_a_dump_without_owners_and_privileges_is_made_whole(
    source: Cluster, programs: Path, connect: Connect, tmp_path: Path
) -> None:
    original, copied = source.uri(source.create()), source.uri(source.create())
    await installed(original)
    fill(runner(connect(original)))
    whole = dump(original)
    assert copy(programs, original, copied, tmp_path, "--no-owner", "--no-acl") == ""
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
    # The dump left out who may use the queue.
    sql("select pgmq_admin.grant_queue('mail', 'authenticated', '{send,read}')")
    works(sql)


async def test_a_dump_with_privileges_keeps_the_grants_of_queues(
    source: Cluster, target: Cluster, programs: Path, connect: Connect, tmp_path: Path
) -> None:
    original = source.uri(source.create())
    await installed(original)
    fill(runner(connect(original)))
    # The roles are there, as another database of the server has them.
    await installed(target.uri(target.create()))
    copied = target.uri(target.create())
    assert copy(programs, original, copied, tmp_path) == ""
    assert await found(copied) == []
    assert await installed(copied) == []
    works(runner(connect(copied)))


async def test_a_dump_that_is_restored_without_roles_gets_them(
    source: Cluster, target: Cluster, programs: Path, connect: Connect, tmp_path: Path
) -> None:
    original, copied = source.uri(source.create()), target.uri(target.create())
    await installed(original)
    fill(runner(connect(original)))
    complaints = copy(programs, original, copied, tmp_path)
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


CALLERS = ("anon", "authenticated", "service_role")


# Only Postgres 18 finds a control file in a folder of the test's own.
with_extension = pytest.mark.parametrize("programs", ["embedded"], indirect=True)


@pytest.fixture
def extended(source: Cluster) -> str:
    """The URI of a database whose server has pgmq as an extension; it is not created yet."""
    folder = source.folder / "share"
    version = (PGMQ / "VERSION").read_text().strip()
    if not folder.exists():
        (folder / "extension").mkdir(parents=True)
        (folder / "extension" / "pgmq.control").write_text(
            f"default_version = '{version}'\nschema = 'pgmq'\nrelocatable = false\nsuperuser = false\n"
        )
        (folder / "extension" / f"pgmq--{version}.sql").write_text((PGMQ / "pgmq.sql").read_text())
    name = source.create()
    source.execute(f"alter database {name} set extension_control_path = '$system:{folder}'")
    return source.uri(name)


@with_extension
async def test_dropping_pgmq_and_creating_it_again_is_repaired(extended: str, connect: Connect) -> None:
    await installed(extended)
    sql = runner(connect(extended))
    assert sql("select extname::text from pg_extension where extname = 'pgmq'") == [("pgmq",)]
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


@with_extension
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


async def test_partitioned_queues_are_adopted_as_such(source: Cluster, connect: Connect) -> None:
    uri = source.uri(source.create())
    await installed(uri)
    sql = runner(connect(uri))
    sql("select pgmq.create('plain')")
    sql("create table pgmq.q_parts (like pgmq.q_plain including defaults) partition by range (msg_id)")
    sql("create table pgmq.a_parts (like pgmq.a_plain including defaults) partition by range (msg_id)")
    sql("create table pgmq.q_parts_default partition of pgmq.q_parts default")
    sql("create table pgmq.q_strange (id int)")
    sql("create table pgmq.a_strange (id int)")
    assert "adopted: partitioned queue parts (tables pgmq.q_parts and pgmq.a_parts)" in await installed(uri)
    assert sql("select queue_name, is_partitioned, is_unlogged from pgmq.meta order by 1") == [
        ("parts", True, False), ("plain", False, False)
    ]  # fmt: skip


async def test_another_roles_trigger_on_the_list_of_queues_is_not_run(source: Cluster, connect: Connect) -> None:
    uri = source.uri(source.create())
    await installed(uri)
    sql = runner(connect(uri))
    sql("grant create on schema public to service_role")
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


async def test_many_installers_repair_once(source: Cluster, connect: Connect) -> None:
    uri = source.uri(source.create())
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


@pytest.fixture
async def uri(source: Cluster) -> str:
    """The URI of an installed database."""
    made = source.uri(source.create())
    await installed(made)
    return made


@pytest.fixture
def sql(uri: str, connect: Connect) -> Sql:
    """Run SQL in that database as its owner."""
    return runner(connect(uri))


@pytest.mark.parametrize(
    ("damage", "lacking"),
    [
        ("revoke anon from authenticator", "missing: membership of authenticator in anon"),
        ("drop owned by authenticator; drop role authenticator", "missing: role authenticator"),
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
        ("alter function pgmq_admin.lint security invoker", "changed: function pgmq_admin.lint"),
        ("alter function pgmq_admin.lint set search_path = public", "changed: function pgmq_admin.lint"),
        ("alter function pgmq_admin.lint owner to anon", "wrong owner: function pgmq_admin.lint (anon)"),
        ("alter view pgmq_gateway.tables owner to anon", "wrong owner: view pgmq_gateway.tables (anon)"),
        ("alter schema pgmq_admin owner to anon", "wrong owner: schema pgmq_admin (anon)"),
        ("alter table pgmq_gateway.samples owner to anon", "wrong owner: table pgmq_gateway.samples (anon)"),
        ("drop function pgmq_public.pop", "missing: function pgmq_public.pop"),
        ("alter function pgmq_public.pop owner to anon", "wrong owner: function pgmq_public.pop (anon)"),
        ("drop schema pgmq cascade", "missing: pgmq"),
    ],
    ids=str,
)
async def test_damage_is_named_and_repaired(uri: str, sql: Sql, damage: str, lacking: str) -> None:
    whole = dump(uri)
    for statement in damage.split(";"):
        sql(statement)
    assert lacking in await found(uri)
    assert await installed(uri) != []
    # Without its records, the installer does not know functions of pgmq_public as its own.
    assert [line for line in await found(uri) if not line.startswith("kept: ")] == []
    assert await installed(uri) == []
    # Privileges come back in another order.
    assert sorted(dump(uri).splitlines()) == sorted(whole.splitlines())


async def test_what_an_operator_revoked_stays_revoked(uri: str, sql: Sql) -> None:
    sql("revoke execute on function pgmq_public.pop(text) from public, anon")
    sql("revoke usage on schema pgmq_public from anon")
    sql("revoke select on pgmq.meta from service_role")
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
    # A repair of the state leaves it away too.
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
        (['search_path=pg_catalog, pg_temp', 'statement_timeout=10min'], True)
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
        ("drop table pgmq_gateway.shipped", "this database is not installed, or not wholly"),
        ("drop function pgmq_gateway.call", "login role authenticator cannot call pgmq_gateway.call"),
        ("drop owned by authenticator; drop role authenticator", "the database refuses PGRST_DB_URI: "),
    ],
)
@pytest.mark.parametrize("programs", ["embedded"], indirect=True)
def test_serving_a_damaged_database_ends_with_one_line(
    source: Cluster, connect: Connect, damage: str, said: str
) -> None:
    name = source.create()
    env = {"AUTHENTICATOR_PASSWORD": "pencil"}
    assert server.run("install", "--db-uri", source.uri(name), env=env).returncode == 0
    for statement in damage.split(";"):
        runner(connect(source.uri(name)))(statement)
    env = {"PGRST_DB_URI": source.uri(name, "authenticator", "pencil"), "PGRST_JWT_SECRET": "x" * 32}
    failed = server.run("serve", "--port", "0", "--admin-port", "0", "--no-dashboard", env=env)
    assert (failed.returncode, failed.stdout, failed.stderr.count("\n")) == (1, "", 1)
    assert failed.stderr.startswith(f"pgmq-gateway: {said}"), failed.stderr
    if "role" not in damage:
        assert failed.stderr.endswith(": run pgmq-gateway install\n")
