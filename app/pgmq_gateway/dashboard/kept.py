"""Keys that outlive the process, in a folder of the data directory: sign-in links and sessions.

Each key is encrypted with a random secret that is not stored here: the code of a link, or the cookie of a session.
The file names and entries are hashes of the secrets. So neither the folder nor a secret alone gives a key away, and a
file that another process has written can only contain a key that it had.
"""

import base64
import contextlib
import hmac
import json
import logging
import os
import secrets
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

LINK_LIFETIME_SECONDS = 3600
LINK_PREFIX = "link-"
# The URL with the code fits a line of 80 columns.
CODE_BYTES = 18
MAX_FILE_BYTES = 8 * 1024 * 1024

Clock = Callable[[], float]
# Of a session: the sealed key, when it ends at the latest, and the time of the latest activity.
Row = tuple[str, float, float]

logger = logging.getLogger("pgmq_gateway")


def digest(secret: str) -> str:
    """A name for a secret, from which the secret cannot be found."""
    return _derived(secret, b"name").hex()


def seal(secret: str, key: str, now: float) -> str:
    return _cipher(secret).encrypt_at_time(key.encode(), int(now)).decode()


def unseal(secret: str, sealed: str, now: float, lifetime: int | None = None) -> str | None:
    """The key; None if it was sealed with another secret, or longer ago than `lifetime` seconds."""
    try:
        if lifetime is None:
            return _cipher(secret).decrypt(sealed).decode()
        return _cipher(secret).decrypt_at_time(sealed, lifetime, int(now)).decode()
    except InvalidToken:
        return None


class Links:
    """Links that sign in once, within an hour: each is a file, which is deleted when the link is used."""

    def __init__(self, folder: Path, clock: Clock = time.time) -> None:
        self._folder = folder
        self._clock = clock

    def make(self, key: str) -> str:
        """The code of a new link. Raises OSError."""
        _prepare(self._folder)
        self._remove_old()
        code = secrets.token_urlsafe(CODE_BYTES)
        _write(self._path(code), seal(code, key, self._clock()))
        return code

    def redeem(self, code: str) -> str | None:
        """The key; None when the code is wrong, used or expired."""
        path = self._path(code)
        try:
            sealed = _read(path)
            # Only one of several attempts deletes it.
            path.unlink()
        except (OSError, ValueError):
            return None
        return unseal(code, sealed, self._clock(), LINK_LIFETIME_SECONDS)

    def _remove_old(self) -> None:
        for path in self._folder.glob(f"{LINK_PREFIX}*"):
            with contextlib.suppress(OSError):
                if path.lstat().st_mtime < self._clock() - LINK_LIFETIME_SECONDS:
                    path.unlink()

    def _path(self, code: str) -> Path:
        return self._folder / f"{LINK_PREFIX}{digest(code)}"


class SessionFile:
    """The open sessions, by the digest of their cookie."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "sessions.json"
        self._saved: Mapping[str, Row] | None = None

    def load(self) -> Mapping[str, Row]:
        try:
            rows = json.loads(_read(self._path))
            return {str(name): (str(sealed), float(end), float(seen)) for name, (sealed, end, seen) in rows.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def save(self, rows: Mapping[str, Row]) -> None:
        """Write the sessions. If that fails, none is kept: an ended one must not come back."""
        if rows == self._saved:
            return
        self._saved = dict(rows)
        try:
            _prepare(self._path.parent)
            _write(self._path, json.dumps(rows))
        except OSError as error:
            logger.warning("sessions are not kept for a restart: %s: %s", self._path, error.strerror)
            with contextlib.suppress(OSError):
                self._path.unlink()


def _derived(secret: str, purpose: bytes) -> bytes:
    return hmac.digest(secret.encode(), purpose, "sha256")


def _cipher(secret: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(_derived(secret, b"key")))


def _prepare(folder: Path) -> None:
    """Create the folder. Raises OSError if it is not a folder of this user: under root, Postgres owns the one above."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise NotADirectoryError(0, "not a folder of this user", str(folder))


def _read(path: Path) -> str:
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), encoding="utf-8") as file:
        return file.read(MAX_FILE_BYTES)


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f"new-{secrets.token_hex(8)}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        fresh.rename(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
