"""Gateways that can be killed and come back on the same port, each before the database behind a proxy of its own."""

import asyncio
import contextlib
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.measurement import BenchError
from bench.servers import clean_environment, end, free_port, healthy
from tests.proxy import Proxy

PROGRAM = Path(sys.executable).with_name("pgmq-gateway")
# A port may be taken for a moment by workers whose parent has been killed.
ATTEMPTS = 20
PAUSE_SECONDS = 0.5
# Where one begins in a log.
ENTRY = re.compile(r"^pgmq-gateway: ", re.MULTILINE)


class Gateway:
    """`pgmq-gateway serve` with so many workers; `proxy` is its way to the database."""

    def __init__(self, log: Path, proxy: Proxy, secret: str, workers: int, settings: Mapping[str, str]) -> None:
        self.proxy = proxy
        self._log = log
        self._port, self._admin = free_port(), free_port()
        self._workers = workers
        self._environment = {
            "PGRST_DB_URI": f"postgresql://authenticator@127.0.0.1:{proxy.port}/postgres?sslmode=disable",
            "PGRST_JWT_SECRET": secret,
            "PGMQ_GATEWAY_KEY_LAYER": "off",
            "PGMQ_GATEWAY_HISTORY_INTERVAL": "0",
            **settings,
        }
        self._complaints: list[str] = []
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where it takes calls."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def metrics(self) -> str:
        """Where it tells its figures."""
        return f"http://127.0.0.1:{self._admin}/metrics"

    @property
    def runs(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Run it unless it runs, and wait until it lives; the database may be away. Raises BenchError."""
        if self.runs:
            return None
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._start()
            except BenchError:
                if attempt == ATTEMPTS:
                    raise
                await asyncio.sleep(PAUSE_SECONDS)
        return None

    async def stop(self) -> None:
        """End it as an operator would: it finishes what it has begun. Not to end well is a complaint."""
        if self._process is not None and self.runs:
            await end(self._process)
            if self._process.returncode:
                self._complaints.append(f"told to stop, it ended with status {self._process.returncode}")

    async def kill(self) -> None:
        """End it in the midst of everything."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    def complaints(self) -> list[str]:
        """What should never have been: how it ended, and what its log says."""
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        return self._complaints + [entry for entry in ENTRY.split(text) if "Traceback" in entry or "ERROR:" in entry]

    async def _start(self) -> None:
        command = ["serve", "--no-dashboard", "--port", str(self._port), "--admin-port", str(self._admin)]
        if self._workers > 1:
            command += ["--workers", str(self._workers)]
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                PROGRAM, *command, env={**clean_environment(), **self._environment}, stdout=log, stderr=log
            )
        await healthy(self._process, f"http://127.0.0.1:{self._admin}/live", self._log)
