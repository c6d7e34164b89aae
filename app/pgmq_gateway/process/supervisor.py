"""Serves the API with several worker processes on one socket, and merges their admin ports."""

import asyncio
import json
import logging
import signal
import socket
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from pgmq_gateway.http.acceptor import Rank
from pgmq_gateway.http.memory import default_limit
from pgmq_gateway.http.sockets import ServeError
from pgmq_gateway.process.admin_port_of_workers import Overview
from pgmq_gateway.process.child import Child, run_module
from pgmq_gateway.process.lifecycle import Lifecycle
from pgmq_gateway.process.passed_connections import connect, socket_pair
from pgmq_gateway.settings.model import Settings

logger = logging.getLogger("pgmq_gateway")

# A worker prints the first line when it serves with new settings, and the second one every second.
APPLIED, ALIVE = b"applied\n", b"alive\n"
# When the database has other settings than the worker.
OUTDATED = b"outdated\n"
# A worker is frozen after so many ticks of the supervisor without a line. Ticks, not seconds: while the machine is
# paused there are none, and afterwards the workers are not late.
TICK_SECONDS = 1.0
MAX_SILENT_TICKS = 15


class Worker(Child):
    """A supervised worker process.

    serving  set once it accepts requests
    """

    name = "a worker"

    def __init__(self, settings: Settings, rank: Rank, api: socket.socket, outdated: Callable[[], None]) -> None:
        super().__init__()
        self._rank = rank
        self._outdated = outdated
        self._settings = settings
        self._api = api.fileno()
        self._answer: asyncio.Future[bytes] | None = None
        self._silent_ticks = 0
        self._admin: socket.socket | None = None
        self.serving = asyncio.Event()

    async def start(self) -> Process:
        """Start a worker on the API's socket. Connections to its admin server are passed to it."""
        if self._admin is not None:
            self._admin.close()
        self._admin, admin = socket_pair()
        with admin:
            process = await asyncio.create_subprocess_exec(
                *run_module("pgmq_gateway.process.worker"),
                stdin=PIPE,
                stdout=PIPE,
                pass_fds=(self._api, admin.fileno()),
                start_new_session=True,
            )
            assert process.stdin is not None
            process.stdin.write(self._message(rank=self._rank, api=self._api, admin=admin.fileno()))
            return process

    def connect_to_admin(self) -> socket.socket:
        """A connection to the worker's admin server. Raises OSError while there is no worker."""
        if self._admin is None:
            raise ConnectionRefusedError
        return connect(self._admin)

    async def listen(self, process: Process) -> None:
        """The worker prints `ready`, `alive`, `outdated`, and after each change of settings `applied` or `kept`.

        It is killed if it stops printing, as when it is frozen.
        """
        assert process.stdout is not None
        watching: asyncio.Task[None] | None = None
        while line := await process.stdout.readline():
            self._silent_ticks = 0
            if watching is None:
                watching = asyncio.create_task(self._watch())
            if line == b"ready\n":
                self.serving.set()
            elif line == OUTDATED:
                self._outdated()
            elif line != ALIVE:
                self._answered(line)
        if watching is not None:
            watching.cancel()
        # The worker has exited. The next one starts with the new settings.
        self._answered(APPLIED)

    async def _watch(self) -> None:
        while self._silent_ticks < MAX_SILENT_TICKS:
            await asyncio.sleep(TICK_SECONDS)
            self._silent_ticks += 1
        logger.error("%s has not responded for %g s; killing it", self.name, MAX_SILENT_TICKS * TICK_SECONDS)
        self.kill()

    async def apply(self, settings: Settings) -> bool:
        """Send the worker other settings and return whether it applied them."""
        self._settings = settings
        if self._process is None or self._process.returncode is not None:
            return True
        self._answer = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(self._message())
        return await self._answer == APPLIED

    def _answered(self, line: bytes) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(line)

    def _message(self, **at_start: int | Rank) -> bytes:
        message = {"settings": _plain(self._settings.model_dump()), **at_start}
        return json.dumps(message).encode() + b"\n"


class Supervisor:
    """The API served by several workers, which divide the connection pool."""

    def __init__(self, settings: Settings, count: int, api: socket.socket, outdated: Callable[[], None]) -> None:
        self._count = count
        self._api = api
        share = self.share(settings, count)
        self._workers = [Worker(share, Rank(number, count), api, outdated) for number in range(count)]
        self._stop = asyncio.Event()
        self.admin = Overview([worker.connect_to_admin for worker in self._workers], self._stop)

    @staticmethod
    def share(settings: Settings, count: int) -> Settings:
        """The settings of each of so many workers: they divide the connections and the memory."""
        return settings.model_copy(
            update={
                "db_pool": max(1, settings.db_pool // count),
                "max_buffered": settings.max_buffered or default_limit() // count,
            }
        )

    async def run(self) -> None:
        self._api.listen(socket.SOMAXCONN)
        kept = [asyncio.create_task(worker.keep()) for worker in self._workers]
        try:
            await asyncio.wait([asyncio.create_task(self._stop.wait()), *kept], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._stop.set()
            # From here on the socket closes with the last worker.
            self._api.close()
            for worker in self._workers:
                worker.stop()
            await asyncio.gather(*kept, return_exceptions=True)

    async def started(self) -> None:
        for worker in self._workers:
            await worker.serving.wait()

    async def apply(self, settings: Settings) -> None:
        share = self.share(settings, self._count)
        applied = await asyncio.gather(*(worker.apply(share) for worker in self._workers))
        if kept := applied.count(False):
            raise ServeError(f"{kept} of {self._count} workers rejected the new settings")

    @property
    def draining(self) -> bool:
        return self._stop.is_set()

    def drain(self) -> None:
        self._stop.set()

    def hurry(self) -> None:
        self._signal(signal.SIGQUIT)

    def reload_functions(self) -> None:
        self._signal(signal.SIGUSR1)

    def _signal(self, number: signal.Signals) -> None:
        for worker in self._workers:
            worker.signal(number)


async def serve_many(count: int, settings: Settings, lifecycle: Lifecycle) -> None:
    """Serve with `count` processes until SIGTERM or SIGINT, then shut them down gracefully."""
    await lifecycle.run(Supervisor(settings, count, lifecycle.addresses.api, lifecycle.outdated))


def _plain(value: Any) -> Any:  # noqa: ANN401 a setting's value
    """A setting's value for JSON, secrets in clear: it is only sent to a worker, through a pipe."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
