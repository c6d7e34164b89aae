"""Who calls: identities by claim and by role, whose tokens change while they work."""

import itertools
import random
import time
from dataclasses import dataclass, field

import jwt

from pgmq_gateway.auth.signing import token

HOUR = 3600
# Whose policies say `current_user`; calls of the second have little time.
TEAMS = ("team_a", "team_b")
# How many of a hundred calls come with a new token.
ROTATED_PERCENT = 2

_numbers = itertools.count(1)


@dataclass(slots=True)
class Person:
    """An identity; `owner` is what the messages that belong to it say."""

    owner: str
    role: str
    secret: bytes
    _token: str = field(default="", repr=False)

    def token(self, chance: random.Random) -> str:
        """A token that is good, mostly the same as last time."""
        if not self._token or chance.randrange(100) < ROTATED_PERCENT:
            claims = {"sub": self.owner} if self.role == "authenticated" else {}
            self._token = token(self.secret, self.role, {**claims, "jti": next(_numbers)}, HOUR)
        return self._token

    def forged(self, chance: random.Random) -> str:
        """A token that must not be let in: signed by somebody else, signed by nobody, or expired."""
        claims = {"role": self.role, "sub": self.owner, "exp": int(time.time()) + HOUR}
        return chance.choice(
            (
                token(b"a secret that somebody else has, and long", self.role, {"sub": self.owner}, HOUR),
                jwt.encode(claims, "", algorithm="none"),
                jwt.encode({**claims, "exp": int(time.time()) - HOUR}, self.secret, algorithm="HS256"),
            )
        )


def people(secret: bytes, users: int, *, teams: bool = True) -> list[Person]:
    """So many users, each with a claim of its own, and the teams, which are roles."""
    roles = [Person(team, team, secret) for team in TEAMS] if teams else []
    return [Person(f"user{number}", "authenticated", secret) for number in range(users)] + roles
