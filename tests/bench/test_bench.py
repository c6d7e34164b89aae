"""The bench from its command line to its results, on a real Postgres and real servers."""

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from bench.cell import Cell, Depth, Operation, parse_size
from bench.measurement import Cost
from bench.rounds import cost
from bench.selection import Preset, Selection
from bench.usage import Snapshot
from tests import server
from tests.conftest import missing

REPOSITORY = Path(__file__).parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the bench and wait for its exit."""
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=REPOSITORY,
        env=server.environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_short_run_measures_draws_and_prints(tmp_path: Path) -> None:
    """One run for all of it, because a run takes long: several operations and callers, and messages in flight."""
    if not shutil.which("wrk"):
        missing("wrk", "apt-get install wrk")
    output = tmp_path / "results.json"
    selected = (
        "--operations",
        "send,read,archive",
        "--connections",
        "4",
        "--callers",
        "1,3",
        "--depth",
        "1k-in-flight",
    )
    done = bench(*selected, "--seconds", "1", "--warm-up", "0", "--rounds", "1", "--output", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(output.read_text())
    check_who_is_there(results["rows"])
    for row in results["rows"]:
        check_row(row)
    check_machine(results["machine"])
    check_texts(done.stdout, tmp_path / "results.svg")


def check_who_is_there(rows: list[dict[str, Any]]) -> None:
    """pgmq.api has no callers, so it does not run cells with three."""
    here = {(row["contender"], row["operation"], row["callers"]) for row in rows}
    operations = ("send", "read", "archive")
    everybody = {(name, what, 1) for name in ("gateway", "pgmq-api", "postgres") for what in operations}
    assert here == everybody | {(name, what, 3) for name in ("gateway", "postgres") for what in operations}


def check_row(row: dict[str, Any]) -> None:
    """Rate, latencies, CPU and memory; `postgres` has no HTTP server."""
    assert row["faults"] == []
    assert row["operations_per_second"] > 0
    calls = 2 if row["operation"] == "read" else 1
    assert row["requests_per_second"] == pytest.approx(row["operations_per_second"] * calls, abs=0.1)
    assert 0 < row["latency_ms"]["p50"] <= row["latency_ms"]["p95"] <= row["latency_ms"]["p99"]
    cpu = row["cpu_seconds_per_1000_requests"]
    assert cpu["postgres_backends"] > 0
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


def check_texts(printed: str, picture: Path) -> None:
    """The table and the picture contain every cell."""
    texts = " ".join(element.text or "" for element in ET.parse(picture).iter())  # noqa: S314 made by us
    for cell in ("send, 4 connections, 100 B, depth 1k-in-flight", "read 1 + delete, 4 connections, 100 B, 3 callers"):
        assert cell in printed
        assert cell in texts
    assert "prefers-color-scheme: dark" in texts


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
    assert len(default) == len(set(default)) <= 18
    assert {Cell(), Cell(connections=1), Cell(connections=128), Cell(callers=100), Cell(Operation.READ)} <= set(default)
    assert Cell(Operation.LEASE, 1, depth=Depth(in_flight=400_000)) in default
    assert set(Selection().cells(Preset.QUICK)) <= set(default)


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


def test_background_processes_that_have_exited_do_not_count_for_the_others() -> None:
    """Of 3 s, the first process used 1 s. The second had used 7 s before and is gone."""
    start = Snapshot(server=None, postgres=10, background={1: 1.0, 2: 7.0}, generator=0)
    stop = Snapshot(server=None, postgres=13, background={1: 2.0, 3: 0.5}, generator=1)
    assert cost(start, stop, None) == Cost(server=None, backends=1.5, background=1.5, generator=1, memory=None)
