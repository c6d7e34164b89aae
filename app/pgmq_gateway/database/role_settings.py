"""Settings that apply to the transaction of a call: those of ALTER ROLE … SET and ALTER FUNCTION … SET."""

from collections.abc import Sequence
from dataclasses import dataclass

from pgmq_gateway.database.units import seconds


@dataclass(frozen=True, slots=True)
class TransactionSettings:
    """The settings of one role or one function.

    pairs              alternating names and values, applied with SET LOCAL
    statement_timeout  seconds; 0: none, None: not set. The gateway enforces it, because Postgres ignores a
                       statement_timeout that is set within the running statement
    isolation          default_transaction_isolation, which is needed before the transaction begins; None: not set
    """

    pairs: tuple[str, ...] = ()
    statement_timeout: float | None = None
    isolation: str | None = None

    @classmethod
    def of(cls, pairs: Sequence[str]) -> "TransactionSettings":
        """From alternating names and values; the last value of a name applies."""
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
