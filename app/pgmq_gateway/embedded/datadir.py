"""The data directory of an embedded database: its files, its secret, and its lock."""

import contextlib
import fcntl
import json
import os
import secrets as randomness
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT_NAME = ".pgmq-gateway"

_OWN_NAMES = frozenset({"lock", "secret.json", "postgres"})
_IGNORED_NAMES = frozenset({"lost+found", ".DS_Store"})
_LOCK_TIMEOUT_SECONDS = 0.25
_LOCK_POLL_SECONDS = 0.01
_MIN_SECRET_CHARACTERS = 32


class DataDirectoryError(Exception):
    """The data directory cannot be used. The message is one line with the reason and what to do."""


class DataDirectoryHeld(DataDirectoryError):
    """Another process, `holder`, uses the data directory."""

    def __init__(self, path: Path, holder: "Holder") -> None:
        super().__init__(f"{path.name} is in use by {holder}: stop it, or choose another --data-dir")
        self.holder = holder


@dataclass(frozen=True)
class Secrets:
    """The secret that signs the gateway's tokens."""

    jwt_secret: str

    def __repr__(self) -> str:
        return "Secrets(jwt_secret=<hidden>)"


@dataclass(frozen=True)
class Holder:
    """The process that uses a data directory. `pid` is 0 until that process has written its note."""

    pid: int
    purpose: str
    url: str | None
    dashboard: str | None = None

    @property
    def serves(self) -> bool:
        """True for a gateway. The database of another command stops when the command ends."""
        return self.purpose == "serve"

    def __str__(self) -> str:
        if not self.pid:
            return "another process"
        where = f", {self.url}" if self.url else ""
        return f'"{self.purpose}" (pid {self.pid}{where})'


class Hold:
    """The lock of a data directory, within the `with` block of `DataDirectory.hold`."""

    def __init__(self, descriptor: int, purpose: str) -> None:
        self._descriptor = descriptor
        self._purpose = purpose
        self._since = int(time.time())
        self._write(None)

    def announce(self, api_url: str, dashboard_url: str | None = None) -> None:
        """Publish this process' addresses to other processes."""
        self._write(api_url, dashboard_url)

    def _write(self, url: str | None, dashboard: str | None = None) -> None:
        note = {"pid": os.getpid(), "purpose": self._purpose, "since": self._since, "url": url, "dashboard": dashboard}
        line = json.dumps(note).encode() + b"\n"
        # Write, then truncate: a reader takes the first line, which is complete at any moment.
        os.pwrite(self._descriptor, line, 0)
        os.ftruncate(self._descriptor, len(line))


