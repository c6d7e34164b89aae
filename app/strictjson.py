"""JSON as Postgres reads it, for the few texts that the gateway looks into itself."""

import json


def loads(text: str) -> object:
    """The value of a JSON text. Raises ValueError, and RecursionError for one that is nested too deep."""
    value: object = json.loads(text, parse_constant=_refuse)
    return value


def _refuse(constant: str) -> None:
    """NaN and Infinity are Python's additions to JSON; Postgres would not read them."""
    raise ValueError(constant)
