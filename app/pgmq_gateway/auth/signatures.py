"""Verification of signatures by PyJWT, with PostgREST's reading of kid and the length check of RFC 8017."""

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAPSSAlgorithm


class Signatures(jwt.PyJWS):
    def __init__(self) -> None:
        super().__init__()
        for name in ("PS256", "PS384", "PS512"):
            self.unregister_algorithm(name)
            self.register_algorithm(name, _PSS(getattr(RSAPSSAlgorithm, f"SHA{name[2:]}")))

    def _validate_kid(self, kid: object) -> None:
        """Null is as absent, as in PostgREST: some issuers write it where they have a single key."""
        if kid is not None:
            super()._validate_kid(kid)


class _PSS(RSAPSSAlgorithm):
    def verify(self, msg: bytes, key: RSAPublicKey, sig: bytes) -> bool:
        """RFC 8017, section 8.1.2, step 1. OpenSSL also accepts a signature without its leading zeros."""
        return len(sig) == (key.key_size + 7) // 8 and super().verify(msg, key, sig)
