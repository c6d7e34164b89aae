"""Tokens for callers that have no identity provider: the two API keys, and ones made to measure."""

import time
from collections.abc import Mapping

import jwt

from app.auth import ALGORITHM

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def api_key(secret: bytes, role: str) -> str:
    """The key of a role: a token that never expires and is the same each time, as long as the secret is."""
    return jwt.encode({"iss": "pgmq-gateway", "role": role}, secret, algorithm=ALGORITHM)


def token(secret: bytes, role: str, claims: Mapping[str, object], lifetime: int) -> str:
    """A token for `role` with more `claims`, good for `lifetime` seconds from now."""
    now = int(time.time())
    return jwt.encode({"role": role, "iat": now, "exp": now + lifetime, **claims}, secret, algorithm=ALGORITHM)


def seconds(duration: str) -> int:
    """A duration as `90s`, `15m`, `1h` or `30d` in seconds. Raises ValueError."""
    number, unit = duration[:-1], duration[-1:]
    if unit not in UNITS or not number.isascii() or not number.isdigit() or int(number) == 0:
        raise ValueError(f"{duration} is no duration: write 90s, 15m, 1h or 30d")
    return int(number) * UNITS[unit]
