"""The dashboard beside `serve`: a process of its own, started once the API is ready, and again when it dies."""

import asyncio
import json
import os
import secrets
import socket
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pgmq_gateway.http.sockets import url
from pgmq_gateway.process.child import Child, run_module

# Variables that are the gateway's, secrets among them, and no business of the dashboard.
OURS = ("PG", "AUTHENTICATOR_")
# How long it may take to end before it is killed.
PATIENCE_SECONDS = 5.0


class Dashboard(Child):
    """What keeps the process. `ready` starts the first one.

    bound  where it serves; taken here, so that one that is started anew has the same address
    log    the level and the format of its log
    """

    name = "the dashboard"

    def __init__(self, bound: socket.socket, api: str, admin: str, log: tuple[str, str]) -> None:
        super().__init__()
        self._bound = bound
        self._orders: dict[str, object] = {"api": api, "admin": admin, "socket": bound.fileno(), "log": log}
        self._ready = asyncio.Event()

    @property
    def url(self) -> str:
        """Its address."""
        return url(self._bound)

    def link(self, key: str) -> str:
        """An address that signs in once with this key, without showing it."""
        code = secrets.token_urlsafe(24)
        self._orders |= {"code": code, "key": key}
        return f"{self.url}/sign-in?code={code}"

    def ready(self) -> None:
        """The API serves: now there is something to show, and nothing that has to wait."""
        self._ready.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """One runs from `ready` to the end of the block."""
        keeping = asyncio.create_task(self._keep_when_ready())
        try:
            yield
        finally:
            self.stop()
            if not self._ready.is_set():
                keeping.cancel()
            done, _ = await asyncio.wait([keeping], timeout=PATIENCE_SECONDS)
            if not done:
                self.kill()

    async def _keep_when_ready(self) -> None:
        await self._ready.wait()
        # Who opens the link before the process serves waits instead of being refused.
        self._bound.listen(socket.SOMAXCONN)
        await self.keep()

    async def start(self) -> Process:
        """One that has its orders."""
        process = await asyncio.create_subprocess_exec(
            *run_module("pgmq_gateway.dashboard"),
            env={name: value for name, value in os.environ.items() if not name.startswith(OURS)},
            stdin=PIPE,
            stdout=PIPE,
            pass_fds=(self._bound.fileno(),),
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(self._orders).encode() + b"\n")
        return process

    async def listen(self, process: Process) -> None:
        """It says when the code has been used: the next one must not take it again."""
        assert process.stdout is not None
        while line := await process.stdout.readline():
            if line == b"used\n":
                self._orders |= {"code": "", "key": ""}
