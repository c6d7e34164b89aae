"""Shared fixtures: one real server on one embedded Postgres, and databases and queues for single tests."""

import asyncio
import compileall
import functools
import os
import shutil
import signal
import sysconfig
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

import asyncpg
import httpx
import psycopg
import pytest

import pgmq_gateway
from pgmq_gateway.auth.signing import api_key, token
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.install.installer import install
from tests import databases, server
from tests.databases import Sql, runner
from tests.gateways import Bearer, RunningGateway, running_gateway
from tests.server import SECRET, Serve, Server

TEMPLATE = "template_gateway"

PACKAGE = Path(pgmq_gateway.__file__).parent

MEMORY = Path("/dev/shm")  # noqa: S108
# Far more than the tests' databases need.
MIN_FREE_BYTES = 6 * 1024**3

# Tests create and drop hundreds of databases, with fsync: in memory they take half the time. TMPDIR takes precedence.
if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MIN_FREE_BYTES:
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)

Token = Callable[..., str]


# httpx loads all root certificates for each client, which takes 20 ms of CPU, and no test uses them.
_patch = pytest.MonkeyPatch()
_patch.setattr("httpx._transports.default.create_ssl_context", functools.cache(httpx.create_ssl_context))


def missing(what: str, why: str) -> NoReturn:
    """Skip a test that needs a missing tool; with REQUIRE_ALL, fail it."""
    if os.environ.get("REQUIRE_ALL"):
        pytest.fail(f"{what} is missing and REQUIRE_ALL is set: {why}")
    pytest.skip(f"{what} is missing: {why}")


