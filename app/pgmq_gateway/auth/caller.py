"""The identity that a request runs with."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Caller:
    """The Postgres role that a request runs in, and its claims as JSON text for `request.jwt.claims`.

    key_name  the name of its secret key, for the log of actions; calls of equal role and claims can share a transaction
    """

    role: str
    claims: str
    anonymous: bool
    key_name: str = field(default="", compare=False)

    def __hash__(self) -> int:
        # A string keeps its hash, and the claims name the role. This one is computed several times a request.
        return hash(self.claims)
