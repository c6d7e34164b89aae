"""Public keys of an identity provider, refreshed from its JWKS URL in the background, never within a request."""

import asyncio
import logging
import random
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from pgmq_gateway.auth.jwk import BadKey, Key, OtherUse, check_distinct, from_published_jwk, members
from pgmq_gateway.backoff import Backoff
from pgmq_gateway.settings.model import Settings

if TYPE_CHECKING:
    from pgmq_gateway.auth.fetch import Fetcher

logger = logging.getLogger("pgmq_gateway")

# Until the next fetch, if the response has no max-age, and the bounds of a max-age.
REFRESH_SECONDS, MIN_REFRESH_SECONDS, MAX_REFRESH_SECONDS = 600.0, 60.0, 3600.0
# Seconds after a failed attempt.
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 1.0, 60.0
# Between fetches that tokens with an unknown kid cause: any client can send such tokens.
REQUESTED_REFRESH_INTERVAL_SECONDS = 5.0
# Without a successful fetch keys stay valid for this time: long enough for an outage of the provider, short enough that
# an attacker who blocks the fetches cannot keep a stolen key valid.
MAX_STALE_SECONDS = 24 * 3600.0
# For which the start waits for the first fetch.
FIRST_FETCH_TIMEOUT_SECONDS = 3.0
# A token without a kid is verified with each key of the set.
MAX_KEYS = 64

MAX_AGE = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?(\d{1,9})", re.IGNORECASE)


class RemoteKeys:
    """The keys of one URL.

    keys       the valid keys
    changed    called with the keys when they change
    known      a set was fetched within MAX_STALE_SECONDS
    successes  successful fetches
    failures   failed fetches
    """

    def __init__(self, url: str, fetcher: Callable[[], "Fetcher"], clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._private = False
        self._new_fetcher = fetcher
        self._fetcher: Fetcher | None = None
        self._clock = clock
        self._ignored: list[str] = []
        self._tried_at = self._fetched_at = -MAX_STALE_SECONDS
        self._backoff = Backoff(FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS)
        self._refresh_requested = asyncio.Event()
        self._first_done = asyncio.Event()
        self.keys: list[Key] = []
        self.changed: Callable[[list[Key]], None] = lambda _: None
        self.known = False
        self.failing = False
        self.successes = 0
        self.failures = 0

    @classmethod
    def of(cls, settings: Settings, earlier: "RemoteKeys | None" = None) -> Self | None:
        """The remote keys of the settings; None without a URL.

        earlier  those before a reload: fetched keys of the same URL are taken over
        """
        if settings.jwks_url is None:
            return None

        def fetcher() -> "Fetcher":
            # Imported here because only JWKS URLs need the HTTP client.
            from pgmq_gateway.auth.fetch import Fetcher

            return Fetcher(private=settings.jwks_private_addresses)

        remote = cls(settings.jwks_url, fetcher)
        remote._private = settings.jwks_private_addresses
        if earlier is not None and (earlier._url, earlier._private) == (remote._url, remote._private):
            remote.keys, remote.known, remote._fetched_at = earlier.keys, earlier.known, earlier._fetched_at
            remote.successes, remote.failures = earlier.successes, earlier.failures
        return remote

    def request_refresh(self) -> None:
        """Fetch soon, for a token with an unknown kid, unless the last fetch was just now or failed."""
        if not self.failing and self._clock() - self._tried_at >= REQUESTED_REFRESH_INTERVAL_SECONDS:
            self._refresh_requested.set()

    async def first_fetch(self) -> None:
        """Wait for the end of the first fetch, at most FIRST_FETCH_TIMEOUT_SECONDS."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_FETCH_TIMEOUT_SECONDS):
                await self._first_done.wait()

    async def run(self) -> None:
        """Refresh the keys until cancelled."""
        while True:
            wait = await self.refresh()
            self._first_done.set()
            self._refresh_requested.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._refresh_requested.wait()

    async def refresh(self) -> float:
        """Fetch the set once. Returns the seconds until the next fetch, with jitter."""
        self._tried_at = self._clock()
        try:
            wait = await self._fetch()
        except Exception as error:
            # An unexpected error must not end the refreshing: removed keys would stay valid.
            wait = self._failed(error)
        return wait * random.uniform(0.8, 1.0)  # noqa: S311 jitter

    async def _fetch(self) -> float:
        self._fetcher = self._fetcher or self._new_fetcher()
        document = await self._fetcher.get(self._url)
        keys, ignored = public_keys(document.body)
        if ignored != self._ignored:
            logger.warning("ignored keys of the set at %s: %s", self._url, "; ".join(ignored) or "none any more")
        self._ignored = ignored
        if self.failing:
            logger.warning("fetched the keys at %s again", self._url)
        self.known, self.failing = True, False
        self._backoff.reset()
        self._fetched_at = self._clock()
        self.successes += 1
        self._replace(keys)
        return freshness(document.headers)

    def _failed(self, error: Exception) -> float:
        self.failures += 1
        if not self.failing:
            reason = str(error) or type(error).__name__
            logger.warning("cannot fetch the keys at %s, and retrying: %s", self._url, reason)
        self.failing = True
        if self.known and self._clock() - self._fetched_at >= MAX_STALE_SECONDS:
            logger.error(
                "no successful fetch of %s for %d hours: its keys are no longer accepted",
                self._url,
                MAX_STALE_SECONDS // 3600,
            )
            self.known = False
            self._replace([])
        return self._backoff.delay()

    def _replace(self, keys: list[Key]) -> None:
        # Not ==: some servers change the order.
        if len(keys) != len(self.keys) or any(key not in self.keys for key in keys):
            logger.info("%d keys from %s", len(keys), self._url)
            self.keys = keys
            self.changed(keys)


def public_keys(body: bytes) -> tuple[list[Key], list[str]]:
    """The keys of a fetched set that verify signatures, and the reasons why others are ignored (RFC 7517, section 5).

    Raises BadKey for an invalid set, or one in which two keys have the same kid.
    """
    try:
        found = members(body.decode())
    except UnicodeDecodeError:
        raise BadKey("not text in UTF-8") from None
    if len(found) > MAX_KEYS:
        raise BadKey(f"the set has more than {MAX_KEYS} keys")
    keys, ignored = [], []
    for number, jwk in enumerate(found, 1):
        try:
            keys.append(from_published_jwk(jwk))
        except OtherUse:
            continue
        except BadKey as error:
            ignored.append(f"key {number}: {error}")
    check_distinct(keys)
    return keys, ignored


def freshness(headers: Mapping[str, str]) -> float:
    """Seconds until the next fetch, by the headers of the response (RFC 9111, section 4.2), within bounds."""
    control = headers.get("cache-control", "")
    if re.search(r"no-store|no-cache", control, re.IGNORECASE):
        return MIN_REFRESH_SECONDS
    if not (found := MAX_AGE.search(control)):
        return REFRESH_SECONDS
    age = headers.get("age", "")
    spent = int(age) if age.isascii() and age.isdigit() and len(age) < 10 else 0
    return min(max(float(found[1]) - spent, MIN_REFRESH_SECONDS), MAX_REFRESH_SECONDS)