def pytest_configure(config: pytest.Config) -> None:
    """Do not ignore SIGINT, and compile all packages once, in the main process.

    Tests start the program hundreds of times. Where PYTHONDONTWRITEBYTECODE is set, as in many containers, each of
    these processes would compile them anew: uv installs packages without compiling them.
    """
    # A script's background processes ignore SIGINT, and so would the processes of the tests.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        for folder in (PACKAGE, sysconfig.get_path("purelib")):
            compileall.compile_dir(folder, quiet=2, workers=0)


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than processors: tests often wait, for processes to start or for timeouts."""
    return (os.cpu_count() or 1) + 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the numbers of test functions and of cases; pytest counts cases only."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    cases = {report.nodeid for report in reports if isinstance(report, pytest.TestReport)}
    tests = {case.partition("[")[0] for case in cases}
    terminalreporter.write_line(f"{len(tests)} tests, {len(cases)} cases")


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder for the whole run, which other users can traverse: under root, Postgres runs as another user."""
    path = Path(tempfile.mkdtemp(prefix="pgmq-gateway-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def embedded(folder: Path) -> Iterator[Server]:
    """`pgmq-gateway serve` on its embedded database, with the tests' secret."""
    running = server.start(
        folder / "embedded.log",
        "--data-dir",
        str(folder / "data"),
        env={"PGRST_JWT_SECRET": SECRET, "PGRST_DB_POOL": "4", "PGMQ_GATEWAY_KEY_LAYER": "off"},
    )
    yield running
    assert running.stop() == 0, running.log.read_text()


@pytest.fixture(scope="session")
def directory(embedded: Server, folder: Path) -> DataDirectory:  # noqa: ARG001 it is there once the server is
    """The data directory of the running server, whose roles have a time limit that no test reaches by being slow."""
    directory = DataDirectory(folder / "data")
    with psycopg.connect(socket_uri(directory), autocommit=True) as connection:
        for role in ("anon", "authenticated"):
            connection.execute(f"alter role {role} set statement_timeout = '4min'")
        connection.execute("notify pgrst, 'reload schema'")
    return directory


@pytest.fixture
def api(embedded: Server) -> Iterator[httpx.Client]:
    """An HTTP client of the running server, without credentials."""
    with httpx.Client(base_url=embedded.url, headers={"Content-Profile": "pgmq_public"}, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def bearer() -> Callable[..., dict[str, str]]:
    """Headers that authenticate: bearer("authenticated", sub="…")."""

    def headers(role: str, **claims: object) -> dict[str, str]:
        return {"Authorization": f"Bearer {token(SECRET.encode(), role, claims, 3600)}"}

    return headers


@pytest.fixture(scope="session")
def service_key() -> str:
    """The service_role key of the running server."""
    return api_key(SECRET.encode(), "service_role")


@pytest.fixture
def sql(directory: DataDirectory) -> Iterator[Sql]:
    """Run SQL as the owner in the running server's database: sql("select …", …) returns the rows."""
    with psycopg.connect(socket_uri(directory), autocommit=True) as connection:
        yield runner(connection)


@pytest.fixture(scope="module")
def shared_queue(directory: DataDirectory) -> Iterator[str]:
    """A queue for the tests of a module that change only its rows and begin with a truncate."""
    name = f"q{uuid.uuid4().hex[:12]}"
    with psycopg.connect(socket_uri(directory), autocommit=True) as connection:
        connection.execute("select pgmq_admin.create_queue(%s)", [name])
        yield name
        connection.execute("select pgmq.drop_queue(%s)", [name])


@pytest.fixture
def queue(sql: Sql) -> Iterator[str]:
    """A queue for one test, with row-level security and without grants."""
    name = f"q{uuid.uuid4().hex[:12]}"
    sql("select pgmq_admin.create_queue(%s)", name)
    yield name
    sql("select pgmq.drop_queue(%s)", name)


@pytest.fixture
def grant(sql: Sql, queue: str) -> Callable[..., None]:
    """grant("anon", "send", "read"): grant operations on the test's queue."""

    def give(role: str, *operations: str) -> None:
        sql("select pgmq_admin.grant_queue(%s, %s, %s)", queue, role, list(operations))

    return give


@pytest.fixture
def no_rls(sql: Sql, queue: str) -> None:
    """Disable row-level security on the test's queue, so that only grants apply."""
    sql(f"alter table pgmq.q_{queue} disable row level security")


@pytest.fixture(scope="session")
def template(directory: DataDirectory) -> str:
    """The name of an installed database without connections, for cloning."""
    with psycopg.connect(socket_uri(directory), autocommit=True) as connection:
        connection.execute(f"create database {TEMPLATE}")

    async def fill() -> None:
        owner = await asyncpg.connect(socket_uri(directory, database=TEMPLATE))
        await install(owner)
        await owner.close()

    asyncio.run(fill())
    return TEMPLATE


@pytest.fixture
def new_database(directory: DataDirectory) -> Iterator[Callable[..., str]]:
    """new_database() returns the name of an empty database, new_database(template) of a clone. Dropped at the end."""
    with ExitStack() as stack:
        yield lambda template="template0": stack.enter_context(databases.new_database(directory, template))


@pytest.fixture
def database(new_database: Callable[..., str], template: str) -> str:
    """The name of an installed database for one test."""
    return new_database(template)


@pytest.fixture
def own_sql(database: str, directory: DataDirectory) -> Iterator[Sql]:
    """Run SQL as the owner of the test's database."""
    with psycopg.connect(socket_uri(directory, database=database), autocommit=True) as connection:
        yield runner(connection)


@pytest.fixture
def serve(tmp_path: Path, directory: DataDirectory) -> Iterator[Serve]:
    """serve(database, "--workers", "2", PGRST_X="…"): a gateway for one test on a database, stopped at the end."""
    started: list[Server] = []

    def start(database: str, *arguments: str, **settings: str) -> Server:
        uri = socket_uri(directory, "authenticator", database)
        env = {"PGRST_DB_URI": uri, "PGRST_JWT_SECRET": SECRET, "PGRST_DB_POOL": "2", **settings}
        started.append(server.start(tmp_path / f"serve{len(started)}.log", *arguments, env=env))
        return started[-1]

    yield start
    for running in started:
        running.stop()


@pytest.fixture(scope="module")
def gateway(
    request: pytest.FixtureRequest, directory: DataDirectory, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """A gateway on a database, for all tests of a module.

    The module can define its settings in GATEWAY, and SQL to run before the start in SCHEMAS.
    """
    with databases.new_database(directory, template) as name:
        with psycopg.connect(socket_uri(directory, database=name), autocommit=True) as connection:
            for statement in getattr(request.module, "SCHEMAS", ()):
                connection.execute(statement)
        log, settings = tmp_path_factory.mktemp("gateway") / "log", getattr(request.module, "GATEWAY", {})
        with running_gateway(directory, name, log, settings) as running:
            yield running


@pytest.fixture
def service(api: httpx.Client, bearer: Bearer) -> httpx.Client:
    """A client as service_role."""
    api.headers.update(bearer("service_role"))
    return api


@pytest.fixture
def role(sql: Sql) -> Iterator[str]:
    """A role that calls can run in."""
    sql("create role settled nologin noinherit")
    sql("grant settled to authenticator")
    yield "settled"
    sql("drop role settled")


@pytest.fixture
def stored(sql: Sql, queue: str) -> Callable[[], list[tuple[Any, ...]]]:
    """stored() returns the present rows of the test's queue and its archive."""

    def rows() -> list[tuple[Any, ...]]:
        return [
            *sql(f"select 'q', msg_id, read_ct, vt, message from pgmq.q_{queue} order by 2"),
            *sql(f"select 'a', msg_id, read_ct, vt, message from pgmq.a_{queue} order by 2"),
        ]

    return rows
