"""The Postgres server of one data directory, run as a child of this process."""

import asyncio
import contextlib
import json
import logging
import os
import re
import secrets
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg

from pgmq_gateway.backoff import Backoff
from pgmq_gateway.embedded.account import Account, account_for, let_pass, let_read
from pgmq_gateway.embedded.cluster import (
    FAST_SHUTDOWN_SECONDS,
    IMMEDIATE_SHUTDOWN_SECONDS,
    POLL_SECONDS,
    EmbeddedPostgresError,
    binary,
    check_version,
    flush,
    installation,
    is_absent,
    lock_files,
    refuse_foreign_folder,
    socket_folder,
    socket_uri,
)
from pgmq_gateway.embedded.datadir import DataDirectory, DataDirectoryError

MAX_LOG_BYTES = 10 * 1024 * 1024

_FIRST_RESTART_SECONDS, _LONGEST_RESTART_SECONDS = 0.1, 5.0
_SHARED_MEMORY_RETRY_SECONDS = 0.1
_HEALTHY_SECONDS = 10.0
_FRESH_PREFIX = "postgres.initdb-"
_SEVERE = re.compile(r"(?:FATAL|PANIC|error): .*")
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C", "LC_ALL": "C"}

# Executes the program in argv[2]. uvloop does not support Popen's user=, and a preexec_fn can deadlock in a process
# with threads. prctl comes after setuid, which clears the parent-death signal.
_LAUNCHER = """
import json, os, signal, sys
plan = json.loads(sys.argv[1])
try:
    import ctypes
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
except (ImportError, OSError, AttributeError):
    prctl = None
if plan["uid"] is not None:
    os.setgroups([])
    os.setgid(plan["gid"])
    os.setuid(plan["uid"])
if prctl:
    prctl(1, int(signal.SIGINT), 0, 0, 0)
os.umask(0o077)
if os.getppid() == plan["parent"]:
    os.execve(sys.argv[2], sys.argv[2:], plan["environment"])
"""

logger = logging.getLogger("pgmq_gateway")


class EmbeddedPostgres:
    """The Postgres of one data directory. The caller holds its lock (`DataDirectory.hold`).

    progress  called with the name of each slow step: creating, starting, recovering
    """

    def __init__(self, directory: DataDirectory, progress: Callable[[str], None] | None = None) -> None:
        self.directory = directory
        self._progress = progress or (lambda _: None)
        self._child: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._backoff = Backoff(_FIRST_RESTART_SECONDS, _LONGEST_RESTART_SECONDS)
        self._started_at = 0.0
        self._log_offset = 0

    @property
    def pid(self) -> int | None:
        """The process ID of the running server, or None."""
        return self._child.pid if self._child and self._child.returncode is None else None

    def uri(self, user: str = "postgres", database: str = "postgres") -> str:
        """The URI of a database of this server, for asyncpg and libpq."""
        return socket_uri(self.directory, user, database)

    async def start(self) -> None:
        """Start the server and wait until it accepts connections, for any duration of crash recovery.

        Creates the cluster on the first start. Raises EmbeddedPostgresError or DataDirectoryError.
        """
        if self.pid is None:
            self._stopping = False
            await self._launch(may_create=True)

    async def stop(self) -> None:
        """Stop the server: fast shutdown, after 30 s immediate shutdown. No-op if it does not run."""
        self._stopping = True
        if self._child:
            await _stop_process(self._child)

    async def watch(self) -> None:
        """Restart the server whenever it exits, until cancelled or `stop` is called."""
        while self._child and not self._stopping:
            status = await self._child.wait()
            if self._stopping:
                return
            if time.monotonic() - self._started_at > _HEALTHY_SECONDS:
                self._backoff.reset()
            logger.warning(
                "Postgres exited with status %s, and restarting it; for the reason see %s", status, self.directory.log
            )
            await self._restart()

    async def _restart(self) -> None:
        delay = self._backoff.delay()
        while not self._stopping:
            await asyncio.sleep(delay)
            try:
                await self._launch(may_create=False)
            except (EmbeddedPostgresError, DataDirectoryError, OSError) as error:
                delay = self._backoff.delay()
                logger.warning("cannot restart Postgres (%s); next attempt in %.1f s", error, delay)
            else:
                return

    async def _launch(self, *, may_create: bool) -> None:
        self.directory.prepare()
        account = _prepare_folders(self.directory)
        if stale := lock_files(self.directory):
            # Imported here because it is rare that a server was killed.
            from pgmq_gateway.embedded.leftovers import stop_leftovers

            await stop_leftovers(self.directory.postgres)
            # Postgres refuses to start while any process of its user has the pid of a lock file, even a zombie or,
            # after a restart of a container, an unrelated process.
            for file in stale:
                file.unlink(missing_ok=True)
        if not is_absent(self.directory.postgres):
            await check_version(self.directory.postgres)
        elif may_create:
            self._progress("Creating the database")
            await self._create(account)
        else:
            raise EmbeddedPostgresError(
                f"{self.directory.postgres} was deleted while the gateway ran: restore it, or restart the gateway"
            )
        self._progress("Starting Postgres")
        await self._serve(account, time.monotonic() + FAST_SHUTDOWN_SECONDS)

    async def _serve(self, account: Account | None, deadline: float) -> None:
        if self._stopping:
            raise EmbeddedPostgresError("Postgres was stopped while it started: start it again")
        arguments = [str(binary("postgres")), "-D", str(self.directory.postgres), *_settings(self.directory)]
        self._child = await self._spawn(arguments, account)
        self._started_at = time.monotonic()
        try:
            await self._until_ready(self._child)
        except EmbeddedPostgresError as error:
            await _stop_process(self._child)
            if "shared memory block" not in str(error) or time.monotonic() > deadline:
                raise
            # Backends of a killed postmaster need a moment to exit.
            await asyncio.sleep(_SHARED_MEMORY_RETRY_SECONDS)
            await self._serve(account, deadline)
        except BaseException:
            await _stop_process(self._child)
            raise

    async def _until_ready(self, child: asyncio.subprocess.Process) -> None:
        reported = False
        while child.returncode is None:
            try:
                connection = await asyncpg.connect(self.uri(), timeout=10)
            except asyncpg.CannotConnectNowError:
                if not reported and time.monotonic() - self._started_at > 1:
                    reported = True
                    self._progress("Recovering after a crash")
            except (asyncpg.PostgresConnectionError, OSError, TimeoutError):
                pass
            except asyncpg.TooManyConnectionsError:
                return
            except asyncpg.PostgresError as error:
                raise self._failed(f"Postgres rejects its superuser ({error})") from error
            else:
                await connection.close()
                return
            await asyncio.sleep(POLL_SECONDS)
        raise self._failed("Postgres did not start")

    async def _create(self, account: Account | None) -> None:
        for leftover in self.directory.path.glob(_FRESH_PREFIX + "*"):
            shutil.rmtree(leftover, ignore_errors=True)
        fresh = self.directory.path / f"{_FRESH_PREFIX}{secrets.token_hex(4)}"
        child = await self._spawn([str(binary("initdb")), "-D", str(fresh), *_cluster_options()], account)
        try:
            if await child.wait() != 0:
                raise self._failed("The database could not be created")
            fresh.rename(self.directory.postgres)
            flush(self.directory.path)
        except BaseException:
            await _stop_process(child)
            shutil.rmtree(fresh, ignore_errors=True)
            raise

    async def _spawn(self, command: list[str], account: Account | None) -> asyncio.subprocess.Process:
        plan = {"parent": os.getpid(), "uid": None, "gid": None, "environment": _ENVIRONMENT}
        if account:
            plan |= {"uid": account.uid, "gid": account.gid}
        log, self._log_offset = _open_log(self.directory)
        try:
            # In a session of its own: Ctrl-C must not stop Postgres before the graceful shutdown of the gateway.
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", "-c", _LAUNCHER, json.dumps(plan), *command),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(log)

    def _failed(self, what: str) -> EmbeddedPostgresError:
        log = self.directory.log
        return EmbeddedPostgresError(f"{what}: {_last_error(log, self._log_offset)}; for details see {log}")


