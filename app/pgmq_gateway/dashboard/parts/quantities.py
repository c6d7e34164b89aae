"""Numbers, durations and sizes as text; `-` for None."""

from datetime import datetime

TIME_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
# The smallest count that is written in millions.
MIN_COUNT_IN_MILLIONS = 10_000_000
SIZE_UNITS = ("B", "kB", "MB", "GB", "TB")


def count(number: float | None, *, exact: bool = True) -> str:
    """A count, with ~ before an estimate."""
    if number is None:
        return "-"
    return ("" if exact else "~") + (f"{number:,.0f}" if number < MIN_COUNT_IN_MILLIONS else f"{number / 1e6:,.1f}M")


def age(seconds: float | None) -> str:
    """A duration in its two largest units; from 100 of the largest on, in that one alone."""
    if seconds is None:
        return "-"
    left = int(max(0.0, seconds))
    for index, (size, unit) in enumerate(TIME_UNITS):
        if left >= size and index + 1 < len(TIME_UNITS):
            whole, rest = divmod(left, size)
            below, name = TIME_UNITS[index + 1]
            return f"{whole}{unit} {rest // below}{name}" if whole < 100 else f"{whole}{unit}"
    return f"{left}s"


def seconds_between(time: str, now: datetime) -> float | None:
    """Seconds from a time in JSON of Postgres; None for infinity, no zone, and years that datetime lacks."""
    try:
        return (now - datetime.fromisoformat(time)).total_seconds()
    except (ValueError, TypeError):
        return None


def age_of(time: str, now: datetime, ago: str = "") -> str:
    """The age of a time, with `ago` after it; the time itself if datetime does not have it."""
    seconds = seconds_between(time, now)
    return time if seconds is None else age(seconds) + ago


def rate(per_second: float | None) -> str:
    if per_second is None:
        return "-"
    if 0 < per_second < 0.05:
        return "<0.1"
    return f"{per_second:,.0f}" if per_second >= 100 or per_second == 0 else f"{per_second:.1f}"


def size(number: float | None) -> str:
    if number is None:
        return "-"
    unit = 0
    while number >= 1000 and unit < len(SIZE_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.0f} {SIZE_UNITS[unit]}" if unit == 0 or number >= 100 else f"{number:.1f} {SIZE_UNITS[unit]}"


def duration(seconds: float | None) -> str:
    """A latency, in milliseconds below one second."""
    if seconds is None:
        return "-"
    if seconds >= 1:
        return f"{seconds:.1f} s"
    milliseconds = 1000 * seconds
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"


def share(part: float | None) -> str:
    """A fraction as a percentage."""
    return "-" if part is None else f"{100 * part:.1f} %"
