"""JSON as Postgres reads it, for the few texts that the gateway looks into itself."""

import json


def loads(text: str, *, unique: bool = False) -> object:
    """The value of a JSON text. Raises ValueError, and RecursionError for one that is nested too deep.

    unique  whether a member that comes twice in an object is refused too; else the last one counts
    """
    value: object = json.loads(text, parse_constant=_refuse, object_pairs_hook=_unique if unique else None)
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member comes twice")
    return members


def _refuse(constant: str) -> None:
    """NaN and Infinity are Python's additions to JSON; Postgres would not read them."""
    raise ValueError(constant)
