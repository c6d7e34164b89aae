"""Points of the curves of EdDSA that must not be public keys (RFC 8032, sections 5.1.3 and 5.2.3)."""

from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ED25519_PRIME = 2**255 - 19
ED448_PRIME = 2**448 - 2**224 - 1
# The coordinate y of two of the points of order 8; the other two have -y.
ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
# The coordinates y of all points of small order: the cofactors are 8 and 4.
ED25519_SMALL_ORDER = {0, 1, ED25519_PRIME - 1, ORDER_8, ED25519_PRIME - ORDER_8}
ED448_SMALL_ORDER = {0, 1, ED448_PRIME - 1}


def is_weak(key: Ed25519PublicKey | Ed448PublicKey) -> bool:
    """True for a point of small order, with which a signature fits any text, and for y written as y + p.

    OpenSSL accepts both.
    """
    raw = key.public_bytes_raw()
    # The highest bit is the sign of x.
    y = int.from_bytes(raw, "little") & ~(1 << 8 * len(raw) - 1)
    if isinstance(key, Ed25519PublicKey):
        return y >= ED25519_PRIME or y in ED25519_SMALL_ORDER
    return y >= ED448_PRIME or y in ED448_SMALL_ORDER