class DataDirectory:
    """A folder with the embedded database, its log, its secret and its lock."""

    def __init__(self, path: Path | str = DEFAULT_NAME) -> None:
        self.path = Path(os.path.abspath(Path(path).expanduser()))

    @property
    def postgres(self) -> Path:
        """PGDATA."""
        return self.path / "postgres"

    @property
    def log(self) -> Path:
        """Standard error of Postgres and initdb."""
        return self.path / "postgres.log"

    @property
    def lock(self) -> Path:
        """Locked with flock by the process that uses the folder."""
        return self.path / "lock"

    @property
    def secret_file(self) -> Path:
        """The signing secret, as JSON."""
        return self.path / "secret.json"

    @property
    def dashboard(self) -> Path:
        """Sessions and sign-in links of the dashboard, which creates it."""
        return self.path / "dashboard"

    def prepare(self) -> None:
        """Create the folder (mode 0700, ignored by git), or check an existing one. Raises DataDirectoryError."""
        with self._readable_errors():
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._refuse_foreign()
            if os.geteuid() in (0, self.path.stat().st_uid):
                self.path.chmod(0o700)
            os.close(self._open_lock())
            with contextlib.suppress(FileExistsError), open(self.path / ".gitignore", "x", encoding="utf-8") as ignore:
                ignore.write("*\n")

    def require_database(self, options: str = "its --data-dir") -> None:
        """Raise DataDirectoryError unless there is a database, or a process that is creating it.

        options  those that name a database, for the message
        """
        with self._readable_errors():
            found = self.postgres.is_dir() and os.listdir(self.postgres)
        if not found and self.holder() is None:
            raise DataDirectoryError(
                f"there is no database in {self.path}: run this in the folder of pgmq-gateway serve, or give {options}"
            )

    def secrets(self) -> Secrets:
        """The secret of this folder, created at the first call; concurrent first calls return the same one."""
        self.prepare()
        with self._readable_errors(), self._one_at_a_time():
            if not self.secret_file.exists():
                self._create_secret()
        found = self.read_secrets()
        if found is None:
            raise DataDirectoryError(f"{self.secret_file} was deleted while it was read: run the command again")
        return found

    def read_secrets(self) -> Secrets | None:
        """The secret of this folder; None before it is created. Raises DataDirectoryError for an invalid file."""
        with self._readable_errors():
            try:
                descriptor = os.open(self.secret_file, os.O_RDONLY | os.O_NOFOLLOW)
            except FileNotFoundError:
                return None
            with open(descriptor, encoding="utf-8", errors="replace") as file:
                self._check_owner(descriptor)
                text = file.read()
        return self._parse_secret(text)

    @contextlib.contextmanager
    def hold(self, purpose: str) -> Iterator[Hold]:
        """Lock this folder. Raises DataDirectoryHeld within half a second."""
        self.prepare()
        with self._readable_errors():
            descriptor = self._take_lock()
        try:
            yield Hold(descriptor, purpose)
        finally:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
            os.close(descriptor)

    def holder(self) -> Holder | None:
        """The process that uses this folder, which can be this one; None if there is none."""
        deadline = time.monotonic() + _LOCK_TIMEOUT_SECONDS
        while True:
            with self._readable_errors():
                note = self._read_note()
            if note is None:
                return None
            holder = _parse_note(note)
            if _exists(holder.pid):
                return holder
            # Locked, but the new holder has not yet replaced the note of the last one.
            if time.monotonic() > deadline:
                return Holder(0, "", None)
            time.sleep(_LOCK_POLL_SECONDS)

    def _read_note(self) -> bytes | None:
        try:
            descriptor = os.open(self.lock, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return os.pread(descriptor, 4096, 0)
        finally:
            os.close(descriptor)
        return None

    def _take_lock(self) -> int:
        deadline = time.monotonic() + _LOCK_TIMEOUT_SECONDS
        while True:
            descriptor = self._open_lock()
            if self._try_lock(descriptor):
                return descriptor
            os.close(descriptor)
            # `holder()` of another process takes the lock for a moment, so the attempt is repeated.
            if time.monotonic() > deadline and (holder := self.holder()):
                raise DataDirectoryHeld(self.path, holder)
            time.sleep(_LOCK_POLL_SECONDS)

    def _try_lock(self, descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # If the lock file was deleted and created again, two processes could each lock their own.
            return os.path.samestat(os.fstat(descriptor), self.lock.stat())
        except (BlockingIOError, FileNotFoundError):
            return False

    def _open_lock(self) -> int:
        return os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)

    @contextlib.contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _create_secret(self) -> None:
        fresh = self.path / "secret.json.new"
        fresh.unlink(missing_ok=True)
        content = {"jwt_secret": randomness.token_urlsafe(48)}
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(descriptor)
        fresh.rename(self.secret_file)

    def _parse_secret(self, text: str) -> Secrets:
        try:
            content: Any = json.loads(text)
            key = content["jwt_secret"]
        except (ValueError, KeyError, TypeError):
            key = None
        if not isinstance(key, str) or len(key) < _MIN_SECRET_CHARACTERS:
            raise DataDirectoryError(
                f"{self.secret_file} is invalid: restore a backup of it, or delete it to get a new secret"
                " (tokens signed with the old one become invalid)"
            )
        return Secrets(key)

    def _check_owner(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        # Under root, the folder belongs to the user of Postgres, who could plant a known secret.
        if status.st_uid != os.geteuid():
            raise DataDirectoryError(
                f"{self.secret_file} belongs to user id {status.st_uid}, but this process runs as {os.geteuid()}:"
                " run it as the owner, or chown the file"
            )
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            os.fchmod(descriptor, 0o600)

    def _refuse_foreign(self) -> None:
        names = set(os.listdir(self.path)) - _IGNORED_NAMES
        if names and not names & _OWN_NAMES:
            raise DataDirectoryError(
                f"{self.path} has other files ({min(names)}) and is not a data directory of pgmq-gateway:"
                " choose an empty or a new folder as --data-dir"
            )

    @contextlib.contextmanager
    def _readable_errors(self) -> Iterator[None]:
        try:
            yield
        except (FileExistsError, NotADirectoryError) as error:
            where = error.filename or self.path
            raise DataDirectoryError(f"{where} is a file, not a folder: choose another --data-dir") from error
        except PermissionError as error:
            where = error.filename or self.path
            raise DataDirectoryError(
                f"user id {os.geteuid()} has no permission for {where}: run as its owner, or choose another --data-dir"
            ) from error
        except OSError as error:
            where = error.filename or self.path
            raise DataDirectoryError(f"{where} cannot be used ({error.strerror}): choose another --data-dir") from error


def _parse_note(note: bytes) -> Holder:
    try:
        content: Any = json.loads(note.split(b"\n", 1)[0])
        return Holder(int(content["pid"]), str(content["purpose"]), content["url"], content.get("dashboard"))
    except (ValueError, KeyError, TypeError):
        return Holder(0, "", None)


def _exists(pid: int) -> bool:
    """True if there is such a process. Other numbers than those of processes stand for groups of them (kill(2))."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True
