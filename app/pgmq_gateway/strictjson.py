"""JSON without Python's extensions, for the texts that the gateway decodes itself."""

import json


def loads(text: str, *, unique: bool = False) -> object:
    """The value of a JSON text. Raises ValueError, or RecursionError for one that is nested too deeply.

    unique  whether to refuse an object with a repeated key; otherwise its last value counts
    """
    value: object = json.loads(text, parse_constant=_refuse, object_pairs_hook=_unique if unique else None)
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("an object has a repeated key")
    return members


def _refuse(constant: str) -> None:
    """NaN and Infinity are Python's extensions; Postgres refuses them."""
    raise ValueError(constant)
