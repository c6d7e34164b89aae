"""Prefer headers (RFC 7240) as PostgREST reads them (docs/reference/compatibility.md, Prefer)."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from zoneinfo import available_timezones

from pgmq_gateway.errors import InvalidPreferences

# The values of each preference.
VALUES: Mapping[str, tuple[str, ...]] = {
    "resolution": ("merge-duplicates", "ignore-duplicates"),
    "missing": ("default", "null"),
    "return": ("representation", "headers-only", "minimal"),
    "count": ("exact", "planned", "estimated"),
    "tx": ("commit", "rollback"),
    "handling": ("strict", "lenient"),
}
PREFERENCES = frozenset({*VALUES, "timezone", "max-affected", "wait"})
# Preferences of a resource, whose response is not shaped.
OF_RESOURCES = frozenset({"tx", "handling", "wait"})
# The longest wait that a client can ask for has so many digits.
MAX_WAIT_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Preferences:
    """The preferences of a request; None for one that is absent.

    count               exact, planned or estimated
    rollback            whether the transaction is rolled back (tx); None unless db-tx-end allows callers to choose
    handling            strict or lenient
    timezone            the time zone of the results
    given_max_affected  max-affected as sent, whether it applies or not
    wait                seconds for which the client waits for messages (RFC 7240, section 4.3)
    """

    count: str | None = None
    rollback: bool | None = None
    handling: str | None = None
    timezone: str | None = None
    given_max_affected: int | None = None
    wait: int | None = None

    @property
    def applied(self) -> str:
        """The value of Preference-Applied in PostgREST's order; empty if no preference was applied."""
        if self is NO_PREFERENCES:
            return ""
        applied = (
            ("count", self.count),
            ("tx", None if self.rollback is None else "rollback" if self.rollback else "commit"),
            ("handling", self.handling),
            ("timezone", self.timezone),
            ("max-affected", None if self.max_affected is None else str(self.max_affected)),
            ("wait", None if self.wait is None else str(self.wait)),
        )
        return ", ".join(f"{name}={value}" for name, value in applied if value is not None)

    @property
    def max_affected(self) -> int | None:
        """The number of rows above which the call is rolled back. It applies with handling=strict only."""
        return self.given_max_affected if self.handling == "strict" else None

    def rolls_back(self, *, otherwise: bool) -> bool:
        """True if the transaction ends with a rollback. `otherwise`: without a preference, by db-tx-end."""
        return otherwise if self.rollback is None else self.rollback


NO_PREFERENCES = Preferences()


def read_preferences(
    headers: Iterable[str], *, tx_allowed: bool = False, names: Collection[str] = PREFERENCES
) -> Preferences:
    """The preferences in a request's Prefer headers; the first of each name applies.

    tx_allowed  whether callers can choose between commit and rollback (db-tx-end)
    names       the known preferences

    Raises InvalidPreferences for an unknown preference with handling=strict.
    """
    headers = tuple(headers)
    if not headers:
        return NO_PREFERENCES
    found: dict[str, str] = {}
    unknown = []
    for preference in (part.strip() for value in headers for part in value.split(",")):
        name, _, value = preference.partition("=")
        if name not in names or not _known(name, value):
            unknown.append(preference)
        else:
            found.setdefault(name, value)
    if unknown and found.get("handling") == "strict":
        raise InvalidPreferences(
            "Invalid preferences given with handling=strict", f"Invalid preferences: {', '.join(unknown)}"
        )
    return Preferences(
        count=found.get("count"),
        rollback=found["tx"] == "rollback" if tx_allowed and "tx" in found else None,
        handling=found.get("handling"),
        timezone=found.get("timezone"),
        given_max_affected=int(found["max-affected"]) if _is_number(found.get("max-affected", "")) else None,
        wait=int(found["wait"]) if "wait" in found else None,
    )


@cache
def _timezones() -> frozenset[str]:
    # available_timezones() reads a directory tree.
    return frozenset(available_timezones())


def _known(name: str, value: str) -> bool:
    if name == "timezone":
        return value in _timezones()
    if name == "max-affected":
        # PostgREST accepts any value and ignores one that is not a number.
        return True
    if name == "wait":
        return _is_number(value) and len(value) <= MAX_WAIT_DIGITS
    return value in VALUES.get(name, ())


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
