"""The time for which a caller's token is accepted."""

import math
from collections.abc import Callable

import msgspec

from pgmq_gateway.auth.authenticator import CLOCK_SKEW_SECONDS
from pgmq_gateway.auth.caller import Caller


class Expiry(msgspec.Struct, frozen=True):
    """The claim that limits how long a token is valid, in epoch seconds."""

    exp: float | None = None


_expiry = msgspec.json.Decoder(Expiry)


def expires_in(caller: Caller, wall_clock: Callable[[], float]) -> float:
    """Seconds until the token is rejected, which is some time after it expires; infinite without the claim.

    A wait that ended earlier would be repeated at once, again and again.
    """
    try:
        exp = _expiry.decode(caller.claims).exp
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        exp = None
    return math.inf if exp is None else exp + CLOCK_SKEW_SECONDS - wall_clock()
