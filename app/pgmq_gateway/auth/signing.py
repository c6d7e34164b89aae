"""Signs tokens for callers without an identity provider: API keys, and tokens for trials and benchmarks."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pgmq_gateway.auth.apikeys import derived
from pgmq_gateway.auth.jwk import BadKey, Key, PrivateKey
from pgmq_gateway.auth.keyset import SECRET_VARIABLE, current_keys, parsed, previous_keys
from pgmq_gateway.settings.model import Settings, SettingsError

SECONDS_PER_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that signs tokens.

    issuer  the claim iss; None: left out
    """

    algorithm: str
    key: bytes | PrivateKey = field(repr=False)
    kid: str | None = None
    issuer: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The first secret or private key of PGRST_JWT_SECRET. Raises SettingsError if there is none."""
        signer = cls._first(current_keys(settings), settings.jwt_issuer)
        if signer is None:
            state = "is not set" if settings.jwt_secret is None else "has public keys only"
            raise SettingsError(f"{SECRET_VARIABLE} {state}: tokens cannot be signed without a secret or a private key")
        return signer

    @classmethod
    def previous(cls, settings: Settings) -> Self | None:
        """The first secret or private key of the previous secret, if any."""
        return cls._first(previous_keys(settings), settings.jwt_issuer)

    @classmethod
    def typed(cls, secret: str, *, is_base64: bool) -> Self:
        """The first secret or private key of a secret that a person typed. Raises BadKey."""
        signer = cls._first(parsed(secret, is_base64=is_base64))
        if signer is None:
            raise BadKey("public keys cannot sign tokens")
        return signer

    @classmethod
    def _first(cls, keys: list[Key], issuers: tuple[str, ...] = ()) -> Self | None:
        issuer = next(iter(issuers), None)
        able = (cls(key.algorithms[0], key.signing, key.kid, issuer) for key in keys if key.signing is not None)
        return next(able, None)

    def sign(self, claims: Mapping[str, object]) -> str:
        issued = {"iss": self.issuer, **claims} if self.issuer else dict(claims)
        return jwt.encode(issued, self.key, self.algorithm, {"kid": self.kid} if self.kid is not None else None)

    @property
    def seed(self) -> bytes:
        """Secret bytes of the key, from which other keys are derived."""
        if isinstance(self.key, bytes):
            return self.key
        return self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def api_key(signer: Signer | bytes, role: str) -> str:
    """The legacy API key of a role: a token without expiry, deterministic for a secret.

    signer  or an HS256 secret
    """
    return _signer(signer).sign({"iss": _signer(signer).issuer or "pgmq-gateway", "role": role})


def token(signer: Signer | bytes, role: str, claims: Mapping[str, object], lifetime: int) -> str:
    """A token for `role` with further `claims`, which expires in `lifetime` seconds."""
    now = int(time.time())
    return _signer(signer).sign({"role": role, "iat": now, "exp": now + lifetime, **claims})


def derived_keys(settings: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The publishable keys, and the secret keys as `name=key`, derived from the current and the previous secret.

    They are valid for as long as the tokens of those secrets. Raises SettingsError if no key can sign.
    """
    signers = {"default": Signer.of(settings), "previous": Signer.previous(settings)}
    pairs = {name: derived(signer.seed) for name, signer in signers.items() if signer is not None}
    return tuple(key for key, _ in pairs.values()), tuple(f"{name}={key}" for name, (_, key) in pairs.items())


def lifetime_seconds(duration: str) -> int:
    """A duration such as `90s`, `15m`, `1h` or `30d` in seconds. Raises ValueError."""
    number, unit = duration[:-1], duration[-1:]
    if unit not in SECONDS_PER_UNIT or not number.isascii() or not number.isdigit() or int(number) == 0:
        raise ValueError(f"{duration} is not a duration: write 90s, 15m, 1h or 30d")
    return int(number) * SECONDS_PER_UNIT[unit]


def _signer(signer: Signer | bytes) -> Signer:
    return Signer("HS256", signer) if isinstance(signer, bytes) else signer
