"""What is wrong with an installation, in words."""

from dataclasses import dataclass
from typing import Literal

# revoked and kept: the operator's decision, which the installer leaves as it is.
Kind = Literal["missing", "not installed", "changed", "outdated", "wrong owner", "open", "revoked", "kept"]
_REPAIRS = {"missing": "restored", "not installed": "installed", "wrong owner": "took over", "open": "revoked"}


class InstallError(Exception):
    """Why a database cannot be installed, in one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between a database and this version.

    what  names the thing as an operator knows it: "role authenticator", "EXECUTE on function … for …"
    """

    kind: Kind
    what: str

    @property
    def accepted(self) -> bool:
        """Whether `install` leaves it as it is."""
        return self.kind in ("revoked", "kept")

    @property
    def repair(self) -> str:
        """What `install` did about it."""
        return f"{_REPAIRS.get(self.kind, 'replaced')}: {self.what}"

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"
