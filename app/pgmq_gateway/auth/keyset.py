"""The keys that verify tokens, selected by a token's header."""

import base64
import binascii
import re
from collections.abc import Iterable

from pydantic import SecretStr

from pgmq_gateway.auth.jwk import BadKey, Key, OtherUse, check_distinct, from_jwk, from_secret, members
from pgmq_gateway.settings.model import Settings, SettingsError

SECRET_VARIABLE = "PGRST_JWT_SECRET"  # noqa: S105 a variable's name
PREVIOUS_SECRET_VARIABLE = "PGMQ_GATEWAY_JWT_PREVIOUS_SECRET"  # noqa: S105 likewise
# Occurs only in a JWK or a JWK set.
JWK_MEMBER = re.compile(rb'"(?:kty|keys)"\s*:')


class KeySet:
    """Keys by the kid and the algorithm of a token. The kid is used for this look-up only."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._by_header: dict[tuple[str | None, str], list[Key]] = {}
        for key in keys:
            for algorithm in key.algorithms:
                for kid in {None, key.kid}:
                    self._by_header.setdefault((kid, algorithm), []).append(key)

    def candidates(self, kid: str | None, algorithm: str) -> list[Key]:
        """The keys to try: the one of this kid, or all if the token has none (as in PostgREST)."""
        return self._by_header.get((kid, algorithm), [])


def own_keys(settings: Settings) -> list[Key]:
    """The keys of the settings, those of the current secret first.

    Raises SettingsError for an unusable or weak key, and where there is neither a secret nor a JWKS URL.
    """
    if settings.jwt_secret is None and settings.jwks_url is None:
        raise SettingsError(f"{SECRET_VARIABLE} is not set, and it has no default: make one with: openssl rand -hex 32")
    current, previous = current_keys(settings), previous_keys(settings)
    # During the rotation of one key of a set, the others are in both.
    keys = [*current, *(key for key in previous if key not in current)]
    try:
        check_distinct(keys)
    except BadKey as error:
        raise SettingsError(f"{PREVIOUS_SECRET_VARIABLE}: {error}") from None
    return keys


def current_keys(settings: Settings) -> list[Key]:
    """The keys of PGRST_JWT_SECRET. Raises SettingsError."""
    return _named(SECRET_VARIABLE, settings.jwt_secret, settings)


def previous_keys(settings: Settings) -> list[Key]:
    """The keys of PGMQ_GATEWAY_JWT_PREVIOUS_SECRET, which still verify. Raises SettingsError."""
    return _named(PREVIOUS_SECRET_VARIABLE, settings.jwt_previous_secret, settings)


def _named(variable: str, secret: SecretStr | None, settings: Settings) -> list[Key]:
    if secret is None:
        return []
    try:
        return parsed(secret.get_secret_value(), is_base64=settings.jwt_secret_is_base64)
    except BadKey as error:
        raise SettingsError(f"{variable}: {error}") from None


def parsed(text: str, *, is_base64: bool) -> list[Key]:
    """The keys of a secret: a JWK, a JWK set, or any other text, which is the key itself.

    is_base64  the text is base64 of one of these

    Raises BadKey, also for a malformed JWK set: used as plain text, a public set would be a publicly known secret.
    """
    secret = _decoded(text) if is_base64 else text.encode()
    if not JWK_MEMBER.search(secret):
        return [from_secret(secret)]
    try:
        found = members(secret.decode())
    except UnicodeDecodeError:
        raise BadKey("not text in UTF-8") from None
    keys = [key for number, jwk in enumerate(found, 1) if (key := _numbered(number, jwk))]
    if not keys:
        raise BadKey("the set has no key that verifies tokens")
    check_distinct(keys)
    return keys


def _numbered(number: int, jwk: object) -> Key | None:
    """The key at this place in a set; None for one of another use."""
    try:
        return from_jwk(jwk)
    except OtherUse:
        return None
    except BadKey as error:
        raise BadKey(f"key {number}: {error}") from None


def _decoded(text: str) -> bytes:
    try:
        # PostgREST accepts the URL-safe alphabet too.
        return base64.b64decode(text.translate(str.maketrans("-_.", "+/=")), validate=True)
    except binascii.Error:
        raise BadKey("not base64, although PGRST_JWT_SECRET_IS_BASE64 is true") from None
