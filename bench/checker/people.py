"""Identities of callers, by claim, by role and by a header only, with rotating tokens."""

import itertools
import random
import time
from dataclasses import dataclass, field

import jwt

from pgmq_gateway.auth.signing import token

TOKEN_SECONDS = 3600
# Identities by role (`current_user`); the second has a short statement timeout.
TEAMS = ("team_a", "team_b")
# Identities with equal claims. The header X-Owner distinguishes all but the first, which does not send it.
GUEST = "guest"
GUESTS = (GUEST, "guest1", "guest2", "guest3")
OWNER_HEADER = "X-Owner"
ROTATED_PERCENT = 2

_numbers = itertools.count(1)


@dataclass(slots=True)
class Caller:
    """A role and claims. `name` is the claim `sub`, or that of the role."""

    name: str
    role: str
    secret: bytes
    _token: str = field(default="", repr=False)

    def token(self, chance: random.Random) -> str:
        """A valid token, mostly the same as before."""
        if not self._token or chance.randrange(100) < ROTATED_PERCENT:
            claims = {"sub": self.name} if self.role == "authenticated" else {}
            self._token = token(self.secret, self.role, {**claims, "jti": next(_numbers)}, TOKEN_SECONDS)
        return self._token


@dataclass(frozen=True, slots=True)
class Person:
    """An identity; `owner` is the name in its messages."""

    owner: str
    caller: Caller

    @property
    def headers(self) -> dict[str, str]:
        """The headers that distinguish it from others with equal claims."""
        return {OWNER_HEADER: self.owner} if self.owner != self.caller.name else {}

    def token(self, chance: random.Random) -> str:
        """A valid token, mostly the same as before."""
        return self.caller.token(chance)

    def forged(self, chance: random.Random) -> str:
        """A token that must be rejected: signed with another secret, unsigned, or expired."""
        role, secret = self.caller.role, self.caller.secret
        claims = {"role": role, "sub": self.owner, "exp": int(time.time()) + TOKEN_SECONDS}
        return chance.choice(
            (
                token(b"a secret that somebody else has, and long", role, {"sub": self.owner}, TOKEN_SECONDS),
                jwt.encode(claims, "", algorithm="none"),
                jwt.encode({**claims, "exp": int(time.time()) - TOKEN_SECONDS}, secret, algorithm="HS256"),
            )
        )


def people(secret: bytes, users: int, *, teams: bool = True) -> list[Person]:
    """So many users, identified by a claim, guests, by a header, and the teams, which are roles."""
    roles = [Caller(team, team, secret) for team in TEAMS] if teams else []
    callers = [Caller(f"user{number}", "authenticated", secret) for number in range(users)] + roles
    guest = Caller(GUEST, "authenticated", secret)
    return [Person(caller.name, caller) for caller in callers] + [Person(owner, guest) for owner in GUESTS]
