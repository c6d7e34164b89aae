"""Runs the load generator with a plan and parses its report."""

import asyncio
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.cell import Cell, Operation
from bench.measurement import BenchError, Load
from bench.plan import Plan

FOLDER = Path(__file__).parent
TIMEOUT_SECONDS = 30

# Minimum share of the expected deletes; below it, mostly reads were measured.
MIN_DELETED_SHARE = 0.8


async def run_http(url: str, plan: Plan, cell: Cell, seconds: int) -> Load:
    """Load `url` for some seconds, with wrk if installed, otherwise autocannon. Raises BenchError."""
    return _load(await count(url, plan, cell.connections, seconds), cell)


async def count(url: str, plan: Plan, connections: int, seconds: int) -> dict[str, Any]:
    """The load generator's report. Raises BenchError."""
    program = shutil.which("wrk")
    if program is not None:
        output = await _wrk(program, url, plan, connections, seconds)
    else:
        program = shutil.which("node")
        if program is None or not (FOLDER / "node_modules" / "autocannon").is_dir():
            raise BenchError(
                "no load generator: install the system's package wrk, or Node.js and npm ci --prefix bench"
            )
        output = await _autocannon(program, url, plan, connections, seconds)
    _, mark, line = output.partition("RESULT ")
    if not mark:
        raise BenchError(f"the load generator failed: {' '.join(output.split())[-300:]}")
    result: dict[str, Any] = json.loads(line.splitlines()[0])
    return result


async def _wrk(program: str, url: str, plan: Plan, connections: int, seconds: int) -> str:
    with TemporaryDirectory(prefix="pgmq-gateway-bench-") as folder:
        script = Path(folder) / "plan.lua"
        script.write_text(f"plan = {_lua(asdict(plan))}\ndofile({_lua(str(FOLDER / 'wrk.lua'))})\n")
        # One thread is several times as fast as the fastest server, and shares the message ids.
        arguments = [
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            f"--timeout={TIMEOUT_SECONDS}s",
            "-s",
            str(script),
        ]
        return await _output(None, program, *arguments, url)


async def _autocannon(program: str, url: str, plan: Plan, connections: int, seconds: int) -> str:
    asked: dict[str, object] = {
        "url": url,
        "connections": connections,
        "seconds": seconds,
        "timeout": TIMEOUT_SECONDS,
    }
    asked["plan"] = asdict(plan)
    return await _output(json.dumps(asked).encode(), program, str(FOLDER / "autocannon.mjs"))


async def _output(given: bytes | None, *command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    return (await process.communicate(given))[0].decode(errors="replace")


def _load(result: dict[str, Any], cell: Cell) -> Load:
    operation = cell.operation
    messages = result["deleted"] if operation.deletes else result["requests"] * operation.messages
    return Load(
        seconds=result["microseconds"] / 1e6,
        requests=result["requests"],
        messages=messages,
        p50=result["p50"] / 1e3,
        p95=result["p95"] / 1e3,
        p99=result["p99"] / 1e3,
        faults=_faults(result, cell.operation),
    )


def _faults(result: dict[str, Any], operation: Operation) -> tuple[str, ...]:
    named = {
        "status": "answers with an error status",
        "refused": "calls refused",
        "empty": "reads that found nothing",
        "connect": "connections refused",
        "read": "connections broken while reading",
        "write": "connections broken while writing",
        "timeout": f"requests without an answer in {TIMEOUT_SECONDS} s",
    }
    faults = [f"{result[name]} {text}" for name, text in named.items() if result[name]]
    if not result["requests"]:
        faults.append("no answer at all; more --seconds may help")
    elif result["deleted"] < MIN_DELETED_SHARE * operation.deletes / operation.calls * result["requests"]:
        # All connections start with a read, and delete its messages before the next read.
        faults.append(f"only {result['deleted']} of {result['requests']} calls were deletes: give more --seconds")
    if result["complaint"]:
        faults.append(result["complaint"])
    return tuple(faults)


def _lua(value: object) -> str:
    """A Lua literal of a JSON value."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"[{_lua(key)}] = {_lua(of_key)}" for key, of_key in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "{" + ", ".join(_lua(item) for item in value) + "}"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
