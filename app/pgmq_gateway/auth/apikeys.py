"""API keys, checked as by Supabase's gateway before PostgREST (docs/reference/compatibility.md, Roles and keys).

A publishable key selects the anonymous role, a secret key service_role; legacy keys are JWTs. A token in Authorization
takes precedence over the key, unless it is a publishable or secret key itself.
"""

import base64
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from pgmq_gateway.errors import GatewayError
from pgmq_gateway.settings.model import Settings

# The role of requests with a secret key.
PRIVILEGED_ROLE = "service_role"

# Headers in which other services expect keys.
MISNAMED_HEADERS = ("x-api-key", "api-key", "x-apikey", "api_key")


class KeyRefused(GatewayError):
    """A request without a valid key. Its body is Supabase's, which has no code."""

    status, code = 401, "PGRST301"

    def body(self, *, verbose: bool = True) -> bytes:
        """`message` and `hint`, which Supabase's clients read; only the message unless verbose."""
        members = {"message": self.message, **({"hint": self.hint} if verbose else {})}
        return json.dumps(members, separators=(",", ":")).encode()


class KeyMissing(KeyRefused):
    """A request without a key. Names the authentication scheme as Kong does."""

    headers = (("WWW-Authenticate", 'Key realm="kong"'),)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The valid keys: publishable ones, and secret ones by name, so that each can be revoked separately."""

    publishable: Sequence[str]
    secret: Mapping[str, str]

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """The key ring of the settings; None where requests need no key."""
        enabled = settings.key_layer
        if enabled is False or (enabled is None and not settings.publishable_keys and not settings.secret_keys):
            return None
        pairs = (pair.partition("=") for pair in settings.secret_keys)
        return cls(settings.publishable_keys, {name: key for name, _, key in pairs})

    def credential(self, headers: Mapping[str, str], key: str | None) -> tuple[str | None, str | None]:
        """The token to verify, or else the kind of the key (`publishable` or `secret`).

        headers  by name in lower case
        key      from the header apikey or else from the query string

        Both are None for a publishable or secret key beside an Authorization of another scheme than Bearer: the
        anonymous role, as on hosted Supabase. Raises KeyRefused.
        """
        authorization = headers.get("authorization")
        token = bearer(authorization)
        if key is None and not token:
            raise _missing(headers)
        kind = None if key is None else self._kind(key, headers)
        if token is not None and not token.startswith("sb_"):
            return token, None
        if token is not None and token != key:
            raise _invalid("" if key else " Send it as the header apikey.")
        if kind == "token":
            # A legacy key takes the token's place and is verified: otherwise any text with two dots would be a key.
            return key, None
        return None, kind if authorization is None or token is not None else None

    def secret_name(self, key: str) -> str | None:
        """The name of a secret key; None for any other key."""
        return next((name for name, known in self.secret.items() if _equal(key, known)), None)

    def _kind(self, key: str, headers: Mapping[str, str]) -> str:
        if key.count(".") == 2 and not key.startswith("sb_"):
            return "token"
        if self.secret_name(key) is not None:
            if "mozilla/" in headers.get("user-agent", "").lower():
                raise KeyRefused(
                    "Forbidden use of secret API key in browser",
                    hint="Secret API keys can only be used in a protected environment; use a publishable key here.",
                )
            return "secret"
        if any(_equal(key, known) for known in self.publishable):
            return "publishable"
        raise _invalid()


def bearer(authorization: str | None) -> str | None:
    """The token of an Authorization header, which can be empty; None for another scheme."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def derived(secret: bytes) -> tuple[str, str]:
    """The publishable and the secret key derived from a JWT secret; deterministic, so they change with the secret."""
    publishable, secret_part = (
        base64.urlsafe_b64encode(hmac.digest(secret, f"pgmq-gateway {kind} key".encode(), "sha256")).decode()[:40]
        for kind in ("publishable", "secret")
    )
    return f"sb_publishable_{publishable}", f"sb_secret_{secret_part}"


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _missing(headers: Mapping[str, str]) -> KeyMissing:
    """The error for a request without a key; a header with a similar name may have it."""
    hint = "No `apikey` request header or url param was found."
    other = next((name for name in MISNAMED_HEADERS if name in headers), None)
    return KeyMissing("No API key found in request", hint=f"{hint} Send apikey, not {other}." if other else hint)


def _invalid(more: str = "") -> KeyRefused:
    return KeyRefused("Invalid API key", hint=f"Double check your Supabase `anon` or `service_role` API key.{more}")
