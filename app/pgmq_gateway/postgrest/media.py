"""What a client accepts, and the representation that it gets (wire contract, section 6)."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import TypeVar

from pgmq_gateway.errors import NotAcceptable
from pgmq_gateway.http.response import JSON

T = TypeVar("T")


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
CHARSET = "; charset=utf-8"
# Types that PostgREST knows and functions do not give.
NAMED = frozenset({"text/plain", "text/xml", "application/octet-stream", "application/openapi+json"})
PLAN_OPTIONS = ("analyze", "verbose", "settings", "buffers", "wal")


# Clients send the same few all the time.
@lru_cache(maxsize=256)
def negotiate(accept: str | None, *, plans: bool = False) -> Representation:
    """The first acceptable representation, by the client's order and weights.

    plans  whether the plan of a call may be asked for (db-plan-enabled)

    Raises NotAcceptable.
    """
    return _first(accept, _with_plans if plans else _representation)


def negotiate_description(accept: str | None) -> str:
    """The Content-Type of the description at `/`, which is the same for all who accept it. Raises NotAcceptable."""
    return _first(accept, _description)


def _first(accept: str | None, known: Callable[[str], T | None]) -> T:
    """What is `known` for the most wanted media range that anything is known for. Raises NotAcceptable."""
    wanted = _ranges(accept or "*/*")
    for range_ in wanted:
        found = known(range_)
        if found is not None:
            return found
    names = ", ".join(_named(range_) for range_ in wanted)
    raise NotAcceptable(f"None of these media types are available: {names}")


def _named(range_: str) -> str:
    """A media range as a message names it: types that PostgREST knows are named without their parameters."""
    name = range_.partition(";")[0].lower()
    if found := PLAN.fullmatch(name):
        return _planned(range_, found).content_type.removesuffix(CHARSET)
    return name if name in NAMED else range_


def _description(range_: str) -> str | None:
    match range_.partition(";")[0].strip().lower():
        case "*/*" | "application/openapi+json" | "application/json":
            return "application/openapi+json; charset=utf-8"
        case _:
            return None


def _with_plans(range_: str) -> Representation | None:
    found = PLAN.fullmatch(range_.partition(";")[0])
    if found is None:
        return _representation(range_)
    return _planned(range_, found) if _planned_for(range_) else None


def _planned(range_: str, kind: re.Match[str]) -> Representation:
    """The plan of the call that would give the representation in `for`; `options` are for EXPLAIN."""
    wanted = _planned_for(range_) or ARRAY
    asked = _parameters(range_).get("options", "").split("|")
    options = [option for option in PLAN_OPTIONS if option in asked]
    format_ = (kind[1] or "text").lower()
    content_type = f'application/vnd.pgrst.plan+{format_}; for="{wanted.content_type.removesuffix(CHARSET)}"'
    if options:
        content_type += f"; options={'|'.join(options)}"
    return replace(wanted, content_type=content_type + CHARSET, plan=(f"format {format_}", *options))


def _planned_for(range_: str) -> Representation | None:
    return _representation(_parameters(range_).get("for", "*/*").strip('"'))


def _parameters(range_: str) -> dict[str, str]:
    return dict(parameter.partition("=")[::2] for parameter in _split(range_, ";")[1:])


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


def _ranges(accept: str) -> list[str]:
    """Media ranges, the most wanted first: by weight (RFC 9110, section 12.5.1), then those that say more.

    PostgREST drops what stands behind a weight.
    """
    found = []
    for part in _split(accept, ","):
        range_, _, weight = part.replace(" ", "").partition(";q=")
        if range_:
            found.append((range_, (_number(weight.partition(";")[0]), range_.count(";") - range_.count("*"))))
    return [range_ for range_, _ in sorted(found, key=lambda pair: pair[1], reverse=True)]


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
