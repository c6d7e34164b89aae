"""Starts the HTTP servers as child processes, as their operators would, each on a free port of this machine."""

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

START_SECONDS = 60
STOP_SECONDS = 40
POLL_SECONDS = 0.05
FOREIGN = ("PGRST_", "PGMQ_", "PG", "DATABASE_URL")


@dataclass(frozen=True, slots=True)
class Gateway:
    """How to run `pgmq-gateway serve` with one worker: which program, on which database (as its login role), how."""

    program: Path
    uri: str
    secret: str
    settings: Mapping[str, str]


@contextlib.asynccontextmanager
async def gateway(name: Name, how: Gateway, queues: Queues, log: Path) -> AsyncIterator[HttpServer]:
    """The gateway, once it is ready."""
    port, admin = free_port(), free_port()
    command = [str(how.program), "serve", "--no-dashboard", "--port", str(port), "--admin-port", str(admin)]
    env = {"PGRST_DB_URI": how.uri, "PGRST_JWT_SECRET": how.secret, "PGMQ_GATEWAY_KEY_LAYER": "off", **how.settings}
    async with _running(command, env, f"http://127.0.0.1:{admin}/ready", log) as pid:
        yield HttpServer(name, f"http://127.0.0.1:{port}", pid, queues, plan.rpc, how.secret.encode())


@contextlib.asynccontextmanager
async def pgmq_api(uri: str, queues: Queues, log: Path) -> AsyncIterator[HttpServer]:
    """The HTTP API that comes with the package pgmq, as it ships, with one worker; `uri` is the owner's."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "pgmq.api.asgi:app", "--port", str(port), "--no-access-log"]
    command += ["--log-level", "warning"]
    env = {**_where(uri), "PG_INIT_EXTENSION": "false", "PGMQ_API_AUTH_MODE": "none"}
    async with _running(command, env, f"http://127.0.0.1:{port}/v1/ready", log) as pid:
        yield HttpServer(Name.PGMQ_API, f"http://127.0.0.1:{port}", pid, queues, plan.pgmq_api, None)


@contextlib.asynccontextmanager
async def dashboard(program: Path, api: str, log: Path) -> AsyncIterator[str]:
    """The address of a dashboard for the gateway at `api`, once it answers."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [str(program), "dashboard", "--api", api, "--port", url.rpartition(":")[2]]
    async with _running(command, {}, f"{url}/sign-in", log):
        yield url


async def install(program: Path, uri: str) -> None:
    """Run `pgmq-gateway install` of a checkout on a database; `uri` is the owner's."""
    process = await asyncio.create_subprocess_exec(
        program, "install", env={**_clean_environment(), "PGMQ_GATEWAY_ADMIN_URI": uri},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output = (await process.communicate())[0].decode(errors="replace")
    if process.returncode:
        raise BenchError(f"{program} could not install: {' '.join(output.split())[-300:]}")


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


def _where(uri: str) -> dict[str, str]:
    """A URI in pgmq's own variables: what it makes of a URI leaves out sockets."""
    parts = conninfo_to_dict(uri)
    variables = {"PG_HOST": "host", "PG_PORT": "port", "PG_DATABASE": "dbname", "PG_USERNAME": "user",
                 "PG_PASSWORD": "password"}  # fmt: skip
    return {variable: str(parts[name]) for variable, name in variables.items() if parts.get(name)}


@contextlib.asynccontextmanager
async def _running(command: list[str], env: Mapping[str, str], health: str, log: Path) -> AsyncIterator[int]:
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, env={**_clean_environment(), **env}, stdout=output, stderr=output
        )
    try:
        await _healthy(process, health, log)
        yield process.pid
    finally:
        await _end(process)


async def _healthy(process: asyncio.subprocess.Process, url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        while process.returncode is None and time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(url)).is_success:
                    return
            await asyncio.sleep(POLL_SECONDS)
    raise BenchError(f"{log.stem} did not become ready: {_end_of(log) or 'it said nothing'}")


def _end_of(log: Path) -> str:
    return " ".join(log.read_text(errors="replace").split())[-500:]


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
