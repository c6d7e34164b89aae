"""Who is signed in: keys in memory, found by what a signed cookie names, and the code that signs in once."""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

# The key of a request's session in its ASGI scope.
SESSION = "pgmq_gateway.session"
# The path of the sign-in page.
SIGN_IN = "/sign-in"
IDLE_SECONDS = 3600
LONGEST_SECONDS = 12 * 3600
CODE_SECONDS = 3600
# How many sessions are kept, ended ones for the sentence that says why included.
MOST = 1000

Clock = Callable[[], float]


@dataclass
class Session:
    """A person who has shown a key. `why` is empty until it has ended, and then says why."""

    key: str = field(repr=False)
    ends: float
    seen: float
    why: str = ""
    ended: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def end(self, why: str) -> None:
        """Forget the key; the first reason stays."""
        self.why, self.key = self.why or why, ""
        self.ended.set()


class Sessions:
    """All sessions of this process, which end with it."""

    def __init__(self, clock: Clock = time.time) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._sessions: dict[str, Session] = {}

    def open(self, key: str) -> str:
        """A new session with this key; gives its cookie."""
        name, now = secrets.token_urlsafe(32), self._clock()
        if len(self._sessions) >= MOST:
            oldest = next(iter(self._sessions))
            self._sessions.pop(oldest).end("Too many others have signed in since.")
        self._sessions[name] = Session(key, min(now + LONGEST_SECONDS, expiry(key)), now)
        return f"{name}.{self._signature(name)}"

    def find(self, cookie: str) -> Session | None:
        """The session of a cookie, ended or not; None when there is none."""
        name, _, signature = cookie.partition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(name).encode()):
            return None
        session = self._sessions.get(name)
        if session is not None:
            self._check(session)
        return session

    def touch(self, session: Session) -> None:
        """A person has done something."""
        session.seen = self._clock()

    def sweep(self) -> None:
        """End those whose time is over."""
        for session in self._sessions.values():
            self._check(session)

    def _check(self, session: Session) -> None:
        now = self._clock()
        if session.why:
            return
        if now >= session.ends:
            session.end("Your session has ended: its time, or that of the token you signed in with, is over.")
        elif now >= session.seen + IDLE_SECONDS:
            session.end("You were signed out because nothing was done for an hour.")

    def _signature(self, name: str) -> str:
        return hmac.digest(self._secret, name.encode(), "sha256").hex()


class Code:
    """Opens one session with a key that its bearer need not know."""

    def __init__(self, code: str, key: str, used: Callable[[], None], clock: Clock = time.time) -> None:
        self._digest = hashlib.sha256(code.encode()).digest()
        self._key = key
        self._used = used
        self._clock = clock
        self._ends = clock() + CODE_SECONDS

    def redeem(self, code: str) -> str | None:
        """The key, for the right code, the first time, in time; else None."""
        right = hmac.compare_digest(self._digest, hashlib.sha256(code.encode()).digest())
        if not right or not self._key or self._clock() >= self._ends:
            return None
        key, self._key = self._key, ""
        self._used()
        return key


def expiry(key: str) -> float:
    """When a key that is a token expires by its own account; the API is who decides."""
    try:
        payload = key.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (IndexError, ValueError, KeyError, TypeError):
        return float("inf")
