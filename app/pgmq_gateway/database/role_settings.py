"""What holds for the transaction of a call beyond its role and claims: settings, a time limit, an isolation level."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# PostgreSQL's units of time for settings; statement_timeout without a unit is in milliseconds.
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "": 1e-3}


@dataclass(frozen=True, slots=True)
class TransactionSettings:
    """What ALTER ROLE … SET or ALTER FUNCTION … SET says.

    pairs      names and values in turn, to be set for the transaction
    timeout    seconds that the call may take, from statement_timeout: set inside a statement that runs already,
               Postgres would not heed it, so the gateway keeps it; 0 for no limit, None for nothing said
    isolation  from default_transaction_isolation: it has to be known before the transaction begins; None for nothing
               said
    """

    pairs: tuple[str, ...] = ()
    timeout: float | None = None
    isolation: str | None = None

    @classmethod
    def of(cls, pairs: Sequence[str]) -> "TransactionSettings":
        """From names and values in turn; the last of a name counts."""
        if not pairs:
            return DEFAULTS
        named = dict(zip(pairs[::2], pairs[1::2], strict=True))
        isolation = named.pop("default_transaction_isolation", None)
        return cls(
            tuple(text for pair in named.items() for text in pair),
            seconds(named.get("statement_timeout")),
            isolation and isolation.lower(),
        )


DEFAULTS = TransactionSettings()


def seconds(text: str | None) -> float | None:
    """What a setting says in PostgreSQL's units of time; None for what says nothing."""
    found = re.fullmatch(r"\s*([0-9.]+)\s*([a-z]*)\s*", text or "")
    if found is None or found[2] not in SECONDS:
        return None
    return float(found[1]) * SECONDS[found[2]]
