"""What a client accepts, and the representation that it gets (wire contract, section 6)."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeVar

from app.errors import NotAcceptable

T = TypeVar("T")

JSON = "application/json; charset=utf-8"


class Shape(Enum):
    """How rows become a body."""

    ARRAY = "array"
    OBJECT = "object"
    CSV = "csv"
    GEOJSON = "geojson"


@dataclass(frozen=True, slots=True)
class Representation:
    """A shape, and the Content-Type that says so.

    strip_nulls  members that are null are left out, at every depth
    plan         the options of EXPLAIN, where the plan of the call is wanted instead of its result
    """

    shape: Shape
    content_type: str
    strip_nulls: bool = False
    plan: tuple[str, ...] | None = None


ARRAY = Representation(Shape.ARRAY, JSON)
STRIPPED = Representation(
    Shape.ARRAY, "application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8", strip_nulls=True
)
OBJECT = Representation(Shape.OBJECT, "application/vnd.pgrst.object+json; charset=utf-8")
STRIPPED_OBJECT = Representation(
    Shape.OBJECT, "application/vnd.pgrst.object+json;nulls=stripped; charset=utf-8", strip_nulls=True
)
CSV = Representation(Shape.CSV, "text/csv; charset=utf-8")
GEOJSON = Representation(Shape.GEOJSON, "application/geo+json; charset=utf-8")

PLAN = re.compile(r"application/vnd\.pgrst\.plan(?:\+(text|json))?", re.IGNORECASE)
PLAN_OPTIONS = ("analyze", "verbose", "settings", "buffers", "wal")


def negotiate(accept: str | None, *, plans: bool = False) -> Representation:
    """The first acceptable representation, by the client's order and weights.

    plans  whether the plan of a call may be asked for (db-plan-enabled)

    Raises NotAcceptable.
    """
    return _first(accept, _planned if plans else _representation)


def negotiate_description(accept: str | None) -> str:
    """The Content-Type of the description at `/`. Raises NotAcceptable."""
    return _first(accept, _description)


def _first(accept: str | None, known: Callable[[str], T | None]) -> T:
    """What is `known` for the most wanted media range that anything is known for. Raises NotAcceptable."""
    wanted = sorted(_ranges(accept or "*/*"), key=lambda pair: -pair[1])
    for range_, _ in wanted:
        found = known(range_)
        if found is not None:
            return found
    names = ", ".join(range_ for range_, _ in wanted)
    raise NotAcceptable(f"None of these media types are available: {names}")


def _description(range_: str) -> str | None:
    match range_.partition(";")[0].strip().lower():
        case "*/*" | "application/openapi+json":
            return "application/openapi+json; charset=utf-8"
        case "application/json":
            return JSON
        case _:
            return None


def _planned(range_: str) -> Representation | None:
    """A representation, or the plan of the call that would give it: `for` names it, `options` go to EXPLAIN."""
    name, *parameters = _split(range_, ";")
    found = PLAN.fullmatch(name)
    if found is None:
        return _representation(range_)
    given = dict(parameter.partition("=")[::2] for parameter in parameters)
    kind, wanted = found[1] or "text", _representation(given.get("for", "*/*").strip('"'))
    if wanted is None:
        return None
    options = [option for option in PLAN_OPTIONS if option in given.get("options", "").split("|")]
    media_type = wanted.content_type.removesuffix("; charset=utf-8")
    content_type = f'application/vnd.pgrst.plan+{kind}; for="{media_type}"'
    if options:
        content_type += f"; options={'|'.join(options)}"
    return replace(wanted, content_type=f"{content_type}; charset=utf-8", plan=(f"format {kind}", *options))


def _representation(range_: str) -> Representation | None:
    name, *parameters = (part.strip() for part in range_.split(";"))
    stripped = "nulls=stripped" in parameters
    match name.lower():
        case "*/*" | "application/json":
            return ARRAY
        case "application/vnd.pgrst.array+json" | "application/vnd.pgrst.array":
            return STRIPPED if stripped else ARRAY
        case "application/vnd.pgrst.object+json" | "application/vnd.pgrst.object":
            return STRIPPED_OBJECT if stripped else OBJECT
        case "text/csv":
            return CSV
        case "application/geo+json":
            return GEOJSON
        case _:
            return None


def _ranges(accept: str) -> list[tuple[str, float]]:
    """Media ranges with their weights (RFC 9110, section 12.5.1); the weight itself is taken off."""
    found = []
    for part in _split(accept, ","):
        pieces = [piece.strip() for piece in _split(part, ";")]
        weight = next((piece[2:] for piece in pieces if piece.lower().startswith("q=")), "1")
        kept = [piece for piece in pieces if piece and not piece.lower().startswith("q=")]
        if kept:
            found.append(("; ".join(kept) if len(kept) > 1 else kept[0], _number(weight)))
    return found


def _split(text: str, separator: str) -> list[str]:
    """The parts of a header's value; separators inside double quotes do not count."""
    parts, quoted = [""], False
    for character in text:
        quoted ^= character == '"'
        if character == separator and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _number(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 1.0
