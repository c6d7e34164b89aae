"""Sets up the database, the queues and the servers, and tears them down."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg

from bench import machine, servers, usage
from bench.cell import Cell
from bench.contenders import Contender, Name, Postgres, postgrest, queue_of
from bench.database import Queues, installed
from bench.measurement import BenchError
from bench.pgbouncer import pgbouncer
from pgmq_gateway.database.driver import Connection
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.embedded.server import running

SECRET = "a secret that is only ever used in this benchmark"  # noqa: S105 it opens nothing
BASELINE_DATABASE = "bench_baseline"
# As in the gateway's pool.
PGBOUNCER_CONNECTIONS = 10


@dataclass(frozen=True, slots=True)
class Database:
    """A database: URIs of its owner and of the login role, and the JWT secret."""

    owner: str
    login: str
    secret: str = SECRET


@dataclass(frozen=True, slots=True)
class Cast:
    """The contenders, and the addresses of those that the bench cannot start.

    database   an existing database; None: a temporary embedded one
    postgrest  the URL of a PostgREST that serves `database`
    baseline   another checkout of the gateway, installed in its .venv
    settings   of the gateway, as environment variables
    limited    contenders that are measured in one cell only
    """

    names: Sequence[Name]
    database: Database | None = None
    postgrest: str | None = None
    baseline: Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    limited: Mapping[Name, Cell] = field(default_factory=dict)

    def check(self) -> None:
        """Raise BenchError if an address is missing."""
        if Name.POSTGREST in self.names and (self.postgrest is None or self.database is None):
            raise BenchError("PostgREST is not started here: give --postgrest-url and the --db-uri that it serves")
        if Name.BASELINE not in self.names:
            return
        if self.baseline is None or self.database is not None:
            raise BenchError("give --baseline a checkout, and no --db-uri: it gets an embedded database of its own")
        if not (program := program_of(self.baseline)).exists():
            raise BenchError(f"{program} is missing: run make .venv/installed in that checkout")


@dataclass(frozen=True, slots=True)
class Stage:
    """The running setup.

    postgres  the server's process, if visible
    idle      resident bytes of the HTTP servers before the first request
    facts     describe the machine
    """

    contenders: Sequence[Contender]
    postgres: int | None
    idle: Mapping[Name, int]
    facts: dict[str, Any]


@asynccontextmanager
async def stage(cast: Cast) -> AsyncIterator[Stage]:
    """The running setup within a `with` block. Raises BenchError."""
    cast.check()
    with folder_of_its_own() as folder:
        async with AsyncExitStack() as stack:
            database = cast.database
            if database is None:
                database = await stack.enter_async_context(_embedded(folder))
            owner = await stack.enter_async_context(_owner(database.owner))
            await installed(owner)
            build = _Build(cast, database, await _queues(owner, stack), folder, stack)
            contenders = [await build.contender(name) for name in cast.names]
            idle = {one.name: usage.memory_of_tree(one.pid) for one in contenders if one.pid is not None}
            for contender in contenders:
                await contender.queues.create(queue_of(contender.name))
            postgres = usage.postmaster(await owner.fetchval("select pg_backend_pid()"))
            yield Stage(contenders, postgres, idle, await machine.describe(owner))


@dataclass(frozen=True, slots=True)
class _Build:
    cast: Cast
    database: Database
    queues: Queues
    folder: Path
    stack: AsyncExitStack

    async def contender(self, name: Name) -> Contender:
        """Start a contender, or connect to it."""
        if name is Name.POSTGRES:
            return Postgres(self.database.login, self.queues)
        if name is Name.POSTGREST:
            assert self.cast.postgrest is not None
            return postgrest(self.cast.postgrest, self.database.secret, self.queues)
        if name is Name.BASELINE:
            return await self._baseline()
        log = self.folder / f"{name}.log"
        if name is Name.PGMQ_API:
            return await self.stack.enter_async_context(servers.pgmq_api(self.database.owner, self.queues, log))
        if name is Name.FLOOR:
            return await self.stack.enter_async_context(servers.floor(self.database.secret, self.queues, log))
        workers = 2 if name is Name.GATEWAY_2 else 1
        settings = {**self.cast.settings, **(self._through_pgbouncer() if name is Name.PGBOUNCER else {})}
        how = servers.Gateway(servers.GATEWAY_PROGRAM, self.database.login, self.database.secret, settings, workers)
        return await self.stack.enter_async_context(servers.gateway(name, how, self.queues, log))

    def _through_pgbouncer(self) -> Mapping[str, str]:
        """The settings of a gateway behind a PgBouncer that is started here, with as many connections as its pool."""
        folder = self.folder / "pgbouncer"
        return self.stack.enter_context(pgbouncer(folder, self.database.login, PGBOUNCER_CONNECTIONS)).settings

    async def _baseline(self) -> Contender:
        """Another version of the gateway, in its own database, because its SQL functions can differ."""
        assert self.cast.baseline is not None
        program = program_of(self.cast.baseline)
        directory = DataDirectory(self.folder / "data")
        async with _owner(self.database.owner) as owner:
            await owner.execute(f"create database {BASELINE_DATABASE}")
        uri = socket_uri(directory, database=BASELINE_DATABASE)
        await servers.install(program, uri)
        queues = await _queues(await self.stack.enter_async_context(_owner(uri)), self.stack)
        login = socket_uri(directory, "authenticator", BASELINE_DATABASE)
        how = servers.Gateway(program, login, self.database.secret, self.cast.settings)
        log = self.folder / f"{Name.BASELINE}.log"
        return await self.stack.enter_async_context(servers.gateway(Name.BASELINE, how, queues, log))


def program_of(checkout: Path) -> Path:
    """The program of another checkout of the gateway."""
    return checkout.resolve() / ".venv" / "bin" / "pgmq-gateway"


@contextmanager
def folder_of_its_own() -> Iterator[Path]:
    """A temporary folder for data and logs."""
    with TemporaryDirectory(prefix="pgmq-gateway-bench-") as name:
        # Under root, Postgres runs as another user, who must traverse the folder.
        Path(name).chmod(0o755)
        yield Path(name)


@asynccontextmanager
async def _embedded(folder: Path) -> AsyncIterator[Database]:
    async with running(DataDirectory(folder / "data"), "bench") as postgres:
        yield Database(postgres.uri(), postgres.uri("authenticator"))


@asynccontextmanager
async def _owner(uri: str) -> AsyncIterator[Connection]:
    try:
        connection = await asyncpg.connect(uri, timeout=10)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise BenchError(f"cannot connect to the database: {error}") from None
    try:
        yield connection
    finally:
        await connection.close()


async def _queues(owner: Connection, stack: AsyncExitStack) -> Queues:
    queues = Queues(owner)
    stack.push_async_callback(queues.close)
    return queues
