"""The bench from its command line to its results, on a real Postgres and real servers."""

import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.cell import Cell, Depth, Operation, parse_size
from bench.contenders import Name
from bench.goals import judge
from bench.measurement import Cost
from bench.pgbouncer import PROGRAM
from bench.results import Row
from bench.rounds import cost
from bench.selection import ONE_CELL, Preset, Selection
from bench.usage import Snapshot
from tests import server
from tests.conftest import missing

REPOSITORY = Path(__file__).parents[2]


def bench(*arguments: str, module: str = "bench") -> subprocess.CompletedProcess[str]:
    """Run a module of the bench and wait for its exit."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=REPOSITORY,
        env=server.environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


# PgBouncer is optional.
THROUGH = ("--through", "pgbouncer") if PROGRAM else ()


@pytest.mark.parametrize(
    ("selected", "measured"),
    [
        pytest.param(
            ("--operations", "send", "--contenders", "gateway-2,floor,pgmq-api,postgres"),
            {"send, 4 connections, 100 B": ["gateway-2", "pgmq-api", "postgres", "floor"]},
            id="contenders",
        ),
        # pgmq.api knows no callers.
        pytest.param(
            ("--operations", "read", "--callers", "3", "--depth", "1k-in-flight", *THROUGH),
            {
                "read 1 + delete, 4 connections, 100 B, 3 callers, depth 1k-in-flight": [
                    "gateway",
                    *THROUGH[1:],
                    "postgres",
                ]
            },
            id="callers",
        ),
    ],
)
def test_a_short_run_measures_draws_and_prints(
    selected: tuple[str, ...], measured: dict[str, list[str]], tmp_path: Path
) -> None:
    if not shutil.which("wrk"):
        missing("wrk", "apt-get install wrk")
    output = tmp_path / "results.json"
    short = ("--connections", "4", "--seconds", "1", "--warm-up", "0", "--rounds", "1")
    done = bench(*selected, *short, "--output", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(output.read_text())
    found = [row["contender"] for row in results["rows"]]
    assert sorted(found) == sorted(name for of_cell in measured.values() for name in of_cell)
    for row in results["rows"]:
        check_row(row)
    check_machine(results["machine"])
    check_texts(done.stdout, tmp_path / "results.svg", measured)


def check_row(row: dict[str, Any]) -> None:
    """Rate, latencies, CPU and memory; `postgres` has no HTTP server, and `floor` does not use Postgres."""
    assert row["faults"] == []
    assert row["operations_per_second"] > 0
    calls = 2 if row["operation"] == "read" else 1
    assert row["requests_per_second"] == pytest.approx(row["operations_per_second"] * calls, abs=0.1)
    assert 0 < row["latency_ms"]["p50"] <= row["latency_ms"]["p95"] <= row["latency_ms"]["p99"]
    cpu = row["cpu_seconds_per_1000_requests"]
    assert cpu["postgres_backends"] > 0 or row["contender"] == "floor"
    assert cpu["load_generator"] > 0
    has_server = row["contender"] != "postgres"
    assert (cpu["server"] is not None and cpu["server"] > 0) == has_server
    assert (row["resident_bytes"] is not None) == has_server
    assert len(row["rounds"]) == 1


def check_machine(machine: dict[str, Any]) -> None:
    """The results describe the machine and do not identify it."""
    assert machine["cores"] > 0
    assert machine["postgres"].startswith("18")
    assert machine["packages"]["pgmq"]
    assert not {"host", "hostname", "node"} & set(machine)


def check_texts(printed: str, picture: Path, measured: dict[str, list[str]]) -> None:
    """The table and the picture contain every cell; only the table has `floor`, which is no queue."""
    texts = " ".join(element.text or "" for element in ET.parse(picture).iter())  # noqa: S314 made by us
    for cell, names in measured.items():
        assert cell in printed
        assert cell in texts
        for name in names:
            assert f"\n{name} " in printed
            assert (name in texts) == (name != "floor")
    assert "prefers-color-scheme: dark" in texts


def test_a_start_has_seconds_and_memory() -> None:
    done = bench("--starts", "1", module="bench.start")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "starts: 1, ready after" in done.stdout
    assert re.search(r"start until ready +1 s +1 s +[0-9.]+ s", done.stdout)
    assert re.search(r"idle gateway's memory +60 MB +50 MB +[0-9.]+ MB", done.stdout)


def test_consumers_are_measured_on_both_sides() -> None:
    """Goals may be missed: that depends on the machine."""
    if not shutil.which("wrk"):
        missing("wrk", "apt-get install wrk")
    short = ("--rounds", "1", "--seconds", "1", "--depth", "1000")
    done = bench("--parts", "groups,keys", *short, module="bench.consumers")
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    figures = [
        (r"read 1 of 1,000 in groups +without groups", "µs"),
        (r"read 1 \+ ack in groups +without groups", "µs"),
        (r"send to a group +without groups", "µs"),
        (r"sends with a new Idempotency-Key, 8 connections +without a key", "/s"),
        (r"Postgres' CPU for a repeated key +for a new key", "µs"),
    ]
    for figure, unit in figures:
        assert re.search(rf"{figure} +[0-9.,]+ {unit} +[0-9.,]+ {unit} +[0-9.]+", done.stdout), done.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--operations", "fly"), "fly"),
        (("--depth", "deep"), "deep is no depth"),
        (("--payload", "1XB"), "1XB is no size"),
        (("--contenders", "postgrest"), "--postgrest-url"),
        (("--contenders", "baseline", "--baseline", "nowhere"), "pgmq-gateway is missing"),
        (("--db-uri", "postgresql:///x"), "go together"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_line(arguments: tuple[str, ...], complaint: str) -> None:
    """Errors are one line, without a traceback."""
    done = bench(*arguments)
    assert done.returncode != 0
    assert complaint in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_the_default_selection_has_the_cells_of_the_goals() -> None:
    """The default selection takes ten minutes: about 30 seconds for each cell."""
    default = Selection().cells(Preset.DEFAULT)
    assert len(default) == len(set(default)) <= 15
    assert set(Selection().cells(Preset.QUICK)) <= set(default)
    contenders = {cell: [name for name in Name if ONE_CELL.get(name, cell) == cell] for cell in default}
    proven = judge(
        [row(name, cell) for cell, names in contenders.items() for name in names], {Name.GATEWAY: 55 * 10**6}
    )
    assert {goal.what: (goal.reach, goal.aim) for goal in proven} == GOALS


def row(name: Name, cell: Cell, rate: float = 1000, **measured: Any) -> Row:  # noqa: ANN401
    """A row without faults, equal for all contenders unless `measured` overrides that."""
    cpu: dict[str, float | None] = {"server": 0.05, "postgres_backends": 0.02}
    made = Row(
        cell, name, rate, rate, 1, 2, 3, whole=False, cpu=cpu, memory=None, ratios=dict.fromkeys(Name, 1.0),
        faults=(), runs=(),
    )  # fmt: skip
    return replace(made, **measured)


GOALS = {
    "send, 32 connections, to postgres": (0.9, 1.1),
    "send, 128 connections, to postgres": (1.1, 1.4),
    "send, 128 connections, two workers, to postgres": (1.3, 1.6),
    "read 1 + delete, 32 connections, to postgres": (1.1, 1.5),
    "pop, 32 connections, to postgres": (1, 1.3),
    "delete, 32 connections, to postgres": (1, 1.3),
    "archive, 32 connections, to postgres": (1, 1.3),
    "send, 32 connections, to postgrest": (3, 5),
    "send, 32 connections, to pgmq-api": (4.5, 8),
    "read 1 + delete, 32 connections, to pgmq-api": (4, 6),
    "send, 100 callers, to baseline's one": (0.7, 0.8),
    "send p99, 32 connections, to pgmq-api": (0.25, 0.1),
    "send p99, 128 connections, to pgmq-api": (0.25, 0.15),
    "send p50, 1 connection, above postgres": (0.2, 0.15),
    "read p50, 400k in flight, to none": (2, 1.2),
    "Postgres' CPU for a send, 128 connections": (22, 17),
    "CPU for a send, 128 connections, to floor": (1.6, 1.3),
    "idle gateway's memory": (60, 50),
}


def test_a_goal_is_judged_by_the_rows_of_its_contenders() -> None:
    crowd = Cell(connections=128)
    rows = [
        row(Name.GATEWAY, crowd, ratios={"postgres": 1.2}, p99=10, cpu={"server": 0.06, "postgres_backends": 0.021}),
        row(Name.FLOOR, crowd, cpu={"server": 0.04}),
        row(Name.PGMQ_API, crowd, p99=40),
        row(Name.POSTGRES, crowd, faults=("the queue ran empty",)),
        row(Name.GATEWAY, Cell(callers=100), 900),
        row(Name.BASELINE, Cell(), 1000),
        row(Name.GATEWAY, Cell(connections=1), p50=0.75),
        row(Name.POSTGRES, Cell(connections=1), p50=0.5),
    ]
    judged = {goal.what: goal for goal in judge(rows, {Name.FLOOR: 1})}
    assert {what: goal.found for what, goal in judged.items()} == pytest.approx(
        {
            "send, 100 callers, to baseline's one": 0.9,
            "send p99, 128 connections, to pgmq-api": 0.25,
            "send p50, 1 connection, above postgres": 0.25,
            "Postgres' CPU for a send, 128 connections": 21,
            "CPU for a send, 128 connections, to floor": 1.5,
        }
    )
    assert [what for what, goal in judged.items() if not goal.reached] == ["send p50, 1 connection, above postgres"]


def test_background_processes_that_have_exited_do_not_count_for_the_others() -> None:
    """Of 3 s, the first process used 1 s. The second had used 7 s before and is gone."""
    start = Snapshot(server=None, postgres=10, background={1: 1.0, 2: 7.0}, generator=0)
    stop = Snapshot(server=None, postgres=13, background={1: 2.0, 3: 0.5}, generator=1)
    assert cost(start, stop, None) == Cost(server=None, backends=1.5, background=1.5, generator=1, memory=None)


def test_a_selection_is_all_combinations_and_full_fills_in_the_rest() -> None:
    """Without an option: one default value, or all values."""
    selection = Selection(operations=[Operation.POP, Operation.SEND], connections=[1, 8])
    assert len(selection.cells(Preset.DEFAULT)) == 4
    # Three sizes, one or a hundred callers, three depths; but no deep queues of 64 KB.
    assert len(selection.cells(Preset.FULL)) == 4 * 2 * (3 * 3 - 2)


@pytest.mark.parametrize("text", ["0", "50k", "1m", "400k-in-flight"])
def test_a_depth_is_written_as_it_is_read(text: str) -> None:
    """A depth in a table can be used as an option."""
    assert str(Depth.parse(text)) == text


@pytest.mark.parametrize("size", [100, 1024, 64 * 1024])
def test_a_message_is_as_long_as_it_says(size: int) -> None:
    """The message is JSON of that length."""
    message = Cell(payload=size).message
    assert len(message) == size
    assert set(json.loads(message)) == {"data"}
    assert parse_size("64KB") == 64 * 1024
