"""Verification of tokens: the role that a request runs in, and the claims that SQL sees.

Rules and texts are PostgREST's (docs/reference/compatibility.md, Roles and keys): first the signature, then exp, nbf,
iat and aud with 30 seconds of clock skew, then the role.
"""

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import jwt

from pgmq_gateway import strictjson
from pgmq_gateway.auth.apikeys import PRIVILEGED_ROLE, KeyRing, bearer
from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.auth.jwk import ASYMMETRIC, Key
from pgmq_gateway.auth.keyset import KeySet, own_keys
from pgmq_gateway.auth.remote_keys import RemoteKeys
from pgmq_gateway.auth.signatures import Signatures
from pgmq_gateway.errors import AnonymousDisabled, GatewayError, InvalidClaims, KeysMissing, Unauthorized, UnknownRole
from pgmq_gateway.http.request import HEAD_CACHE_SIZE, Head
from pgmq_gateway.settings.model import Settings
from pgmq_gateway.settings.roleclaim import MISSING, RoleClaim

# Between the clocks of the issuer and the gateway.
CLOCK_SKEW_SECONDS = 30
# Postgres truncates longer identifiers.
MAX_ROLE_NAME_BYTES = 63
# Longer tokens are verified each time, so that clients cannot fill the memory with them.
MAX_CACHED_TOKEN_LENGTH = 4096
DEFAULT_ROLE_CLAIM = RoleClaim.of(".role")


Claims = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Verified:
    """The claims of a token with a valid signature, its times, and its caller unless the claims are rejected."""

    claims: Claims
    expires: float | None
    begins: float | None
    issued: float | None
    caller: Caller | None


@dataclass(frozen=True, slots=True)
class CacheUse:
    """Counters of the token cache. Evicted are tokens that others replaced, and all tokens when the keys change."""

    requests: int
    hits: int
    evictions: int


