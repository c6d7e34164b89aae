"""A clock for code that takes one as an argument."""


class Clock:
    """Seconds that change only when a test sets `now`."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now
