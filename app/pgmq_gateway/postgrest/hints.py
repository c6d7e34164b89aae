"""What a caller may have meant by a name that does not exist, found as PostgREST finds it.

A candidate must share three letters in a row with the name, or two where none does, and be near it by Levenshtein's
distance; the nearest one wins.
"""

import re
from collections.abc import Iterable

# Longer names are nobody's typing errors, and the distance takes time in proportion to their square.
LONGEST = 300


def nearest(name: str, candidates: Iterable[str], minimum: float) -> str | None:
    """The candidate most like `name`; None when none is as like as `minimum` (0 not at all, 1 the same)."""
    wanted = name.lower()
    if len(wanted) > LONGEST:
        return None
    found = [candidate for candidate in candidates if len(candidate) <= LONGEST]
    for size in (3, 2):
        letters = _grams(wanted, size)
        scored = [(_likeness(wanted, one.lower()), one) for one in found if letters & _grams(one.lower(), size)]
        best = max(scored, key=lambda pair: pair[0], default=(0.0, ""))
        if best[0] >= minimum and best[1]:
            return best[1]
    return None


def _grams(text: str, size: int) -> frozenset[str]:
    framed = "-" + re.sub(r"[^0-9a-z\u00c0-\u00ff, ]", "", text) + "-"
    return frozenset(framed[place : place + size] for place in range(len(framed) - size + 1))


def _likeness(one: str, other: str) -> float:
    return 1 - _distance(one, other) / max(len(one), len(other), 1)


def _distance(one: str, other: str) -> int:
    """How many letters must be put in, taken out or changed to make one of the other."""
    before = list(range(len(other) + 1))
    for row, letter in enumerate(one, start=1):
        now = [row]
        for column, opposite in enumerate(other, start=1):
            now.append(min(before[column] + 1, now[-1] + 1, before[column - 1] + (letter != opposite)))
        before = now
    return before[-1]
