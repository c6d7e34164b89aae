"""The command line of the bench."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer
from rich.console import Console
from rich.status import Status

from bench import goals, machine, plot, report
from bench.cell import Cell, Depth, Operation, parse_size
from bench.contenders import Name
from bench.measurement import BenchError
from bench.results import Row, rows
from bench.rounds import Arena, Pace
from bench.selection import ONE_CELL, Preset, Selection
from bench.stage import SECRET, Cast, Database, stage
from pgmq_gateway.cli.terminal import run

T = TypeVar("T")

FOLDER = Path(__file__).parent
# The tables need this width, which a pipe does not have.
WIDTH_COLUMNS = 120
RUN_SECONDS = {Preset.QUICK: 1, Preset.DEFAULT: 2, Preset.FULL: 5}

EPILOG = """Examples:

python -m bench --operations send --connections 32 --contenders gateway,postgres --seconds 3

python -m bench --operations send,read --baseline ../before --contenders gateway,baseline

python -m bench --operations send --through pgbouncer --contenders gateway

python -m bench --full --operations pop --output pop.json

See bench/README.md for the method and how to read the results."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


@app.command(epilog=EPILOG)
def bench(
    operations: Annotated[
        str,
        typer.Option(
            help="Of send, send_batch (100 messages), read (1, then delete it), pop, delete, archive, read_100 (then"
            " delete them one by one), lease (read 1 and leave it). Default: send."
        ),
    ] = "",
    connections: Annotated[str, typer.Option(help="How many at once: 1,8,32,128,512. Default: 32.")] = "",
    payload: Annotated[str, typer.Option(help="Size of a message: 100B,1KB,64KB. Default: 100B.")] = "",
    callers: Annotated[str, typer.Option(help="How many different tokens: 1,100. Default: 1.")] = "",
    depth: Annotated[str, typer.Option(help="Further messages in the queue: 0,1m,400k-in-flight. Default: 0.")] = "",
    contenders: Annotated[
        str,
        typer.Option(
            help="Of gateway, gateway-2 (two workers), pgbouncer (as with --through), baseline,"
            " pgmq-api, postgrest, postgres, floor, in this order."
            " Default: those there, but gateway-2 and floor in one cell only: send, 128 connections."
        ),
    ] = "",
    seconds: Annotated[
        int | None, typer.Option(min=1, help="Measured, each time. Default: 2; --quick: 1; --full: 5.")
    ] = None,
    warm_up: Annotated[int, typer.Option(min=0, help="Seconds of the same load before, each time.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="How often each contender has its turn; medians count.")] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="A few cells, in one to two minutes.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Everything, or all of what is selected: takes hours.")] = False,
    db_uri: Annotated[
        str | None, typer.Option(help="A database to use, as its owner, instead of an embedded one. Queues are made.")
    ] = None,
    login_uri: Annotated[str | None, typer.Option(help="The same database as the gateway's login role.")] = None,
    jwt_secret: Annotated[str, typer.Option(help="Signs the callers' tokens; PostgREST must know it.")] = SECRET,
    postgrest_url: Annotated[str | None, typer.Option(help="A PostgREST that serves --db-uri.")] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="Another checkout of the gateway, with its .venv, to compare with.")
    ] = None,
    through: Annotated[
        Literal["pgbouncer"] | None,
        typer.Option(help="Also measure a gateway whose calls go through it: the contender pgbouncer."),
    ] = None,
    gateway_setting: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A variable for the gateway; may be repeated.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Where the results go. Default: bench/results.json; for a part, last.json.")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Where the plot goes. Default: beside the results.")] = None,
) -> None:
    """Compare the gateway with its peers, and print, save and draw the results.

    Without a selection, the default cells are measured, in less than ten minutes. Where any of --operations,
    --connections, --payload, --callers and --depth is given (lists with commas), all combinations of them are.
    """
    selection = Selection(
        _list(Operation, operations), _list(int, connections), _list(parse_size, payload), _list(int, callers),
        _list(Depth.parse, depth),
    )  # fmt: skip
    preset = Preset.FULL if full else Preset.QUICK if quick else Preset.DEFAULT
    if bool(db_uri) != bool(login_uri):
        raise typer.BadParameter("--db-uri and --login-uri go together")
    names, cells = _list(Name, contenders), selection.cells(preset)
    pooled = [Name.PGBOUNCER] if through else []
    cast = Cast(
        names=list(dict.fromkeys([*(names or _all_there(cells, postgrest_url, baseline)), *pooled])),
        database=Database(db_uri, login_uri, jwt_secret) if db_uri and login_uri else None,
        postgrest=postgrest_url,
        baseline=baseline,
        settings=dict(_list(_pair, ",".join(gateway_setting or ()))),
        limited={} if names else ONE_CELL,
    )
    pace = Pace(seconds or RUN_SECONDS[preset], warm_up, rounds)
    output = output or FOLDER / ("last.json" if selection or quick else "results.json")
    picture = picture or output.with_suffix(".svg")
    run(_bench(cells, cast, pace, output, picture))


async def _bench(cells: Sequence[Cell], cast: Cast, pace: Pace, output: Path, picture: Path) -> None:
    screen = Console()
    screen = screen if screen.is_terminal else Console(width=WIDTH_COLUMNS)
    with screen.status("Starting") as status:
        async with stage(cast) as ready:
            measured: list[Row] = []
            arena = Arena(ready.contenders, ready.postgres, pace, cast.limited)
            for number, cell in enumerate(cells, 1):
                tell = _Tell(status, f"{number}/{len(cells)}")
                measured += (of_cell := rows(cell, await arena.measure(cell, tell)))
                report.show(screen, of_cell, cast.names)
    facts = machine.summary(ready.facts)
    report.explain(screen, facts)
    report.show_goals(screen, reached := goals.judge(measured, ready.idle))
    report.write(output, ready.facts, asdict(pace), measured, reached)
    plot.write(picture, measured, facts)
    failed = dict.fromkeys(str(row.cell) for row in measured if row.faults)
    if failed:
        raise BenchError(f"these failed: {'; '.join(failed)}")


@dataclass(frozen=True, slots=True)
class _Tell:
    status: Status
    prefix: str

    def __call__(self, text: str) -> None:
        self.status.update(f"{self.prefix} {text}")


def _all_there(cells: Sequence[Cell], postgrest: str | None, baseline: Path | None) -> list[Name]:
    there: dict[Name, object] = {name: cell in cells for name, cell in ONE_CELL.items()}
    there |= {Name.POSTGREST: postgrest, Name.BASELINE: baseline, Name.PGBOUNCER: None}
    return [name for name in Name if there.get(name, True)]


def _list(parse: Callable[[str], T], text: str) -> list[T]:
    try:
        return list(dict.fromkeys(parse(part.strip()) for part in text.split(",") if part.strip()))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise ValueError(f"{text} is not NAME=VALUE")
    return name, value
