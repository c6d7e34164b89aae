"""One key that verifies tokens, read from a JWK or a text, and the algorithms that it may be used with.

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
from pgmq_gateway.settings.model import SHORTEST_SECRET

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey
PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey | Ed448PrivateKey

# RFC 7518, section 3.2: the key of an HMAC has at least the bytes of its hash.
HASH_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
CURVE_ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
ASYMMETRIC = frozenset({*RSA_ALGORITHMS, *CURVE_ALGORITHMS.values(), "EdDSA"})
# Bits: RFC 7518, section 3.3, and what one verification may cost.
SMALLEST_MODULUS, LARGEST_MODULUS = 2048, 8192

_READERS: Mapping[str, type[Algorithm]] = {
    "oct": HMACAlgorithm,
    "RSA": RSAAlgorithm,
    "EC": ECAlgorithm,
    "OKP": OKPAlgorithm,
}
# What the readers raise for members that make no key.
_MISREAD = (jwt.PyJWTError, ValueError, KeyError, TypeError, AttributeError, UnsupportedAlgorithm)


class BadKey(Exception):
    """What was given makes no key that tokens could be verified with; the message says why, without the key."""


class OtherUse(BadKey):
    """A key that is for something else, such as encryption, and may well stand in a set."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key, and all that it may verify: HMACs or signatures, never both.

    kid        what a token's header may call it; None: nothing
    verifying  a secret, or a public key
    signing    what makes tokens of this key: the secret, or the private key; None for who can only verify
    """

    kid: str | None
    algorithms: tuple[str, ...]
    verifying: bytes | PublicKey = field(repr=False)
    signing: bytes | PrivateKey | None = field(repr=False, compare=False, default=None)


def from_secret(secret: bytes) -> Key:
    """A secret that is no JWK: for HS256 alone, as in PostgREST, however long it is. Raises BadKey."""
    if len(secret) < SHORTEST_SECRET:
        raise BadKey(f"the secret must have at least {SHORTEST_SECRET} bytes; make one with: openssl rand -hex 32")
    try:
        # Whoever has a public key could sign with it, were it taken for a secret.
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except jwt.InvalidKeyError:
        raise BadKey("a public key or a certificate is no secret; write a public key as a JWK") from None
    return Key(None, ("HS256",), secret, secret)


def from_jwk(jwk: object) -> Key:
    """The key that a JWK describes. Raises OtherUse for one that is not for tokens, else BadKey."""
    if not isinstance(jwk, dict):
        raise BadKey("a key must be a JSON object")
    kid, kind, algorithm = (_text(jwk, name) for name in ("kid", "kty", "alg"))
    _check_use(jwk)
    if kind is None or kind not in _READERS:
        raise BadKey(f"its kty must be one of {', '.join(_READERS)}")
    if algorithm is not None and algorithm not in HASH_BYTES and algorithm not in ASYMMETRIC:
        raise OtherUse("its alg is not one that verifies tokens")
    try:
        material: Any = _READERS[kind].from_jwk(jwk)
    except _MISREAD:
        raise BadKey(f"its members make no key of kty {kind}") from None
    verifying = material.public_key() if isinstance(material, PrivateKey) else material
    possible = _algorithms(verifying)
    if algorithm is not None and algorithm not in possible:
        raise BadKey(f"it is not of the kind or the size that its alg {algorithm} needs")
    signs = isinstance(material, bytes | PrivateKey) and "sign" in jwk.get("key_ops", ("sign",))
    return Key(kid, (algorithm,) if algorithm else possible, verifying, material if signs else None)


def members(text: str) -> list[object]:
    """The keys of a JWKS document, or a JWK as the only one, not looked into. Raises BadKey."""
    try:
        document = strictjson.loads(text, unique=True)
    except (ValueError, RecursionError):
        raise BadKey("it is not JSON, or not all of it") from None
    if isinstance(document, dict) and isinstance(keys := document.get("keys"), list):
        return keys
    if isinstance(document, dict) and "kty" in document:
        return [document]
    raise BadKey('it is neither a JWK nor a set of them: {"keys": […]}')


def check_distinct(keys: Iterable[Key]) -> None:
    """Raise BadKey when a kid could mean more than one of these keys."""
    seen: set[str] = set()
    for kid in (key.kid for key in keys if key.kid is not None):
        if kid in seen:
            raise BadKey(f"two keys have the kid {kid!r}")
        seen.add(kid)


def _text(jwk: Mapping[str, object], name: str) -> str | None:
    value = jwk.get(name)
    if value is not None and not isinstance(value, str):
        raise BadKey(f"its {name} must be a string")
    return value


def _check_use(jwk: Mapping[str, object]) -> None:
    if _text(jwk, "use") not in (None, "sig"):
        raise OtherUse("its use is not sig")
    uses = jwk.get("key_ops", ["verify"])
    if not isinstance(uses, list) or not all(isinstance(use, str) for use in uses):
        raise BadKey("its key_ops must be an array of strings")
    # Who may sign with a key can also tell what was signed with it.
    if "verify" not in uses and not ("sign" in uses and ("d" in jwk or "k" in jwk)):
        raise OtherUse("its key_ops do not include verify")


def _algorithms(verifying: bytes | PublicKey) -> tuple[str, ...]:
    """All that this key could verify. Raises BadKey for one that is too weak, or too big."""
    match verifying:
        case bytes():
            if len(verifying) < SHORTEST_SECRET:
                raise BadKey(f"a secret must have at least {SHORTEST_SECRET} bytes")
            return tuple(name for name, size in HASH_BYTES.items() if len(verifying) >= size)
        case RSAPublicKey():
            if not SMALLEST_MODULUS <= verifying.key_size <= LARGEST_MODULUS:
                raise BadKey(f"an RSA key must have {SMALLEST_MODULUS} to {LARGEST_MODULUS} bits")
            return RSA_ALGORITHMS
        case EllipticCurvePublicKey():
            if verifying.curve.name not in CURVE_ALGORITHMS:
                raise BadKey("its crv must be P-256, P-384 or P-521")
            return (CURVE_ALGORITHMS[verifying.curve.name],)
        case _:
            return ("EdDSA",)
