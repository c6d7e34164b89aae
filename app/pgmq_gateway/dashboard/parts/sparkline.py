"""A sparkline of one figure since the page was opened."""

from collections import deque
from collections.abc import Sequence

from nicegui import ui

from pgmq_gateway.dashboard.parts.widgets import words

# The number of values that are kept, and the size of the SVG's view box.
POINTS, WIDTH, HEIGHT = 90, 300, 40


class Sparkline:
    """The line. `name` is part of its label for screen readers, `quiet` is shown while there is nothing to draw."""

    def __init__(self, name: str, quiet: str) -> None:
        self._name = name
        self._values: deque[float | None] = deque(maxlen=POINTS)
        box = f'viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio=none role=img'
        with ui.element("svg").props(box).classes("spark trend") as self._box:
            self._line = ui.element("path")
        self._quiet = words(quiet).classes("quiet muted")
        self._show_quiet()

    def add(self, value: float | None, text: str) -> None:
        """Add the latest value, with its text for screen readers. None leaves a gap."""
        self._values.append(value)
        self._line.props["d"] = path(list(self._values))
        self._box.props["aria-label"] = f"{self._name} over the last minutes, now {text}"
        self._show_quiet()

    def _show_quiet(self) -> None:
        drawn = any(self._values)
        self._box.set_visibility(drawn)
        self._quiet.set_visibility(not drawn)


def path(values: Sequence[float | None]) -> str:
    """The data of an SVG path: the last value at the right edge, a gap at each None."""
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    step, start, drawn = WIDTH / (POINTS - 1), POINTS - len(values), []
    before: float | None = None
    for place, value in enumerate(values):
        if value is not None:
            x, y = (start + place) * step, HEIGHT - 2 - value / top * (HEIGHT - 4)
            drawn.append(f"{'M' if before is None else 'L'}{x:.1f} {y:.1f}")
        before = value
    return " ".join(drawn)
