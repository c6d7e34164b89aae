"""Several processes on one port: starts them, replaces those that die, and answers for all on the admin port."""

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import SecretStr

from app.child import Child
from app.overview import Overview
from app.serve import preflight, server_for
from app.settings import Settings


class Worker(Child):
    """A process that serves, and what takes its place. `admin` is where it says how it is."""

    name = "a worker"

    def __init__(self, settings: Settings, api: socket.socket, admin: Path, ready: Callable[[], None]) -> None:
        super().__init__()
        self._settings = settings
        self._api = api
        self.admin = admin
        self._ready = ready

    async def start(self) -> Process:
        """A worker on the API's socket, with a socket of its own for its health."""
        with _listening(self.admin) as admin:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "app.worker",
                stdin=PIPE,
                stdout=PIPE,
                pass_fds=(self._api.fileno(), admin.fileno()),
            )
            assert process.stdin is not None
            process.stdin.write(self._orders(admin).encode() + b"\n")
            return process

    async def listen(self, process: Process) -> None:
        """It says one thing: that it is ready."""
        assert process.stdout is not None
        if await process.stdout.readline():
            self._ready()

    def _orders(self, admin: socket.socket) -> str:
        settings = _plain(self._settings.model_dump())
        return json.dumps({"settings": settings, "api": self._api.fileno(), "admin": admin.fileno()})


async def serve_many(
    settings: Settings,
    count: int,
    api: socket.socket,
    admin: socket.socket,
    ready: Callable[[], None],
    *others: Awaitable[None],
) -> None:
    """Serve with `count` processes until SIGTERM or SIGINT, then let them finish the requests in flight.

    The pool is divided among them. `ready` is called once all of them are; `others` run beside.
    """
    await preflight(settings)
    api.listen(socket.SOMAXCONN)
    share = settings.model_copy(update={"db_pool": max(1, settings.db_pool // count)})
    with TemporaryDirectory(prefix="pgmq-gateway-") as folder:
        left = count

        def one_more() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                ready()

        workers = [Worker(share, api, Path(folder) / str(number), one_more) for number in range(count)]
        await _serve(workers, admin, others)


async def _serve(workers: list[Worker], admin: socket.socket, others: tuple[Awaitable[None], ...]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, _pass_on, workers, signal.SIGUSR1)
    health = server_for(Overview([worker.admin for worker in workers], stop))
    healthy = asyncio.create_task(health.serve([admin]))
    kept = [asyncio.create_task(worker.keep()) for worker in workers]
    beside = [asyncio.ensure_future(other) for other in others]
    try:
        await asyncio.wait([asyncio.create_task(stop.wait()), *kept, *beside], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.set()
        for worker in workers:
            worker.stop()
        await asyncio.gather(*kept, return_exceptions=True)
        health.should_exit = True
        await healthy
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


def _pass_on(workers: list[Worker], number: signal.Signals) -> None:
    for worker in workers:
        worker.signal(number)


def _listening(path: Path) -> socket.socket:
    """A socket in the file system, at a path that may have been used before."""
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(path))
    os.chmod(path, 0o600)
    bound.listen()
    return bound


def _plain(value: Any) -> Any:  # noqa: ANN401 a setting's value
    """Settings as JSON has them, secrets in clear: they go to a process of ours, through a pipe."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
