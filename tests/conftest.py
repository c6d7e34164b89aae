"""What tests share: one real server on one embedded Postgres, a database and queues of their own for each test."""

import asyncio
import functools
import os
import shutil
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

from pgmq_gateway.auth.signing import api_key, token
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.install.installer import install
from tests import databases, server
from tests.databases import Sql, runner
from tests.gateways import Bearer, RunningGateway, running_gateway
from tests.server import SECRET, Serve, Server

TEMPLATE = "template_gateway"

MEMORY = Path("/dev/shm")  # noqa: S108
# Bytes that it must have free: many times what the tests' databases need.
ENOUGH = 6 * 1024**3

# The tests' databases are made and thrown away by the hundred, with all their fsyncs: in memory that takes half the
# time. Whoever sets TMPDIR decides.
if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH:
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)

Token = Callable[..., str]


# httpx loads all root certificates for each client, which takes 20 ms of CPU, and no test uses them.
_patch = pytest.MonkeyPatch()
_patch.setattr("httpx._transports.default.create_ssl_context", functools.cache(httpx.create_ssl_context))


def missing(what: str, why: str) -> NoReturn:
    """Skip a test for want of a tool; where everything is required, fail."""
    if os.environ.get("REQUIRE_ALL"):
        pytest.fail(f"{what} is missing and REQUIRE_ALL is set: {why}")
    pytest.skip(f"{what} is missing: {why}")


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are processors: tests often wait, for processes to start or for time limits."""
    return (os.cpu_count() or 1) + 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many test functions ran, and in how many cases: pytest counts cases only."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    cases = {report.nodeid for report in reports if isinstance(report, pytest.TestReport)}
    tests = {case.partition("[")[0] for case in cases}
    terminalreporter.write_line(f"{len(tests)} tests, {len(cases)} cases")


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder for the whole run that any user may pass through, as a Postgres run by root must."""
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
    """The data directory of the running server."""
    return DataDirectory(folder / "data")


@pytest.fixture
def api(embedded: Server) -> Iterator[httpx.Client]:
    """An HTTP client of the running server that sends nothing by itself."""
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
    """Run SQL as the owner in the running server's database: sql("select …", …) gives its rows."""
    with psycopg.connect(socket_uri(directory), autocommit=True) as connection:
        yield runner(connection)


@pytest.fixture(scope="module")
def shared_queue(directory: DataDirectory) -> Iterator[str]:
    """A queue of the module's own, for tests that change its rows only and begin with a truncate."""
    name = f"q{uuid.uuid4().hex[:12]}"
    with psycopg.connect(socket_uri(directory), autocommit=True) as connection:
        connection.execute("select pgmq_admin.create_queue(%s)", [name])
        yield name
        connection.execute("select pgmq.drop_queue(%s)", [name])


@pytest.fixture
def queue(sql: Sql) -> Iterator[str]:
    """A queue of the test's own, with row-level security on and no rights given."""
    name = f"q{uuid.uuid4().hex[:12]}"
    sql("select pgmq_admin.create_queue(%s)", name)
    yield name
    sql("select pgmq.drop_queue(%s)", name)


@pytest.fixture
def grant(sql: Sql, queue: str) -> Callable[..., None]:
    """grant("anon", "send", "read"): rights on the test's queue."""

    def give(role: str, *operations: str) -> None:
        sql("select pgmq_admin.grant_queue(%s, %s, %s)", queue, role, list(operations))

    return give


@pytest.fixture
def no_rls(sql: Sql, queue: str) -> None:
    """Row-level security off on the test's queue, so that grants alone decide."""
    sql(f"alter table pgmq.q_{queue} disable row level security")


@pytest.fixture(scope="session")
def template(directory: DataDirectory) -> str:
    """The name of a database that is installed and that nobody is connected to, for cloning."""
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
    """new_database() makes an empty database, new_database(template) a clone; gives its name. Dropped at the end."""
    with ExitStack() as stack:
        yield lambda template="template0": stack.enter_context(databases.new_database(directory, template))


@pytest.fixture
def database(new_database: Callable[..., str], template: str) -> str:
    """The name of an installed database of the test's own."""
    return new_database(template)


@pytest.fixture
def serve(tmp_path: Path, directory: DataDirectory) -> Iterator[Serve]:
    """serve(database, "--workers", "2", PGRST_X="…"): a gateway of the test's own on a database, stopped at the end."""
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
    """A gateway on a database, one for all tests of a module.

    The module may name settings in GATEWAY, and in SCHEMAS statements to run before the gateway starts.
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
    """A client that may do everything."""
    api.headers.update(bearer("service_role"))
    return api


@pytest.fixture
def role(sql: Sql) -> Iterator[str]:
    """A role that calls may run in."""
    sql("create role settled nologin noinherit")
    sql("grant settled to authenticator")
    yield "settled"
    sql("drop role settled")


@pytest.fixture
def stored(sql: Sql, queue: str) -> Callable[[], list[tuple[Any, ...]]]:
    """stored() gives all rows of the test's queue and its archive, as they are now."""

    def rows() -> list[tuple[Any, ...]]:
        return [
            *sql(f"select 'q', msg_id, read_ct, vt, message from pgmq.q_{queue} order by 2"),
            *sql(f"select 'a', msg_id, read_ct, vt, message from pgmq.a_{queue} order by 2"),
        ]

    return rows
