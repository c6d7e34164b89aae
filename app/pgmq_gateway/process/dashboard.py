"""The dashboard of `serve`: a supervised child process, started when the API accepts requests."""

import asyncio
import json
import os
import socket
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

from pgmq_gateway.distribution import MissingExtraError, install_command
from pgmq_gateway.http.sockets import url
from pgmq_gateway.process.child import Child, run_module

# Prefixes of the gateway's variables, which include secrets. The dashboard does not get them.
GATEWAY_PREFIXES = ("PG", "AUTHENTICATOR_")
# How long the dashboard may take to stop before it is killed.
STOP_TIMEOUT_SECONDS = 5.0


def require_installed() -> None:
    """Raises MissingExtraError without the package of the pages, which is not imported here."""
    if find_spec("nicegui") is None:
        raise MissingExtraError(f"the dashboard is not installed: run {install_command('dashboard')}")


class Dashboard(Child):
    """The supervised process. `ready` starts it.

    bound   its socket, bound here so that a restarted process keeps the address
    public  URL of the gateway for its clients; None: that of `api`
    log     level and format of its log
    kept    folder of its sessions and sign-in links; None: none
    key     a publishable key of the gateway, for the code on the page Connect; empty: unknown
    """

    name = "the dashboard"

    def __init__(
        self,
        bound: socket.socket,
        api: str,
        public: str | None,
        admin: str,
        log: tuple[str, str],
        kept: Path | None,
        key: str = "",
    ) -> None:
        super().__init__()
        self._bound = bound
        self._message: dict[str, object] = {
            "api": api,
            "public": public or "",
            "admin": admin,
            "socket": bound.fileno(),
            "log": log,
            "kept": str(kept or ""),
            "publishable": key,
        }
        self._ready = asyncio.Event()

    @property
    def url(self) -> str:
        return url(self._bound)

    def ready(self) -> None:
        """Start the dashboard: the API accepts requests.

        From now on a connection is accepted, and waits until the process serves.
        """
        self._bound.listen(socket.SOMAXCONN)
        self._ready.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The dashboard runs from `ready` to the end of the block."""
        keeping = asyncio.create_task(self._keep_when_ready())
        try:
            yield
        finally:
            self.stop()
            if not self._ready.is_set():
                keeping.cancel()
            done, _ = await asyncio.wait([keeping], timeout=STOP_TIMEOUT_SECONDS)
            if not done:
                self.kill()

    async def _keep_when_ready(self) -> None:
        await self._ready.wait()
        await self.keep()

    async def start(self) -> Process:
        process = await asyncio.create_subprocess_exec(
            *run_module("pgmq_gateway.dashboard"),
            env={name: value for name, value in os.environ.items() if not name.startswith(GATEWAY_PREFIXES)},
            stdin=PIPE,
            stdout=PIPE,
            pass_fds=(self._bound.fileno(),),
            start_new_session=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(self._message).encode() + b"\n")
        return process

    async def listen(self, process: Process) -> None:
        assert process.stdout is not None
        await process.stdout.read()
