"""Counters of responses, as plain numbers: counting costs well under a microsecond a request."""

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

# Upper bounds of the histogram's buckets. Each is at most 1.7 times the one before.
BUCKETS_SECONDS = (
    *(0.001, 0.0015, 0.002, 0.003, 0.005, 0.007),
    *(0.01, 0.015, 0.02, 0.03, 0.05, 0.07),
    *(0.1, 0.15, 0.2, 0.3, 0.5, 0.7),
    *(1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0),
)
# Functions can raise any code. Further codes, and codes of another shape, are counted as OTHER.
MAX_CODES = 100
OTHER = "other"
CODE = re.compile(r"[0-9A-Z]{5,8}")


class Traffic:
    """Counters of one process.

    statuses   responses by status
    codes      error responses by code
    durations  responses in each bucket, and those above all buckets
    seconds    the sum of all durations
    """

    __slots__ = ("codes", "durations", "seconds", "statuses")

    def __init__(self) -> None:
        self.statuses: dict[int, int] = {}
        self.codes: dict[str, int] = {}
        self.durations = [0] * (len(BUCKETS_SECONDS) + 1)
        self.seconds = 0.0

    def answered(self, status: int, code: str, seconds: float) -> None:
        """Count a response. `code` is empty unless it is an error."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.durations[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        self.seconds += seconds
        if code:
            known = self.codes.get(code)
            if known is None:
                code = code if len(self.codes) < MAX_CODES and CODE.fullmatch(code) else OTHER
                known = self.codes.get(code, 0)
            self.codes[code] = known + 1


def buckets(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """The cumulative counts of a Prometheus histogram: one for each bound, and one for +Inf."""
    return list(zip([*map(str, bounds), "+Inf"], map(float, accumulate(counts)), strict=True))
