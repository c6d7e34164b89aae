"""The identity that a request runs with."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """The Postgres role that a request runs in, and its claims as JSON text for `request.jwt.claims`."""

    role: str
    claims: str
    anonymous: bool
