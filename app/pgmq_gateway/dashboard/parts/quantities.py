"""Numbers, times and sizes in words."""

UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
# From here on, numbers are told in millions.
MILLIONS = 10_000_000
SIZES = ("B", "kB", "MB", "GB", "TB")


def count(number: float | None, *, exact: bool = True) -> str:
    """A number of things; ~ says that it is an estimate."""
    if number is None:
        return "-"
    return ("" if exact else "~") + (f"{number:,.0f}" if number < MILLIONS else f"{number / 1e6:,.1f}M")


def age(seconds: float | None) -> str:
    """A span of time in its largest unit, and the next one where that matters."""
    if seconds is None:
        return "-"
    left = int(max(0.0, seconds))
    for index, (size, unit) in enumerate(UNITS):
        if left >= size and index + 1 < len(UNITS):
            whole, rest = divmod(left, size)
            below, name = UNITS[index + 1]
            return f"{whole}{unit} {rest // below}{name}" if whole < 100 else f"{whole}{unit}"
    return f"{left}s"


def rate(per_second: float | None) -> str:
    """Things per second."""
    if per_second is None:
        return "-"
    if 0 < per_second < 0.05:
        return "<0.1"
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
