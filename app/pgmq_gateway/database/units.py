"""PostgreSQL's units of time, as in the value of statement_timeout."""

import re

# A number without a unit is in milliseconds.
SECONDS_PER_UNIT = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "": 1e-3}


def seconds(text: str | None) -> float | None:
    """The duration that a setting's value states; None where the setting is not given or cannot be read."""
    found = re.fullmatch(r"\s*([0-9.]+)\s*([a-z]*)\s*", text or "")
    if found is None or found[2] not in SECONDS_PER_UNIT:
        return None
    return float(found[1]) * SECONDS_PER_UNIT[found[2]]
