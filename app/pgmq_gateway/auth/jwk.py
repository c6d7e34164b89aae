"""A key that verifies tokens, read from a JWK or a plain secret, and the algorithms it is allowed for.

RFC 7517 (JWK), RFC 7518 (algorithms and sizes), RFC 8037 (EdDSA).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey, Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from jwt.algorithms import Algorithm, ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm

from pgmq_gateway import strictjson
from pgmq_gateway.auth.edwards import is_weak
from pgmq_gateway.settings.model import MIN_SECRET_BYTES, secret_too_short

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey
PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey | Ed448PrivateKey

# RFC 7518, section 3.2: the key of an HMAC is at least as long as its hash.
HASH_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
CURVE_ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
ASYMMETRIC = frozenset({*RSA_ALGORITHMS, *CURVE_ALGORITHMS.values(), "EdDSA"})
# The minimum of RFC 7518, section 3.3; the maximum bounds the cost of one verification.
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192
# OpenSSL's own maximum for moduli of more than 3072 bits. The cost of a verification grows with it.
MAX_RSA_EXPONENT_BITS = 64
# RFC 7518, sections 6.2.2, 6.3.2 and 6.4.1. Each private key and each secret has one of them.
SECRET_MEMBERS = frozenset({"d", "k"})

_READERS: Mapping[str, type[Algorithm]] = {
    "oct": HMACAlgorithm,
    "RSA": RSAAlgorithm,
    "EC": ECAlgorithm,
    "OKP": OKPAlgorithm,
}
# Raised by the readers for invalid members.
_INVALID_MEMBERS = (jwt.PyJWTError, ValueError, KeyError, TypeError, AttributeError, UnsupportedAlgorithm)


class BadKey(Exception):
    """The text is not a key that can verify tokens; the message gives the reason without the key."""


class OtherUse(BadKey):
    """A key for another use, such as encryption, which is legal in a set."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key and its algorithms: all of HMAC, or all of signatures.

    kid        key ID in the header of tokens; None: without one
    verifying  the secret or the public key
    signing    the secret or the private key; None: verifies only
    """

    kid: str | None
    algorithms: tuple[str, ...]
    verifying: bytes | PublicKey = field(repr=False)
    signing: bytes | PrivateKey | None = field(repr=False, compare=False, default=None)


def from_secret(secret: bytes) -> Key:
    """A plain secret, not a JWK: for HS256 only, as in PostgREST, whatever its length. Raises BadKey."""
    if len(secret) < MIN_SECRET_BYTES:
        raise BadKey(secret_too_short(len(secret)))
    try:
        # With a public key as an HMAC secret, anyone could sign tokens (algorithm confusion).
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except jwt.InvalidKeyError:
        raise BadKey("a public key or a certificate cannot be a secret: write the public key as a JWK") from None
    return Key(None, ("HS256",), secret, secret)


def from_jwk(jwk: object) -> Key:
    """The key that a JWK describes. Raises OtherUse for one of another use, else BadKey."""
    if not isinstance(jwk, dict):
        raise BadKey("a key must be a JSON object")
    kid, kind, algorithm = (_text(jwk, name) for name in ("kid", "kty", "alg"))
    _check_use(jwk)
    if kind is None or kind not in _READERS:
        raise BadKey(f"kty must be one of {', '.join(_READERS)}")
    if algorithm is not None and algorithm not in HASH_BYTES and algorithm not in ASYMMETRIC:
        raise OtherUse("alg is not an algorithm for tokens")
    try:
        material: Any = _READERS[kind].from_jwk(jwk)
    except _INVALID_MEMBERS:
        raise BadKey(f"the members of kty {kind} are missing or invalid") from None
    verifying = material.public_key() if isinstance(material, PrivateKey) else material
    possible = _algorithms(verifying)
    if algorithm is not None and algorithm not in possible:
        raise BadKey(f"kty, crv or size does not fit alg {algorithm}")
    signs = isinstance(material, bytes | PrivateKey) and "sign" in jwk.get("key_ops", ("sign",))
    return Key(kid, (algorithm,) if algorithm else possible, verifying, material if signs else None)


def from_published_jwk(jwk: object) -> Key:
    """The public key that a published JWK describes. Raises OtherUse, or BadKey.

    A secret or private key, which anyone could fetch and sign with, is refused before it is read: recovering the
    factors of one RSA key takes a second.
    """
    if isinstance(jwk, dict) and not SECRET_MEMBERS.isdisjoint(jwk):
        raise BadKey("a published secret or private key is not accepted")
    return from_jwk(jwk)


def members(text: str) -> list[object]:
    """The keys of a JWKS document, or the single JWK, not parsed further. Raises BadKey."""
    try:
        document = strictjson.loads(text, unique=True)
    except (ValueError, RecursionError):
        raise BadKey("invalid JSON, or an object has a member twice") from None
    if isinstance(document, dict) and isinstance(keys := document.get("keys"), list):
        return keys
    if isinstance(document, dict) and "kty" in document:
        return [document]
    raise BadKey('neither a JWK nor a JWK set, {"keys": […]}')


def check_distinct(keys: Iterable[Key]) -> None:
    """Raises BadKey if two keys have the same kid."""
    seen: set[str] = set()
    for kid in (key.kid for key in keys if key.kid is not None):
        if kid in seen:
            raise BadKey(f"two keys have the kid {kid!r}")
        seen.add(kid)


def _text(jwk: Mapping[str, object], name: str) -> str | None:
    value = jwk.get(name)
    if value is not None and not isinstance(value, str):
        raise BadKey(f"{name} must be a string")
    return value


def _check_use(jwk: Mapping[str, object]) -> None:
    if _text(jwk, "use") not in (None, "sig"):
        raise OtherUse("use is not sig")
    uses = jwk.get("key_ops", ["verify"])
    if not isinstance(uses, list) or not all(isinstance(use, str) for use in uses):
        raise BadKey("key_ops must be an array of strings")
    # A private key or secret that signs can verify too.
    if "verify" not in uses and not ("sign" in uses and ("d" in jwk or "k" in jwk)):
        raise OtherUse("key_ops do not include verify")


def _algorithms(verifying: bytes | PublicKey) -> tuple[str, ...]:
    """All algorithms that this key supports. Raises BadKey for a key that is too weak or too large."""
    match verifying:
        case bytes():
            if len(verifying) < MIN_SECRET_BYTES:
                raise BadKey(f"k has {len(verifying)} bytes and needs at least {MIN_SECRET_BYTES}")
            return tuple(name for name, size in HASH_BYTES.items() if len(verifying) >= size)
        case RSAPublicKey():
            if not MIN_RSA_BITS <= verifying.key_size <= MAX_RSA_BITS:
                raise BadKey(f"the RSA key has {verifying.key_size} bits and needs {MIN_RSA_BITS} to {MAX_RSA_BITS}")
            if verifying.public_numbers().e.bit_length() > MAX_RSA_EXPONENT_BITS:
                raise BadKey(f"e has more than {MAX_RSA_EXPONENT_BITS} bits")
            return RSA_ALGORITHMS
        case EllipticCurvePublicKey():
            if verifying.curve.name not in CURVE_ALGORITHMS:
                raise BadKey("crv must be P-256, P-384 or P-521")
            return (CURVE_ALGORITHMS[verifying.curve.name],)
        case _:
            if is_weak(verifying):
                raise BadKey("x is not a point of large order in its shortest form")
            return ("EdDSA",)
