"""Runs pgbench on the same functions, in the caller's role, without HTTP: the upper bound for a server.

A call is one transaction in one round trip. Where nothing has to be read from an answer, that is two prepared
statements in a pipeline (become the caller; call); where ids are needed for deletes, two statements in one message.
"""

import asyncio
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.cell import Cell, Operation
from bench.measurement import BenchError, Load
from bench.plan import LEASE_SECONDS
from pgmq_gateway.embedded.cluster import binary

ROLE = "authenticated"

# The first transaction of each client. A pipeline prepares its statements before it runs the first, so the session is
# in the caller's role until that has happened once.
_BEGIN_PREPARED = """\
\\if :ready = 0
set role {role};
select message, messages from bench.payload \\gset
\\set ready 1
\\elif :ready = 1
reset role;
\\set ready 2
\\endif
"""


async def run_pgbench(uri: str, cell: Cell, queue: str, clients: int, seconds: int, first_id: int | None) -> Load:
    """Call the cell's functions with `clients` clients for some seconds. `uri` is that of the login role.

    first_id  of the messages to name, which the clients take in turn, where the operation names messages
    """
    protocol = "simple" if cell.operation.deletes else "prepared"
    script = _script(cell, queue)
    if first_id is not None:
        script = f"\\set id {first_id} + :turn * {clients} + :client_id\n{script}\\set turn :turn + 1\n"
    return await run_script(uri, script, cell, clients, seconds, protocol)


async def run_script(uri: str, script: str, cell: Cell, clients: int, seconds: int, protocol: str = "prepared") -> Load:
    """Run a script with `clients` clients for some seconds, each run an operation of the cell."""
    with TemporaryDirectory(prefix="pgmq-gateway-bench-") as name:
        folder = Path(name)
        (folder / "script.sql").write_text(script)
        process = await asyncio.create_subprocess_exec(
            binary("pgbench"), "--no-vacuum", f"--protocol={protocol}", "--define=ready=0", "--define=turn=0",
            "--file=script.sql", f"--client={clients}", "--jobs=1", f"--time={seconds}", "--log", "--log-prefix=times",
            uri,
            cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output = (await process.communicate())[0].decode(errors="replace")
        return _load(output, process.returncode or 0, sorted(_times(folder)), cell)


def _load(output: str, status: int, times: Sequence[int], cell: Cell) -> Load:
    rate = re.search(r"tps = ([0-9.]+)", output)
    failed = re.search(r"number of failed transactions: (\d+)", output)
    if rate is None or not times:
        raise BenchError(f"pgbench failed: {' '.join(output.split())[-400:]}")
    faults = []
    if status or (failed and int(failed[1])):
        faults.append("pgbench: " + " ".join(line for line in output.splitlines() if "rror" in line)[:300])
    count = len(times)
    return Load(
        seconds=count / float(rate[1]),
        requests=count * cell.operation.calls,
        messages=count * cell.operation.messages,
        p50=_percentile(times, 50),
        p95=_percentile(times, 95),
        p99=_percentile(times, 99),
        whole=cell.operation.calls > 1,
        faults=tuple(faults),
    )


def _times(folder: Path) -> Iterator[int]:
    """Microseconds of each transaction."""
    for log in folder.glob("times*"):
        with log.open() as lines:
            for line in lines:
                yield int(line.split(" ", 3)[2])


def _percentile(ordered: Sequence[int], percent: float) -> float:
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] / 1e3


def _script(cell: Cell, queue: str) -> str:
    lines = [f"\\set caller random(1, {cell.callers})"]
    if cell.operation.deletes:
        return "\n".join([*lines, *_chain(cell, queue)]) + "\n"
    calls = {
        Operation.SEND: f"select * from pgmq_public.send('{queue}', :message)",
        Operation.SEND_BATCH: f"select * from pgmq_public.send_batch('{queue}', :messages)",
        Operation.POP: f"select * from pgmq_public.pop('{queue}')",
        Operation.DELETE: f"select pgmq_public.delete('{queue}', :id)",
        Operation.ARCHIVE: f"select pgmq_public.archive('{queue}', :id)",
        Operation.LEASE: f"select * from pgmq_public.read('{queue}', {LEASE_SECONDS}, 1)",
    }
    claims = f"""'{{"role":"{ROLE}","sub":"user-' || :caller || '"}}'"""
    return "\n".join(lines) + "\n" + in_role(claims, calls[cell.operation])


def in_role(claims: str, statement: str) -> str:
    """The script of one statement in the caller's role. `claims` is an SQL expression."""
    lines = ["\\startpipeline", f"{_become(claims)};", f"{statement};", "\\endpipeline"]
    return _BEGIN_PREPARED.format(role=ROLE) + "\n".join(lines) + "\n"


def _chain(cell: Cell, queue: str) -> Iterator[str]:
    """Read messages, and delete each in a transaction of its own."""
    become = _become(f"""'{{"role":"{ROLE}","sub":"user-:caller"}}'""")
    numbers = range(1, cell.operation.messages + 1)
    columns = ", ".join(f"(array_agg(msg_id))[{number}] as id{number}" for number in numbers)
    read = f"pgmq_public.read('{queue}', {LEASE_SECONDS}, {cell.operation.messages})"
    yield f"{become}\\; select {columns} from {read} \\gset"
    for number in numbers:
        yield f"{become}\\; select pgmq_public.delete('{queue}', :id{number});"


def _become(claims: str) -> str:
    return f"select set_config('role', '{ROLE}', true), set_config('request.jwt.claims', {claims}, true)"
