"""Identities of callers, by claim and by role, with rotating tokens."""

import itertools
import random
import time
from dataclasses import dataclass, field

import jwt

from pgmq_gateway.auth.signing import token

TOKEN_SECONDS = 3600
# Identities by role (`current_user`); the second has a short statement timeout.
TEAMS = ("team_a", "team_b")
ROTATED_PERCENT = 2

_numbers = itertools.count(1)


@dataclass(slots=True)
class Person:
    """An identity; `owner` is the name in its messages."""

    owner: str
    role: str
    secret: bytes
    _token: str = field(default="", repr=False)

    def token(self, chance: random.Random) -> str:
        """A valid token, mostly the same as before."""
        if not self._token or chance.randrange(100) < ROTATED_PERCENT:
            claims = {"sub": self.owner} if self.role == "authenticated" else {}
            self._token = token(self.secret, self.role, {**claims, "jti": next(_numbers)}, TOKEN_SECONDS)
        return self._token

    def forged(self, chance: random.Random) -> str:
        """A token that must be rejected: signed with another secret, unsigned, or expired."""
        claims = {"role": self.role, "sub": self.owner, "exp": int(time.time()) + TOKEN_SECONDS}
        return chance.choice(
            (
                token(b"a secret that somebody else has, and long", self.role, {"sub": self.owner}, TOKEN_SECONDS),
                jwt.encode(claims, "", algorithm="none"),
                jwt.encode({**claims, "exp": int(time.time()) - TOKEN_SECONDS}, self.secret, algorithm="HS256"),
            )
        )


def people(secret: bytes, users: int, *, teams: bool = True) -> list[Person]:
    """So many users, identified by a claim, and the teams, which are roles."""
    roles = [Person(team, team, secret) for team in TEAMS] if teams else []
    return [Person(f"user{number}", "authenticated", secret) for number in range(users)] + roles