class Authenticator:
    """Turns the credentials of a request into a caller.

    keys            keys of the settings
    anonymous_role  role of requests without a token or without a role claim; None rejects them
    audience        required member of `aud` where a token has that claim; None accepts all
    issuers         accepted values of `iss`; empty accepts all
    ring            API keys of which a request needs one; None: no key needed
    role_claim      path of the role in the claims
    cache_size      number of verified tokens kept
    remote          further keys, which can change at any time
    clock           seconds since 1970
    """

    def __init__(
        self,
        keys: Iterable[Key],
        anonymous_role: str | None,
        audience: str | None = None,
        issuers: tuple[str, ...] = (),
        ring: KeyRing | None = None,
        role_claim: RoleClaim = DEFAULT_ROLE_CLAIM,
        cache_size: int = 0,
        remote: RemoteKeys | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._own = tuple(keys)
        self._keys = KeySet((*self._own, *(remote.keys if remote else ())))
        self._anonymous_role = anonymous_role
        self._audience = audience
        self._issuers = issuers
        self._ring = ring
        self._role_claim = role_claim
        self._clock = clock
        self._jws = Signatures()
        # Failures are exceptions, which lru_cache does not keep.
        self._cached = lru_cache(cache_size)(self._read)
        self._credential = lru_cache(HEAD_CACHE_SIZE)(self._find_credential)
        self._read_tokens = 0
        # Counters of caches that were cleared.
        self._requests = self._hits = 0
        self._anonymous = None if anonymous_role is None else self._caller({})
        self.remote = remote
        if remote is not None:
            remote.changed = self._replace_fetched

    @classmethod
    def of(cls, settings: Settings, remote: RemoteKeys | None = None) -> Self:
        """The authenticator of the settings. Raises SettingsError for unusable keys."""
        return cls(
            own_keys(settings),
            settings.db_anon_role,
            settings.jwt_aud,
            settings.jwt_issuer,
            KeyRing.of(settings),
            RoleClaim.of(settings.jwt_role_claim_key),
            settings.jwt_cache_max_entries,
            remote,
        )

    @property
    def cache(self) -> CacheUse:
        info = self._cached.cache_info()
        requests, hits = self._requests + info.hits + info.misses, self._hits + info.hits
        return CacheUse(requests, hits, self._read_tokens - info.currsize)

    def caller(self, head: Head) -> Caller:
        """The caller of a request, from its headers and the apikey in its query string.

        Raises Unauthorized, InvalidClaims, AnonymousDisabled or KeyRefused.
        """
        token, privileged = self._credential(head)
        if privileged is not None:
            return privileged
        if token is None:
            return self._anonymous or self._caller({})
        verified = self._cached(token) if len(token) <= MAX_CACHED_TOKEN_LENGTH else self._read(token)
        # The token may have expired since it was cached.
        self._check_times(verified)
        self._check_audience(verified.claims)
        return verified.caller or self._checked_caller(verified.claims)

    def _find_credential(self, head: Head) -> tuple[str | None, Caller | None]:
        """The token of a request, or else the caller of its secret key."""
        key = head.headers.get("apikey") or head.query_apikey
        if self._ring is None:
            return _token(head.headers, key), None
        token, kind = self._ring.credential(head.headers, key)
        if key is None or kind != "secret":
            return token, None
        claims, name = _text({"role": PRIVILEGED_ROLE}), self._ring.secret_name(key)
        return None, Caller(PRIVILEGED_ROLE, claims, anonymous=False, key_name=name or "")

    def _replace_fetched(self, fetched: Iterable[Key]) -> None:
        """Replace the fetched keys, and forget the tokens verified with the former ones."""
        self._keys = KeySet((*self._own, *fetched))
        use = self.cache
        self._requests, self._hits = use.requests, use.hits
        self._cached.cache_clear()

    def _read(self, token: str) -> Verified:
        claims = _parsed(self._verified(token))
        self._read_tokens += 1
        times = _time(claims, "exp"), _time(claims, "nbf"), _time(claims, "iat")
        try:
            caller = self._checked_caller(claims)
        except GatewayError:
            # The checks of times and audience come first and may raise another error.
            caller = None
        return Verified(claims, *times, caller)

    def _verified(self, token: str) -> str:
        if not token:
            raise Unauthorized("Empty JWT is sent in Authorization header")
        if (parts := token.count(".") + 1) != 3:
            raise Unauthorized(f"Expected 3 parts in JWT; got {parts}")
        try:
            header = self._jws.get_unverified_header(token)
            # RFC 7515, section 2: base64url without padding. With padding the same token would have several spellings.
            if "=" in token:
                raise jwt.DecodeError
            algorithm = header.get("alg")
            return self._payload(token, header.get("kid"), algorithm if isinstance(algorithm, str) else "").decode()
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise Unauthorized("JWT cryptographic operation failed") from None

    def _payload(self, token: str, kid: str | None, algorithm: str) -> bytes:
        """The payload of a token with a valid signature. Only keys for exactly this algorithm are tried."""
        if algorithm == "none":
            raise Unauthorized(
                "Wrong or unsupported encoding algorithm", "JWT is unsecured but expected 'alg' was not 'none'"
            )
        candidates = self._keys.candidates(kid, algorithm)
        if not candidates:
            raise self._no_key(algorithm)
        for key in candidates:
            try:
                payload: bytes = self._jws.decode(token, key.verifying, algorithms=[algorithm])
            except jwt.InvalidSignatureError:
                continue
            return payload
        raise _unsuitable("None of the keys was able to decode the JWT")

    def _no_key(self, algorithm: str) -> GatewayError:
        if self.remote is not None and algorithm in ASYMMETRIC:
            self.remote.request_refresh()
            if not self.remote.known:
                return KeysMissing()
        return _unsuitable("No suitable key was found to decode the JWT")

    def _check_times(self, verified: Verified) -> None:
        now = self._clock()
        if verified.expires is not None and verified.expires < now - CLOCK_SKEW_SECONDS:
            raise InvalidClaims("JWT expired")
        if verified.begins is not None and verified.begins > now + CLOCK_SKEW_SECONDS:
            raise InvalidClaims("JWT not yet valid")
        if verified.issued is not None and verified.issued > now + CLOCK_SKEW_SECONDS:
            raise InvalidClaims("JWT issued at future")

    def _check_audience(self, claims: Claims) -> None:
        audience = claims.get("aud")
        if audience is None:
            return
        named = [audience] if isinstance(audience, str) else audience
        if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
            raise InvalidClaims("The JWT 'aud' claim must be a string or an array of strings")
        if self._audience is not None and named and self._audience not in named:
            raise InvalidClaims("JWT not in audience")

    def _checked_caller(self, claims: Claims) -> Caller:
        if self._issuers and claims.get("iss") not in self._issuers:
            raise InvalidClaims("JWT issuer not accepted")
        return self._caller(claims)

    def _caller(self, claims: Claims) -> Caller:
        role = self._role_claim.find(claims)
        if role is not MISSING:
            name = role if isinstance(role, str) else json.dumps(role)
            if name == "none" or not name.isprintable() or len(name.encode()) > MAX_ROLE_NAME_BYTES:
                # To Postgres `none` is the login role itself, and long names are truncated to other ones.
                raise UnknownRole(name)
        elif self._anonymous_role is None:
            raise AnonymousDisabled
        else:
            name = self._anonymous_role
        # SQL reads the role from the claims, even where it is the anonymous one.
        return Caller(name, _text({**claims, "role": name}), anonymous=name == self._anonymous_role)


def _token(headers: Mapping[str, str], key: str | None) -> str | None:
    """The bearer token; without an Authorization header the apikey, as Supabase's gateway passes it on."""
    authorization = headers.get("authorization")
    return key if authorization is None else bearer(authorization)


def _text(claims: Claims) -> str:
    """Claims as PostgREST serializes them. Raises InvalidClaims for NaN and Infinity."""
    try:
        return json.dumps(claims, separators=(",", ":"), sort_keys=True, allow_nan=False)
    except ValueError:
        raise InvalidClaims("Parsing claims failed") from None


def _unsuitable(details: str) -> Unauthorized:
    return Unauthorized("No suitable key or wrong key type", details)


def _parsed(text: str) -> Claims:
    try:
        claims = strictjson.loads(text, unique=True)
    except (ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise InvalidClaims("Parsing claims failed")
    return claims


def _time(claims: Claims, name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value == math.inf:
        raise InvalidClaims(f"The JWT '{name}' claim must be a number")
    return value
