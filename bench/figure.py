"""A measured figure and its goal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from rich.console import Console
from rich.table import Table


class Judged(Enum):
    """The number of a figure that has a goal: `value / base`, `value`, or `value - base`."""

    RATIO = auto()
    VALUE = auto()
    DIFFERENCE = auto()


@dataclass(frozen=True, slots=True)
class Figure:
    """Medians of two sides.

    goal      of the number named by `judged`; None: no goal
    at_least  whether the goal is a lower bound
    """

    what: str
    beside: str
    base: float
    value: float
    unit: str
    goal: float | None = None
    at_least: bool = False
    judged: Judged = Judged.RATIO

    @property
    def ratio(self) -> float:
        return self.value / self.base if self.base else math.inf

    @property
    def reached(self) -> bool:
        if self.goal is None:
            return True
        numbers = {Judged.RATIO: self.ratio, Judged.VALUE: self.value, Judged.DIFFERENCE: self.value - self.base}
        found = numbers[self.judged]
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
    sign, unit = "≥" if figure.at_least else "≤", "x" if figure.judged is Judged.RATIO else figure.unit
    return f"{sign} {'+' if figure.judged is Judged.DIFFERENCE else ''}{figure.goal:g} {unit}"
