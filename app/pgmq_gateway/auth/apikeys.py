"""The key layer that Supabase has in front of PostgREST: who may knock at all (wire contract, section 10.2).

Publishable keys stand for the anonymous role, secret keys for service_role, and older keys are tokens themselves. A
token in Authorization wins over the key, unless it is one of the new keys again.
"""

import base64
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from pgmq_gateway.errors import GatewayError
from pgmq_gateway.settings.model import Settings

# The role of who shows a secret key.
PRIVILEGED_ROLE = "service_role"


class KeyRefused(GatewayError):
    """A request without a usable key. Its body is Supabase's, which has no code."""

    status, code = 401, "PGRST301"

    def body(self, *, verbose: bool = True) -> bytes:  # noqa: ARG002 Supabase's body is the same for all
        """`message` and `hint`, as Supabase's clients know them."""
        return json.dumps({"message": self.message, "hint": self.hint}, separators=(",", ":")).encode()


class KeyMissing(KeyRefused):
    """A request without any key, which is told what kind of credential is wanted, as Kong tells it."""

    headers = (("WWW-Authenticate", 'Key realm="kong"'),)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys that open the API: publishable ones, and secret ones by name, so that each can be taken away alone."""

    publishable: Sequence[str]
    secret: Mapping[str, str]

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """As the operator set it up; None where something in front of the gateway asks for keys, or nobody does."""
        wanted = settings.key_layer
        if wanted is False or (wanted is None and not settings.publishable_keys and not settings.secret_keys):
            return None
        pairs = (pair.partition("=") for pair in settings.secret_keys)
        return cls(settings.publishable_keys, {name: key for name, _, key in pairs})

    def credential(self, headers: Mapping[str, str], key: str | None) -> tuple[str | None, str | None]:
        """What a request shows: a token to verify, or else the kind of its key (`publishable` or `secret`).

        headers  by name in lower case
        key      the key, from the header apikey or else from the query string

        Neither token nor kind: an Authorization that is no bearer's, so the anonymous role. Raises KeyRefused.
        """
        authorization = headers.get("authorization")
        scheme, _, token = (authorization or "").partition(" ")
        opaque = token.strip() if scheme.lower() == "bearer" and token.strip().startswith("sb_") else None
        if key is None and authorization is None:
            raise KeyMissing("No API key found in request", hint="No `apikey` request header or url param was found.")
        kind = None if key is None else self._kind(key, headers)
        if opaque is not None and opaque != key:
            raise _invalid()
        if authorization is not None and opaque is None:
            return (token.strip() if scheme.lower() == "bearer" else None), None
        return (key, None) if kind == "token" else (None, kind)

    def _kind(self, key: str, headers: Mapping[str, str]) -> str:
        if key.count(".") == 2 and not key.startswith("sb_"):
            return "token"
        if any(_equal(key, known) for known in self.secret.values()):
            if "mozilla/" in headers.get("user-agent", "").lower():
                raise KeyRefused(
                    "Forbidden use of secret API key in browser",
                    hint="Secret API keys can only be used in a protected environment; use a publishable key here.",
                )
            return "secret"
        if any(_equal(key, known) for known in self.publishable):
            return "publishable"
        raise _invalid()


def derived(secret: bytes) -> tuple[str, str]:
    """A publishable and a secret key that belong to a JWT secret: the same each time, and new when the secret is."""
    publishable, hidden = (
        base64.urlsafe_b64encode(hmac.digest(secret, f"pgmq-gateway {kind} key".encode(), "sha256")).decode()[:40]
        for kind in ("publishable", "secret")
    )
    return f"sb_publishable_{publishable}", f"sb_secret_{hidden}"


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _invalid() -> KeyRefused:
    return KeyRefused("Invalid API key", hint="Double check your Supabase `anon` or `service_role` API key.")
