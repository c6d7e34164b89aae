"""Sessions: keys in memory, looked up by a random cookie."""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pgmq_gateway.dashboard.kept import SessionFile, digest, seal, unseal

# The key of a request's session in its ASGI scope.
SESSION = "pgmq_gateway.session"
# The path of the sign-in page.
SIGN_IN = "/sign-in"
IDLE_TIMEOUT_SECONDS = 3600
MAX_SESSION_SECONDS = 12 * 3600
# JSON has no infinity. The year 9999.
MAX_TIME = 253402300799.0
RESTARTED = "You were signed out because the dashboard was restarted: it keeps keys in memory only. Sign in again."
# Ended sessions count too: they are kept for their reason, which the sign-in page shows.
MAX_SESSIONS = 1000
# Of one session.
MAX_PICTURES = 20

Clock = Callable[[], float]


@dataclass(frozen=True)
class Picture:
    """The data that a page has shown, and when, in seconds since 1970."""

    data: object
    at: float


class Pictures:
    """The latest pictures of a session, for pages that are opened while the gateway does not respond."""

    def __init__(self) -> None:
        self._kept: dict[str, Picture] = {}
        self._size = MAX_PICTURES

    def __getitem__(self, name: str) -> Picture | None:
        return self._kept.get(name)

    def __setitem__(self, name: str, picture: Picture) -> None:
        self._kept.pop(name, None)
        self._kept[name] = picture
        while len(self._kept) > self._size:
            del self._kept[next(iter(self._kept))]

    def close(self) -> None:
        """Forget all pictures, and those of loads that are still running."""
        self._kept.clear()
        self._size = 0


@dataclass
class Session:
    """One signed-in user.

    expires      when it ends at the latest, in seconds since 1970
    last_seen    the time of the user's latest activity
    end_reason   empty while the session is open
    sealed       the key, encrypted with the cookie; empty: not kept for a restart
    changed      called at the end
    permissions  the functions that the key may execute, and whether each changes something; None: unknown
    """

    key: str = field(repr=False)
    expires: float
    last_seen: float
    end_reason: str = ""
    permissions: Mapping[str, bool] | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    pictures: Pictures = field(default_factory=Pictures, repr=False)
    sealed: str = field(default="", repr=False)
    changed: Callable[[], None] = field(default=lambda: None, repr=False)

    def end(self, reason: str) -> None:
        """Forget the key and the data that it has read. The first reason stays."""
        self.end_reason, self.key = self.end_reason or reason, ""
        self.pictures.close()
        self.ended.set()
        self.changed()


class Sessions:
    """Sessions in memory, by the digest of their cookie. `kept`: where they survive a restart."""

    def __init__(self, clock: Clock = time.time, kept: SessionFile | None = None) -> None:
        self._clock = clock
        self._kept = kept
        rows = kept.load() if kept else {}
        self._sessions = {
            name: Session("", expires, seen, sealed=sealed, changed=self._save)
            for name, (sealed, expires, seen) in rows.items()
        }

    def open(self, key: str) -> str:
        """Open a session and return its cookie."""
        cookie, now = secrets.token_urlsafe(32), self._clock()
        if len(self._sessions) >= MAX_SESSIONS:
            oldest = next(iter(self._sessions))
            self._sessions.pop(oldest).end(
                f"You were signed out because more than {MAX_SESSIONS} sessions were opened. Sign in again."
            )
        sealed = seal(cookie, key, now) if self._kept else ""
        expires = min(now + MAX_SESSION_SECONDS, expiry(key))
        self._sessions[digest(cookie)] = Session(key, expires, now, sealed=sealed, changed=self._save)
        self._save()
        return cookie

    def find(self, cookie: str) -> Session | None:
        """The session of a cookie, open or ended; None when the cookie is unknown."""
        session = self._sessions.get(digest(cookie))
        if session is None:
            return None
        self._check(session)
        if not session.key and not session.end_reason:
            session.key = unseal(cookie, session.sealed, self._clock()) or ""
            if not session.key:
                session.end(RESTARTED)
        return session

    def touch(self, session: Session) -> None:
        """Note user activity."""
        session.last_seen = self._clock()

    def sweep(self) -> None:
        """End the sessions that have expired."""
        for session in self._sessions.values():
            self._check(session)
        self._save()

    def _check(self, session: Session) -> None:
        now = self._clock()
        if session.end_reason:
            return
        if now >= session.expires:
            session.end("Your session has expired: it lasts twelve hours, or as long as your token. Sign in again.")
        elif now >= session.last_seen + IDLE_TIMEOUT_SECONDS:
            session.end("You were signed out after an hour of inactivity. Sign in again.")

    def _save(self) -> None:
        if self._kept:
            self._kept.save(
                {
                    name: (one.sealed, min(one.expires, MAX_TIME), one.last_seen)
                    for name, one in self._sessions.items()
                    if not one.end_reason
                }
            )


def expiry(key: str) -> float:
    """The `exp` of a token, unverified: it only bounds the session, the API verifies the token. Else infinity."""
    try:
        payload = key.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (IndexError, ValueError, KeyError, TypeError):
        return float("inf")
