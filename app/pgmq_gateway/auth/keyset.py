"""The keys that tokens are verified with, and the way from a token's header to them."""

import base64
import binascii
import re
from collections.abc import Iterable

from pydantic import SecretStr

from pgmq_gateway.auth.jwk import BadKey, Key, OtherUse, check_distinct, from_jwk, from_secret, members
from pgmq_gateway.settings.model import Settings, SettingsError

SECRET = "PGRST_JWT_SECRET"  # noqa: S105 a variable's name
PREVIOUS = "PGMQ_GATEWAY_JWT_PREVIOUS_SECRET"
# What only a JWK or a set of them has in it.
DOCUMENT = re.compile(rb'"(?:kty|keys)"\s*:')


class KeySet:
    """Keys, found by the kid and the algorithm of a token. A kid is looked up, and nothing else is done with it."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._found: dict[tuple[str | None, str], list[Key]] = {}
        for key in keys:
            for algorithm in key.algorithms:
                for kid in {None, key.kid}:
                    self._found.setdefault((kid, algorithm), []).append(key)

    def candidates(self, kid: str | None, algorithm: str) -> list[Key]:
        """The keys that may verify such a token: those of its kid, or all when it names none (as in PostgREST)."""
        return self._found.get((kid, algorithm), [])


def own_keys(settings: Settings) -> list[Key]:
    """The keys of the settings, the current secret's before the previous one's.

    Raises SettingsError without any, unless others are fetched, and for one that cannot be used or is weak.
    """
    if settings.jwt_secret is None and settings.jwks_url is None:
        raise SettingsError(f"{SECRET} is not set: there is no default; make one with: openssl rand -hex 32")
    current, previous = current_keys(settings), previous_keys(settings)
    # Who rotates one key of a set has the others in both.
    keys = [*current, *(key for key in previous if key not in current)]
    try:
        check_distinct(keys)
    except BadKey as error:
        raise SettingsError(f"{PREVIOUS}: {error}") from None
    return keys


def current_keys(settings: Settings) -> list[Key]:
    """The keys of PGRST_JWT_SECRET. Raises SettingsError."""
    return _named(SECRET, settings.jwt_secret, settings)


def previous_keys(settings: Settings) -> list[Key]:
    """The keys that were current before, and still verify. Raises SettingsError."""
    return _named(PREVIOUS, settings.jwt_previous_secret, settings)


def _named(variable: str, secret: SecretStr | None, settings: Settings) -> list[Key]:
    if secret is None:
        return []
    try:
        return parsed(secret.get_secret_value(), is_base64=settings.jwt_secret_is_base64)
    except BadKey as error:
        raise SettingsError(f"{variable}: {error}") from None


def parsed(text: str, *, is_base64: bool) -> list[Key]:
    """The keys that a secret stands for: a JWK, a JWKS document, or any other text, which is the key itself.

    is_base64  whether it is base64 of that

    Raises BadKey, also for a mistyped document: taken for a text, a public set would be a secret that everybody knows.
    """
    secret = _decoded(text) if is_base64 else text.encode()
    if not DOCUMENT.search(secret):
        return [from_secret(secret)]
    try:
        found = members(secret.decode())
    except UnicodeDecodeError:
        raise BadKey("it is not text in UTF-8") from None
    keys = [key for number, jwk in enumerate(found, 1) if (key := _numbered(number, jwk))]
    if not keys:
        raise BadKey("it has no key that verifies tokens")
    check_distinct(keys)
    return keys


def _numbered(number: int, jwk: object) -> Key | None:
    """The key at this place in a set; None for one that is for something else."""
    try:
        return from_jwk(jwk)
    except OtherUse:
        return None
    except BadKey as error:
        raise BadKey(f"key {number}: {error}") from None


def _decoded(text: str) -> bytes:
    try:
        # PostgREST takes the URL-safe alphabet too.
        return base64.b64decode(text.translate(str.maketrans("-_.", "+/=")), validate=True)
    except binascii.Error:
        raise BadKey("it is not base64, which it is said to be") from None