@contextlib.asynccontextmanager
async def running(
    directory: DataDirectory, purpose: str, progress: Callable[[str], None] | None = None
) -> AsyncIterator[EmbeddedPostgres]:
    """Postgres within a `with` block. Raises DataDirectoryHeld if another process uses the directory."""
    with directory.hold(purpose):
        server = EmbeddedPostgres(directory, progress)
        await server.start()
        try:
            yield server
        finally:
            await server.stop()


def _settings(directory: DataDirectory) -> Iterator[str]:
    settings = {
        "listen_addresses": "",
        "port": "5432",
        "unix_socket_directories": str(socket_folder(directory)),
        "unix_socket_permissions": "0700",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "max_connections": "100",
        # Queues produce thousands of dead rows each second; the default is a minute.
        "autovacuum_naptime": "10s",
        "log_destination": "stderr",
        "logging_collector": "off",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
    }
    for name, value in settings.items():
        yield from ("-c", f"{name}={value}")


def _cluster_options() -> list[str]:
    return [
        "--username=postgres", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
        "--auth-local=trust", "--auth-host=reject", "--no-instructions",
    ]  # fmt: skip


def _prepare_folders(directory: DataDirectory) -> Account | None:
    account = account_for(directory) if os.geteuid() == 0 else None
    if account:
        os.chown(directory.path, account.uid, account.gid)
        let_pass(account, directory.path)
        let_pass(account, installation())
        let_read(account)
    folder = socket_folder(directory)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if account and folder.lstat().st_uid == 0:
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    refuse_foreign_folder(folder, directory)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    os.fchmod(descriptor, 0o700)
    os.close(descriptor)
    return account


def _open_log(directory: DataDirectory) -> tuple[int, int]:
    log = directory.log
    if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
        log.rename(log.with_name(log.name + ".1"))
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    return descriptor, os.fstat(descriptor).st_size


def _last_error(log: Path, offset: int) -> str:
    descriptor = os.open(log, os.O_RDONLY | os.O_NOFOLLOW)
    with open(descriptor, "rb") as file:
        file.seek(offset)
        lines = file.read(MAX_LOG_BYTES).decode(errors="replace").splitlines()
    severe = [found[0] for line in lines if (found := _SEVERE.search(line))]
    printed = [line.strip() for line in lines if line.strip()]
    return (severe or printed or ["no output"])[-1]


async def _stop_process(child: asyncio.subprocess.Process) -> None:
    for number, timeout in ((signal.SIGINT, FAST_SHUTDOWN_SECONDS), (signal.SIGQUIT, IMMEDIATE_SHUTDOWN_SECONDS)):
        if child.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), timeout)
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()
