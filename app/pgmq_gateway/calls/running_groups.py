"""The number of groups of calls of one function run on a queue at once.

While a quick group runs, further calls that could be in a group wait for it, so that the next one is large: on more
connections, the same calls would be more transactions. The longer groups take, the more run at once.
"""

# A group that takes as long lets one more run beside it, twice as long two more, and so on. One large group in this
# time is about as much as a process can take.
QUICK_GROUP_SECONDS = 0.005


class RunningGroups:
    """The running groups of a function on a queue.

    at_once  the most that run at once, as long as none takes longer than the last one
    """

    __slots__ = ("_runs", "at_once")

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self._runs: list[Run] = []

    @property
    def full_until(self) -> float:
        """The time at which one more may start, unless one ends before."""
        if len(self._runs) < self.at_once:
            return float("-inf")
        return self._runs[0].began + len(self._runs) * QUICK_GROUP_SECONDS

    def start(self, now: float) -> "Run":
        run = Run(self, now)
        self._runs.append(run)
        return run

    def end(self, run: "Run", seconds: float, most: int) -> None:
        """Note that a group has ended after so many seconds. `most`: connections."""
        self._runs.remove(run)
        self.at_once = 1 + int(min(seconds / QUICK_GROUP_SECONDS, most))


class Run:
    """One running group, and the time at which it began."""

    __slots__ = ("began", "groups")

    def __init__(self, groups: RunningGroups, began: float) -> None:
        self.groups = groups
        self.began = began
