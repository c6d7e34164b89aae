"""Gateways that can be killed and restarted on the same port."""

import asyncio
import contextlib
import re
from collections.abc import Mapping
from pathlib import Path

from bench.measurement import BenchError
from bench.servers import GATEWAY_PROGRAM, clean_environment, end, free_port, healthy
from tests.proxy import Proxy

# Workers of a killed supervisor hold the port for a moment.
START_ATTEMPTS = 20
RETRY_SECONDS = 0.5
# The start of a log entry.
ENTRY = re.compile(r"^pgmq-gateway: ", re.MULTILINE)


class Gateway:
    """`pgmq-gateway serve` with this number of workers; `uri` is that of the login role."""

    def __init__(self, log: Path, uri: str, secret: str, workers: int, settings: Mapping[str, str]) -> None:
        self._log = log
        self._port, self._admin = free_port(), free_port()
        self._workers = workers
        self._environment = {
            "PGRST_DB_URI": uri,
            "PGRST_JWT_SECRET": secret,
            "PGMQ_GATEWAY_KEY_LAYER": "off",
            "PGMQ_GATEWAY_HISTORY_INTERVAL": "0",
            **settings,
        }
        self._findings: list[str] = []
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """The URL of the API."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def metrics(self) -> str:
        """The URL of the admin port."""
        return f"http://127.0.0.1:{self._admin}/metrics"

    @property
    def ready(self) -> str:
        """The URL of the readiness check."""
        return f"http://127.0.0.1:{self._admin}/ready"

    @property
    def runs(self) -> bool:
        """True if the process runs."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start the gateway unless it runs, and wait until it is live, even without a database. Raises BenchError."""
        if self.runs:
            return None
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                return await self._start()
            except BenchError:
                if attempt == START_ATTEMPTS:
                    raise
                await asyncio.sleep(RETRY_SECONDS)
        return None

    async def stop(self) -> None:
        """Shut down gracefully. An exit status other than 0 is recorded."""
        if self._process is not None and self.runs:
            await end(self._process)
            if self._process.returncode:
                self._findings.append(f"graceful shutdown ended with status {self._process.returncode}")

    async def kill(self) -> None:
        """Kill the gateway and its workers."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    def findings(self) -> list[str]:
        """Failed shutdowns, and tracebacks and errors in the log."""
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        return self._findings + [entry for entry in ENTRY.split(text) if "Traceback" in entry or "ERROR:" in entry]

    async def _start(self) -> None:
        command = ["serve", "--no-dashboard", "--port", str(self._port), "--admin-port", str(self._admin)]
        if self._workers > 1:
            command += ["--workers", str(self._workers)]
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                GATEWAY_PROGRAM, *command, env={**clean_environment(), **self._environment}, stdout=log, stderr=log
            )
        await healthy(self._process, f"http://127.0.0.1:{self._admin}/live", self._log)


class ProxiedGateway(Gateway):
    """A gateway that is connected to the database through a proxy of its own."""

    def __init__(self, log: Path, proxy: Proxy, secret: str, workers: int, settings: Mapping[str, str]) -> None:
        uri = f"postgresql://authenticator@127.0.0.1:{proxy.port}/postgres?sslmode=disable"
        super().__init__(log, uri, secret, workers, settings)
        self.proxy = proxy
