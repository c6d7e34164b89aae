"""Runs wrk with a plan and reads what it counted."""

import asyncio
import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.cell import Cell, Operation
from bench.measurement import BenchError, Load
from bench.plan import Plan

SCRIPT = Path(__file__).with_name("wrk.lua")
TIMEOUT_SECONDS = 30

# Of the deletes that belong to so many calls; with less, what was measured is mostly reading.
LEAST_DELETED = 0.8


def wrk() -> str:
    """The path of wrk. Raises BenchError."""
    found = shutil.which("wrk")
    if found is None:
        raise BenchError("wrk is missing: apt-get install wrk, or see the system's package manager")
    return found


async def run_wrk(url: str, plan: Plan, cell: Cell, seconds: int) -> Load:
    """Load `url` with a plan for some seconds."""
    program = wrk()
    with TemporaryDirectory(prefix="pgmq-gateway-bench-") as folder:
        script = Path(folder) / "plan.lua"
        script.write_text(f"plan = {_lua_plan(plan)}\ndofile({_lua(str(SCRIPT))})\n")
        # One thread does several times what the fastest server on the same machine does, and shares its ids.
        arguments = [
            "-t1",
            f"-c{cell.connections}",
            f"-d{seconds}s",
            f"--timeout={TIMEOUT_SECONDS}s",
            "-s",
            str(script),
        ]
        process = await asyncio.create_subprocess_exec(
            program, *arguments, url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output = (await process.communicate())[0].decode(errors="replace")
    return _load(output, cell)


def _load(output: str, cell: Cell) -> Load:
    _, mark, line = output.partition("RESULT ")
    if not mark:
        raise BenchError(f"wrk failed: {' '.join(output.split())[-300:]}")
    result: dict[str, Any] = json.loads(line.splitlines()[0])
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
    elif result["deleted"] < LEAST_DELETED * operation.deletes / operation.calls * result["requests"]:
        # All connections begin with a read, and what was read has to be deleted before the next ones.
        faults.append(f"only {result['deleted']} of {result['requests']} calls were deletes: give more --seconds")
    if result["complaint"]:
        faults.append(result["complaint"])
    return tuple(faults)


def _lua_plan(plan: Plan) -> str:
    fields = {"method": plan.first.method, "path": plan.first.path, "body": plan.first.body}
    parts = [f"{name} = {_lua(text)}" for name, text in fields.items()]
    parts.append("headers = {" + ", ".join(f"[{_lua(k)}] = {_lua(v)}" for k, v in plan.headers.items()) + "}")
    parts.append("tokens = {" + ", ".join(_lua(token) for token in plan.tokens) + "}")
    if plan.delete:
        delete = plan.delete
        parts.append(
            f"delete = {{method = {_lua(delete.method)}, path = {_lua(delete.path)}, body = {_lua(delete.body)}}}"
        )
    return "{" + ", ".join(parts) + "}"


def _lua(text: str | None) -> str:
    """A Lua literal."""
    if text is None:
        return "nil"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
