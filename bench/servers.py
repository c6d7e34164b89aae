"""Starts the HTTP servers as child processes on free ports, configured as in production."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
from psycopg.conninfo import conninfo_to_dict

from bench import plan
from bench.contenders import HttpServer, Name
from bench.database import Queues
from bench.measurement import BenchError

START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 40
POLL_SECONDS = 0.02
# Of this checkout.
GATEWAY_PROGRAM = Path(sys.executable).with_name("pgmq-gateway")
REMOVED_VARIABLES = ("PGRST_", "PGMQ_", "PG", "DATABASE_URL")


@dataclass(frozen=True, slots=True)
class Gateway:
    """The command `pgmq-gateway serve`: program, database URI of the login role, settings, number of workers."""

    program: Path
    uri: str
    secret: str
    settings: Mapping[str, str]
    workers: int = 1


@contextlib.asynccontextmanager
async def gateway(name: Name, how: Gateway, queues: Queues, log: Path) -> AsyncIterator[HttpServer]:
    """A ready gateway."""
    port, admin = free_port(), free_port()
    command = _serve(how.program, port, admin, how.workers)
    env = {"PGRST_DB_URI": how.uri, "PGRST_JWT_SECRET": how.secret, "PGMQ_GATEWAY_KEY_LAYER": "off", **how.settings}
    async with _running(command, env, f"http://127.0.0.1:{admin}/ready", log) as pid:
        url, admin_url = (f"http://127.0.0.1:{one}" for one in (port, admin))
        yield HttpServer(name, url, pid, queues, plan.rpc, how.secret.encode(), admin=admin_url)


@contextlib.asynccontextmanager
async def embedded(data: Path, log: Path) -> AsyncIterator[int]:
    """The process of a ready gateway of this checkout, with one worker and the embedded database in `data`."""
    port, admin = free_port(), free_port()
    command = [*_serve(GATEWAY_PROGRAM, port, admin, workers=1), "--data-dir", str(data)]
    async with _running(command, {}, f"http://127.0.0.1:{admin}/ready", log) as pid:
        yield pid


def _serve(program: Path, port: int, admin: int, workers: int) -> list[str]:
    ports = ["--port", str(port), "--admin-port", str(admin)]
    return [str(program), "serve", "--no-dashboard", "--workers", str(workers), *ports]


@contextlib.asynccontextmanager
async def pgmq_api(uri: str, queues: Queues, log: Path) -> AsyncIterator[HttpServer]:
    """The HTTP API of the package pgmq with its defaults and one worker; `uri` is that of the owner."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "pgmq.api.asgi:app", "--port", str(port), "--no-access-log"]
    command += ["--log-level", "warning"]
    env = {**_where(uri), "PG_INIT_EXTENSION": "false", "PGMQ_API_AUTH_MODE": "none"}
    async with _running(command, env, f"http://127.0.0.1:{port}/v1/ready", log) as pid:
        yield HttpServer(Name.PGMQ_API, f"http://127.0.0.1:{port}", pid, queues, plan.pgmq_api, None)


@contextlib.asynccontextmanager
async def floor(secret: str, queues: Queues, log: Path) -> AsyncIterator[HttpServer]:
    """An application that answers a constant to the gateway's requests, on the gateway's server."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with _running([sys.executable, "-m", "bench.floor", str(port)], {}, url, log) as pid:
        yield HttpServer(Name.FLOOR, url, pid, queues, plan.rpc, secret.encode(), stores=False)


@contextlib.asynccontextmanager
async def dashboard(api: str, log: Path) -> AsyncIterator[str]:
    """The address of a ready dashboard for the gateway at `api`."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [str(GATEWAY_PROGRAM), "dashboard", "--api", api, "--port", url.rpartition(":")[2]]
    async with _running(command, {}, f"{url}/sign-in", log):
        yield url


async def install(program: Path, uri: str) -> None:
    """Run `pgmq-gateway install` of a checkout; `uri` is that of the owner."""
    process = await asyncio.create_subprocess_exec(
        program, "install", env={**clean_environment(), "PGMQ_GATEWAY_ADMIN_URI": uri},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output = (await process.communicate())[0].decode(errors="replace")
    if process.returncode:
        raise BenchError(f"{program} could not install: {' '.join(output.split())[-300:]}")


def clean_environment() -> dict[str, str]:
    """The environment without variables that configure a database or a gateway."""
    return {name: value for name, value in os.environ.items() if not name.startswith(REMOVED_VARIABLES)}


def _where(uri: str) -> dict[str, str]:
    """A URI as pgmq's variables, because pgmq's own parsing of a URI does not support sockets."""
    parts = conninfo_to_dict(uri)
    variables = {"PG_HOST": "host", "PG_PORT": "port", "PG_DATABASE": "dbname", "PG_USERNAME": "user",
                 "PG_PASSWORD": "password"}  # fmt: skip
    return {variable: str(parts[name]) for variable, name in variables.items() if parts.get(name)}


@contextlib.asynccontextmanager
async def _running(command: list[str], env: Mapping[str, str], health: str, log: Path) -> AsyncIterator[int]:
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, env={**clean_environment(), **env}, stdout=output, stderr=output
        )
    try:
        await healthy(process, health, log)
        yield process.pid
    finally:
        await end(process)


async def healthy(process: asyncio.subprocess.Process, url: str, log: Path) -> None:
    """Wait until a process responds at this URL. Raises BenchError."""
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        while process.returncode is None and time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(url)).is_success:
                    return
            await asyncio.sleep(POLL_SECONDS)
    raise BenchError(f"{log.stem} did not become ready: {_end_of(log) or 'no output'}")


def _end_of(log: Path) -> str:
    return " ".join(log.read_text(errors="replace").split())[-500:]


async def end(process: asyncio.subprocess.Process) -> None:
    """Terminate a process, and kill it after a timeout."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
