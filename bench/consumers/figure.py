"""A measured figure and its goal."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """Medians of two alternating sides.

    goal      of the ratio, or of `value` where the figure is `absolute`; None: no goal
    at_least  whether the goal is a lower bound
    """

    what: str
    beside: str
    base: float
    value: float
    unit: str
    goal: float | None = None
    at_least: bool = False
    absolute: bool = False

    @property
    def ratio(self) -> float:
        return self.value / self.base

    @property
    def reached(self) -> bool:
        if self.goal is None:
            return True
        found = self.value if self.absolute else self.ratio
        return found >= self.goal if self.at_least else found <= self.goal


def show(console: Console, figures: Sequence[Figure]) -> None:
    """Print a row for each figure."""
    result = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("figure", "beside"):
        result.add_column(heading, no_wrap=True)
    for heading in ("beside", "figure", "ratio", "goal"):
        result.add_column(heading, justify="right", no_wrap=True)
    for figure in figures:
        numbers = (f"{number:,.{0 if number >= 1000 else 1}f} {figure.unit}" for number in (figure.base, figure.value))
        style = "" if figure.reached else "yellow"
        result.add_row(figure.what, figure.beside, *numbers, f"{figure.ratio:.2f}", _goal(figure), style=style)
    console.print(result)


def _goal(figure: Figure) -> str:
    if figure.goal is None:
        return ""
    return f"{'≥' if figure.at_least else '≤'} {figure.goal:g}{' ' + figure.unit if figure.absolute else ' x'}"
