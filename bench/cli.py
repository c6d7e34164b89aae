"""The command line of the bench."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, TypeVar

import asyncpg
import typer
from rich.console import Console

from app.datadir import DataDirectory
from app.embedded import running
from app.terminal import run
from bench import machine, report, servers
from bench.cell import Cell, Depth, Operation, parse_size
from bench.contenders import Contender, Name, Postgres, postgrest, queue_of
from bench.database import Queues, installed
from bench.measurement import BenchError
from bench.results import Row, rows
from bench.rounds import Arena, Pace
from bench.selection import Preset, Selection

T = TypeVar("T")

SECRET = "a secret that is only ever used in this benchmark"  # noqa: S105 it opens nothing
RESULTS = Path(__file__).with_name("results.json")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
console = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Database:
    """Where the queues are. `pid` is the server's process, where it is this machine's and may be seen."""

    owner: str
    login: str
    pid: int | None


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that the command line says."""

    cells: Sequence[Cell]
    contenders: Sequence[Name]
    pace: Pace
    owner: str | None = None
    login: str | None = None
    secret: str = SECRET
    postgrest: str | None = None
    gateway_settings: Mapping[str, str] = field(default_factory=dict)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except BenchError as error:
        console.print(f"bench: {error}", highlight=False)
        sys.exit(1)


def _list(parse: Callable[[str], T]) -> Callable[[str], list[T]]:
    def split(text: str) -> list[T]:
        try:
            return [parse(part.strip()) for part in text.split(",") if part.strip()]
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return split


@app.command()
def bench(
    operations: Annotated[str, typer.Option(help="send, send_batch, read, pop, read_100.")] = "",
    connections: Annotated[str, typer.Option(help="1, 8, 32, 128, 512.")] = "",
    payload: Annotated[str, typer.Option(help="100B, 1KB, 64KB.")] = "",
    callers: Annotated[str, typer.Option(help="1, 100.")] = "",
    depth: Annotated[str, typer.Option(help="0, 1m, 400k-in-flight.")] = "",
    contenders: Annotated[str, typer.Option(help="gateway, pgmq-api, postgrest, postgres.")] = "",
    seconds: Annotated[int, typer.Option(min=1)] = 2,
    warm_up: Annotated[int, typer.Option(min=0)] = 1,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    quick: Annotated[bool, typer.Option("--quick")] = False,
    full: Annotated[bool, typer.Option("--full")] = False,
    postgrest_url: Annotated[str | None, typer.Option()] = None,
    gateway_setting: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE")] = None,
    output: Annotated[Path, typer.Option()] = RESULTS,
) -> None:
    """Measure the gateway beside its peers."""
    selection = Selection(
        _list(Operation)(operations), _list(int)(connections), _list(parse_size)(payload), _list(int)(callers),
        _list(Depth.parse)(depth),
    )  # fmt: skip
    preset = Preset.FULL if full else Preset.QUICK if quick else Preset.USUAL
    names = _list(Name)(contenders) or [Name.GATEWAY, Name.PGMQ_API, Name.POSTGRES]
    setup = Setup(
        selection.cells(preset), names, Pace(seconds, warm_up, rounds), postgrest=postgrest_url,
        gateway_settings=dict(pair.partition("=")[::2] for pair in gateway_setting or ()),
    )  # fmt: skip
    sys.exit(run(_bench(setup, output)))


@contextmanager
def _folder() -> Iterator[Path]:
    """For data and logs, gone afterwards."""
    with TemporaryDirectory(prefix="pgmq-gateway-bench-") as name:
        # Run by root, Postgres is another user, who has to pass through.
        Path(name).chmod(0o755)
        yield Path(name)


async def _bench(setup: Setup, output: Path) -> int:
    with _folder() as folder:
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(_database(setup, folder))
            owner = await asyncpg.connect(database.owner)
            stack.push_async_callback(owner.close)
            await installed(owner)
            queues = Queues(owner)
            stack.push_async_callback(queues.close)
            for contender in setup.contenders:
                await queues.create(queue_of(contender))
            arena = Arena(await _contenders(setup, database, folder, stack), queues, database.pid, setup.pace)
            facts = await machine.describe(owner)
            measured = await _measure(setup, arena)
    report.write(output, facts, asdict(setup.pace), measured)
    screen = Console()
    screen = screen if screen.is_terminal else Console(width=120)
    report.show(screen, measured)
    screen.print(machine.summary(facts), highlight=False)
    return int(report.complain(console, measured))


async def _measure(setup: Setup, arena: Arena) -> list[Row]:
    measured: list[Row] = []
    with console.status("Starting") as status:
        for number, cell in enumerate(setup.cells, 1):
            prefix = f"{number}/{len(setup.cells)} "
            measured += rows(cell, await arena.measure(cell, lambda text, prefix=prefix: status.update(prefix + text)))  # type: ignore[misc]
    return measured


@asynccontextmanager
async def _database(setup: Setup, folder: Path) -> AsyncIterator[Database]:
    if setup.owner and setup.login:
        yield Database(setup.owner, setup.login, None)
        return
    async with running(DataDirectory(folder / "data"), "bench") as postgres:
        yield Database(postgres.uri(), postgres.uri("authenticator"), postgres.pid)


async def _contenders(setup: Setup, database: Database, folder: Path, stack: AsyncExitStack) -> list[Contender]:
    started: list[Contender] = []
    for name in setup.contenders:
        if name is Name.GATEWAY:
            running_gateway = servers.gateway(
                database.login, setup.secret, folder / "gateway.log", setup.gateway_settings
            )
            started.append(await stack.enter_async_context(running_gateway))
        elif name is Name.PGMQ_API:
            started.append(await stack.enter_async_context(servers.pgmq_api(database.owner, folder / "pgmq-api.log")))
        elif name is Name.POSTGREST:
            if setup.postgrest is None:
                raise BenchError("where is PostgREST? Say --postgrest-url")
            started.append(postgrest(setup.postgrest, setup.secret.encode()))
        else:
            started.append(Postgres(database.login))
    return started


if os.name != "posix":
    raise SystemExit("the bench needs Linux or macOS")
