"""A small line of one figure over the time that the page has been open."""

from collections import deque
from collections.abc import Sequence

from nicegui import ui

# Looks that a line remembers, and its size in its own units.
POINTS, WIDTH, HEIGHT = 90, 300, 40


class Sparkline:
    """The line. `name` says what it shows to who cannot see it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._values: deque[float | None] = deque(maxlen=POINTS)
        box = f'viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio=none role=img'
        with ui.element("svg").props(box).classes("spark trend") as self._box:
            self._line = ui.element("path")

    def add(self, value: float | None, text: str) -> None:
        """One more value, as the line has it and in words; None where it is not known."""
        self._values.append(value)
        self._line.props["d"] = path(list(self._values))
        self._box.props["aria-label"] = f"{self._name} over the last minutes, now {text}"


def path(values: Sequence[float | None]) -> str:
    """The values as SVG draws them, the last one at the right edge, in pieces where some are not known."""
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    step, start, drawn = WIDTH / (POINTS - 1), POINTS - len(values), []
    before: float | None = None
    for place, value in enumerate(values):
        if value is not None:
            x, y = (start + place) * step, HEIGHT - 2 - value / top * (HEIGHT - 4)
            drawn.append(f"{'M' if before is None else 'L'}{x:.1f} {y:.1f}")
        before = value
    return " ".join(drawn)
