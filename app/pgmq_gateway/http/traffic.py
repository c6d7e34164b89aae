"""What has been answered so far, in plain numbers: counting costs a request well under a microsecond."""

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

# Upper bounds of the durations that are told apart, in seconds: within a step of a half of what they are.
BOUNDS = (
    *(0.001, 0.0015, 0.002, 0.003, 0.005, 0.007),
    *(0.01, 0.015, 0.02, 0.03, 0.05, 0.07),
    *(0.1, 0.15, 0.2, 0.3, 0.5, 0.7),
    *(1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0),
)
# Functions can end with any code: names of other shapes, and more names than these, count as one.
MOST_CODES = 100
OTHER = "other"
CODE = re.compile(r"[0-9A-Z]{5,8}")


class Traffic:
    """Counts of one process.

    statuses   answers by their status
    codes      error answers by their code
    durations  answers by the first of BOUNDS that their time is not above, and those above all
    seconds    the time of all answers together
    """

    __slots__ = ("codes", "durations", "seconds", "statuses")

    def __init__(self) -> None:
        self.statuses: dict[int, int] = {}
        self.codes: dict[str, int] = {}
        self.durations = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def answered(self, status: int, code: str, seconds: float) -> None:
        """One more answer; `code` is empty unless it is an error."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.durations[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
        if code:
            known = self.codes.get(code)
            if known is None:
                code = code if len(self.codes) < MOST_CODES and CODE.fullmatch(code) else OTHER
                known = self.codes.get(code, 0)
            self.codes[code] = known + 1


def buckets(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Counts as a histogram has them, each with all below it: one count for each bound, and one for what is above."""
    return list(zip([*map(str, bounds), "+Inf"], map(float, accumulate(counts)), strict=True))
