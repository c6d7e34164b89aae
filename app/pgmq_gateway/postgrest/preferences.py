"""What a client asks for in its Prefer headers (RFC 7240), as PostgREST understands it (wire contract, section 7)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from zoneinfo import available_timezones

from pgmq_gateway.errors import InvalidPreferences

# Values that each preference may have, in the order in which those that were followed are listed.
KNOWN: Mapping[str, tuple[str, ...]] = {
    "resolution": ("merge-duplicates", "ignore-duplicates"),
    "missing": ("default", "null"),
    "return": ("representation", "headers-only", "minimal"),
    "count": ("exact", "planned", "estimated"),
    "tx": ("commit", "rollback"),
    "handling": ("strict", "lenient"),
}


@dataclass(frozen=True, slots=True)
class Preferences:
    """The preferences of a request; None where it has none.

    count         exact, planned or estimated
    rollback      whether the call is to leave nothing behind; None where the gateway does not let callers choose
    handling      strict or lenient
    timezone      the time zone of the call's results
    max_affected  how many rows a call may return before it is rolled back; counts only with handling=strict
    """

    count: str | None = None
    rollback: bool | None = None
    handling: str | None = None
    timezone: str | None = None
    max_affected: int | None = None

    @property
    def applied(self) -> str:
        """The value of Preference-Applied; empty when nothing was followed."""
        if self is NOTHING:
            return ""
        followed = (
            ("count", self.count),
            ("tx", None if self.rollback is None else "rollback" if self.rollback else "commit"),
            ("handling", self.handling),
            ("timezone", self.timezone),
            ("max-affected", None if self.limit is None else str(self.limit)),
        )
        return ", ".join(f"{name}={value}" for name, value in followed if value is not None)

    @property
    def limit(self) -> int | None:
        """max-affected, where it counts."""
        return self.max_affected if self.handling == "strict" else None


NOTHING = Preferences()


def read_preferences(headers: Iterable[str], *, may_choose_end: bool = False) -> Preferences:
    """The preferences in the values of a request's Prefer headers: the first of a kind counts.

    may_choose_end  whether callers may choose between commit and rollback (db-tx-end)

    Raises InvalidPreferences for anything unknown, with handling=strict.
    """
    headers = tuple(headers)
    if not headers:
        return NOTHING
    asked = [part.strip() for value in headers for part in value.split(",")]
    found: dict[str, str] = {}
    unknown = []
    for preference in asked:
        name, _, value = preference.partition("=")
        if not _known(name, value):
            unknown.append(preference)
        else:
            found.setdefault(name, value)
    if unknown and found.get("handling") == "strict":
        raise InvalidPreferences(
            "Invalid preferences given with handling=strict", f"Invalid preferences: {', '.join(unknown)}"
        )
    return Preferences(
        count=found.get("count"),
        rollback=found["tx"] == "rollback" if may_choose_end and "tx" in found else None,
        handling=found.get("handling"),
        timezone=found.get("timezone"),
        max_affected=int(found["max-affected"]) if _is_number(found.get("max-affected", "")) else None,
    )


@cache
def _timezones() -> frozenset[str]:
    # Looking them up reads a tree of files.
    return frozenset(available_timezones())


def _known(name: str, value: str) -> bool:
    if name == "timezone":
        return value in _timezones()
    if name == "max-affected":
        # PostgREST takes the first one, and asks for nothing when that is no number.
        return True
    return value in KNOWN.get(name, ())


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
