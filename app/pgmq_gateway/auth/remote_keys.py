"""Public keys of an identity provider, fetched from its JWKS URL again and again, and never by a request."""

import asyncio
import logging
import random
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from pgmq_gateway.auth.jwk import BadKey, Key, OtherUse, check_distinct, from_jwk, members
from pgmq_gateway.backoff import Backoff
from pgmq_gateway.settings.model import Settings

if TYPE_CHECKING:
    from pgmq_gateway.auth.fetch import Outbound

logger = logging.getLogger("pgmq_gateway")

# Seconds that a set is good for, as far as its server does not say, and the bounds of what it may say.
USUAL, SHORTEST, LONGEST = 600.0, 60.0, 3600.0
# Seconds after a failed attempt.
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 1.0, 60.0
# Seconds after an attempt in which an unknown key does not cause another one: strangers can name any.
PAUSE = 5.0
# Seconds that keys stay good without a successful fetch: a provider may be out of reach for a night, but whoever keeps
# it out of reach must not keep a stolen key alive for ever.
STALE = 24 * 3600.0
# Seconds that a start waits for the first attempt.
PATIENCE = 3.0
# Keys in a set: one without a kid has a token tried with each.
MOST_KEYS = 64

MAX_AGE = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?(\d{1,9})", re.IGNORECASE)


class RemoteKeys:
    """The keys of one URL.

    keys       those that count now
    changed    called with the keys whenever they are others than before
    known      whether there has been a set, and not too long ago
    successes  attempts that brought a set
    failures   attempts that did not
    """

    def __init__(
        self, url: str, outbound: Callable[[], "Outbound"], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._private = False
        self._connect = outbound
        self._outbound: Outbound | None = None
        self._clock = clock
        self._ignored: list[str] = []
        self._tried_at = self._fetched_at = -STALE
        self._backoff = Backoff(FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS)
        self._asked = asyncio.Event()
        self._tried = asyncio.Event()
        self.keys: list[Key] = []
        self.changed: Callable[[list[Key]], None] = lambda _: None
        self.known = False
        self.failing = False
        self.successes = 0
        self.failures = 0

    @classmethod
    def of(cls, settings: Settings, earlier: "RemoteKeys | None" = None) -> Self | None:
        """As the operator set it up; None without a URL.

        earlier  those that these take over from: the keys of the same URL are there from the beginning
        """
        if settings.jwks_url is None:
            return None

        def outbound() -> "Outbound":
            # Imported here because only who fetches keys needs an HTTP client.
            from pgmq_gateway.auth.fetch import Outbound

            return Outbound(private=settings.jwks_private_addresses)

        remote = cls(settings.jwks_url, outbound)
        remote._private = settings.jwks_private_addresses
        if earlier is not None and (earlier._url, earlier._private) == (remote._url, remote._private):
            remote.keys, remote.known, remote._fetched_at = earlier.keys, earlier.known, earlier._fetched_at
            remote.successes, remote.failures = earlier.successes, earlier.failures
        return remote

    def ask(self) -> None:
        """A token names a key that is not there: look for it, unless that was done just now, or the URL is failing."""
        if not self.failing and self._clock() - self._tried_at >= PAUSE:
            self._asked.set()

    async def tried(self) -> None:
        """Wait for the end of the first attempt, for some seconds at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._tried.wait()

    async def run(self) -> None:
        """Keep the keys in step with the URL until cancelled."""
        try:
            while True:
                wait = await self.refresh()
                self._tried.set()
                self._asked.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._asked.wait()
        finally:
            if self._outbound is not None:
                await self._outbound.close()

    async def refresh(self) -> float:
        """Fetch the set once. Gives the seconds until the next time, not the same for all who fetch it."""
        self._tried_at = self._clock()
        try:
            wait = await self._fetch()
        except Exception as error:
            # Whatever it is, removed keys must not live on because nobody fetches any more.
            wait = self._failed(error)
        return wait * random.uniform(0.8, 1.0)  # noqa: S311 spreads load, hides nothing

    async def _fetch(self) -> float:
        self._outbound = self._outbound or self._connect()
        document = await self._outbound.get(self._url)
        keys, ignored = public_keys(document.body)
        if ignored != self._ignored:
            logger.warning(
                "in the set at %s is what cannot be used: %s", self._url, "; ".join(ignored) or "nothing now"
            )
        self._ignored = ignored
        if self.failing:
            logger.warning("the keys at %s could be fetched again", self._url)
        self.known, self.failing = True, False
        self._backoff.reset()
        self._fetched_at = self._clock()
        self.successes += 1
        self._take(keys)
        return freshness(document.headers)

    def _failed(self, error: Exception) -> float:
        self.failures += 1
        if not self.failing:
            reason = str(error) or type(error).__name__
            logger.warning("cannot fetch the keys at %s, and will try again: %s", self._url, reason)
        self.failing = True
        if self.known and self._clock() - self._fetched_at >= STALE:
            logger.error("no keys from %s for %d hours: those that were there count no more", self._url, STALE // 3600)
            self.known = False
            self._take([])
        return self._backoff.delay()

    def _take(self, keys: list[Key]) -> None:
        # Some servers shuffle them.
        if len(keys) != len(self.keys) or any(key not in self.keys for key in keys):
            logger.info("%d keys from %s", len(keys), self._url)
            self.keys = keys
            self.changed(keys)


def public_keys(body: bytes) -> tuple[list[Key], list[str]]:
    """The keys of a fetched set that verify signatures, and why others were left out (RFC 7517, section 5).

    Raises BadKey for what is no set, or one in which a kid means two keys.
    """
    try:
        found = members(body.decode())
    except UnicodeDecodeError:
        raise BadKey("it is not text in UTF-8") from None
    if len(found) > MOST_KEYS:
        raise BadKey(f"it has more than {MOST_KEYS} keys")
    keys, ignored = [], []
    for number, jwk in enumerate(found, 1):
        try:
            keys.append(_public(from_jwk(jwk)))
        except OtherUse:
            continue
        except BadKey as error:
            ignored.append(f"key {number}: {error}")
    check_distinct(keys)
    return keys, ignored


def _public(key: Key) -> Key:
    """The key, unless everybody who fetches the set can sign with it."""
    if isinstance(key.verifying, bytes) or key.signing is not None:
        raise BadKey("it is secret, so it should not be there, and is not used")
    return key


def freshness(headers: Mapping[str, str]) -> float:
    """Seconds until a set should be fetched again, as its answer says (RFC 9111, section 4.2), within bounds."""
    control = headers.get("cache-control", "")
    if re.search(r"no-store|no-cache", control, re.IGNORECASE):
        return SHORTEST
    if not (found := MAX_AGE.search(control)):
        return USUAL
    age = headers.get("age", "")
    spent = int(age) if age.isascii() and age.isdigit() and len(age) < 10 else 0
    return min(max(float(found[1]) - spent, SHORTEST), LONGEST)
