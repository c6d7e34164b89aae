"""Numbers, times and sizes in words."""

from datetime import datetime

UNITS = ((86400, "d"), (3600, "h"), (60, "min"))
SIZES = ("B", "kB", "MB", "GB", "TB")


def count(number: float | None, *, exact: bool = True) -> str:
    """A number of things; ~ says that it is an estimate."""
    return "-" if number is None else f"{'' if exact else '~'}{number:,.0f}"


def age(seconds: float | None) -> str:
    """A span of time in its largest unit, and the next one where that matters."""
    if seconds is None:
        return "-"
    seconds = max(0.0, seconds)
    for index, (size, unit) in enumerate(UNITS):
        if seconds >= size:
            whole, rest = divmod(seconds, size)
            below, name = UNITS[index + 1] if index + 1 < len(UNITS) else (1, "s")
            more = f" {rest // below:.0f} {name}" if whole < 10 and rest >= below else ""
            return f"{whole:.0f} {unit}{more}"
    return f"{seconds:.0f} s"


def rate(per_second: float | None) -> str:
    """Things per second."""
    if per_second is None:
        return "-"
    return f"{per_second:,.0f}" if per_second >= 100 or per_second == 0 else f"{per_second:.1f}"


def size(number: float | None) -> str:
    """Bytes."""
    if number is None:
        return "-"
    unit = 0
    while number >= 1000 and unit < len(SIZES) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.0f} {SIZES[unit]}" if unit == 0 or number >= 100 else f"{number:.1f} {SIZES[unit]}"


def duration(seconds: float | None) -> str:
    """How long something short took."""
    if seconds is None:
        return "-"
    if seconds >= 1:
        return f"{seconds:.1f} s"
    milliseconds = 1000 * seconds
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"


def share(part: float | None) -> str:
    """A part of a whole."""
    return "-" if part is None else f"{100 * part:.1f} %"


def clock() -> str:
    """The time of day here, now."""
    return f"{datetime.now().astimezone():%H:%M:%S}"
