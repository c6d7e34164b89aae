"""Differences between a database and this version, as lines for the operator."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "missing",
    "not installed",
    "changed",
    "outdated",
    "wrong owner",
    "open",
    "revoked",
    "kept",
    "orphaned",
    "incomplete",
]
_ACCEPTED: tuple[Kind, ...] = ("revoked", "kept", "orphaned", "incomplete")
_REPAIRS = {"missing": "restored", "not installed": "installed", "wrong owner": "took over", "open": "revoked"}


class InstallError(Exception):
    """The installation failed; the message is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between a database and this version.

    what  the object: "role authenticator", "EXECUTE on function … for …"
    """

    kind: Kind
    what: str

    @property
    def accepted(self) -> bool:
        """True if `install` leaves the difference to the operator."""
        return self.kind in _ACCEPTED

    @property
    def repair(self) -> str:
        """The line that reports the repair."""
        return f"{_REPAIRS.get(self.kind, 'replaced')}: {self.what}"

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"
