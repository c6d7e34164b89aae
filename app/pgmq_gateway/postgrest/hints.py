"""Spelling suggestions for unknown names, by PostgREST's algorithm (Haskell's fuzzyset).

A candidate shares a trigram with the name, or a bigram if no candidate shares a trigram. The suggestion is the one with
the smallest Levenshtein distance.
"""

import re
from collections.abc import Iterable

# The Levenshtein distance takes quadratic time.
MAX_NAME_CHARACTERS = 300


def nearest(name: str, candidates: Iterable[str], minimum: float) -> str | None:
    """The candidate most similar to `name`, or None below the `minimum` similarity (0 unrelated, 1 equal)."""
    wanted = name.lower()
    if len(wanted) > MAX_NAME_CHARACTERS:
        return None
    found = [candidate for candidate in candidates if len(candidate) <= MAX_NAME_CHARACTERS]
    for size in (3, 2):
        letters = _grams(wanted, size)
        scored = [(_similarity(wanted, one.lower()), one) for one in found if letters & _grams(one.lower(), size)]
        best = max(scored, key=lambda pair: pair[0], default=(0.0, ""))
        if best[0] >= minimum and best[1]:
            return best[1]
    return None


def _grams(text: str, size: int) -> frozenset[str]:
    framed = "-" + re.sub(r"[^0-9a-z\u00c0-\u00ff, ]", "", text) + "-"
    return frozenset(framed[place : place + size] for place in range(len(framed) - size + 1))


def _similarity(one: str, other: str) -> float:
    return 1 - _distance(one, other) / max(len(one), len(other), 1)


def _distance(one: str, other: str) -> int:
    """The Levenshtein distance."""
    before = list(range(len(other) + 1))
    for row, letter in enumerate(one, start=1):
        now = [row]
        for column, opposite in enumerate(other, start=1):
            now.append(min(before[column] + 1, now[-1] + 1, before[column - 1] + (letter != opposite)))
        before = now
    return before[-1]
