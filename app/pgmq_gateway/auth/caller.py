"""The identity that a request runs with."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """The Postgres role that a request runs in, and its claims as JSON text for `request.jwt.claims`."""

    role: str
    claims: str
    anonymous: bool

    def __hash__(self) -> int:
        # A string keeps its hash, and the claims name the role. This one is computed several times a request.
        return hash(self.claims)
