"""Keys for tests that sign tokens, and their JWKs."""

import base64
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

CURVES: dict[str, type[Any]] = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}


@dataclass(frozen=True)
class Pair:
    """A private key and its algorithms."""

    kid: str
    private: Any
    algorithms: tuple[str, ...]

    def jwk(self, *, private: bool = False, **members: object) -> dict[str, object]:
        """The JWK, public by default, with further members (None removes one)."""
        key = self.private if private else self.private.public_key()
        reader: Any = {"R": RSAAlgorithm, "P": RSAAlgorithm, "E": ECAlgorithm}[self.algorithms[0][0]]
        if self.algorithms == ("EdDSA",):
            reader = OKPAlgorithm
        found = {name: value for name, value in json.loads(reader.to_jwk(key)).items() if name != "key_ops"}
        return {name: value for name, value in {**found, "kid": self.kid, **members}.items() if value is not None}

    def token(self, algorithm: str | None = None, *, kid: str | None = "", **claims: object) -> str:
        """A token of an authenticated user. kid: empty: the key's own; None: without one."""
        header = {} if kid is None else {"kid": kid or self.kid}
        payload = {"role": "authenticated", **claims}
        return jwt.encode(payload, self.private, algorithm or self.algorithms[0], header)


@cache
def rsa_pair(kid: str = "rsa", bits: int = 2048) -> Pair:
    """An RSA key; cached, because generating one is slow."""
    private = rsa.generate_private_key(65537, bits)
    return Pair(kid, private, ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"))


@cache
def curve_pair(algorithm: str = "ES256", kid: str = "") -> Pair:
    """A key on the algorithm's curve."""
    return Pair(kid or algorithm.lower(), ec.generate_private_key(CURVES[algorithm]()), (algorithm,))


@cache
def edwards_pair(kid: str = "ed") -> Pair:
    """An Ed25519 key."""
    return Pair(kid, ed25519.Ed25519PrivateKey.generate(), ("EdDSA",))


@cache
def goldilocks_pair(kid: str = "ed448") -> Pair:
    """An Ed448 key."""
    return Pair(kid, ed448.Ed448PrivateKey.generate(), ("EdDSA",))


def secret_jwk(secret: bytes, **members: object) -> dict[str, object]:
    """The JWK of a secret."""
    return {"kty": "oct", "k": base64.urlsafe_b64encode(secret).rstrip(b"=").decode(), **members}
