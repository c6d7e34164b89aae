"""Content negotiation: from an Accept header to a representation (docs/reference/compatibility.md, Accept)."""

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
    """The layout of the rows in a body."""

    ARRAY = "array"
    OBJECT = "object"
    CSV = "csv"
    GEOJSON = "geojson"


@dataclass(frozen=True, slots=True)
class Representation:
    """A shape with its Content-Type.

    strip_nulls  leave out null members, at every depth
    plan         the options of EXPLAIN if the client asked for the plan of the call, otherwise None
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

EVENTS = "text/event-stream"
AT_QUEUES = "Streams are GET requests to /queues/{queue}/messages."

PLAN_TYPE = re.compile(r"application/vnd\.pgrst\.plan(?:\+(text|json))?", re.IGNORECASE)
CHARSET = "; charset=utf-8"
# Types that PostgREST knows but a function's result never has; its messages name them without parameters.
KNOWN_TYPES = frozenset({"text/plain", "text/xml", "application/octet-stream", "application/openapi+json"})
PLAN_OPTIONS = ("analyze", "verbose", "settings", "buffers", "wal")


@lru_cache(maxsize=256)
def negotiate(accept: str | None, *, plans: bool = False) -> Representation:
    """The representation that the client prefers. Raises NotAcceptable.

    plans  whether clients can ask for the plan of a call (db-plan-enabled)
    """
    return _first(accept, _with_plans if plans else _representation)


@lru_cache(maxsize=256)
def prefers_events(accept: str | None) -> bool:
    """True if the client prefers a stream of server-sent events to any representation of a result."""
    for range_, weight in _weighted_ranges(accept or "*/*"):
        # Unlike PostgREST's types, one with the weight 0 is not acceptable (RFC 9110, section 12.4.2).
        if _is_events(range_) and weight > 0:
            return True
        if _representation(range_) is not None:
            break
    return False


def _is_events(range_: str) -> bool:
    return range_.partition(";")[0].lower() == EVENTS


def negotiate_description(accept: str | None) -> str:
    """The Content-Type of the document at `/`. Raises NotAcceptable."""
    return _first(accept, _description)


def _first(accept: str | None, offer: Callable[[str], T | None]) -> T:
    """The first offer for the media ranges of a header, most preferred range first. Raises NotAcceptable."""
    ranges = _ranges(accept or "*/*")
    for range_ in ranges:
        offered = offer(range_)
        if offered is not None:
            return offered
    names = ", ".join(_shown(range_) for range_ in ranges)
    hint = AT_QUEUES if any(map(_is_events, ranges)) else None
    raise NotAcceptable(f"None of these media types are available: {names}", hint=hint)


def _shown(range_: str) -> str:
    """A media range as PostgREST's message shows it."""
    name = range_.partition(";")[0].lower()
    if found := PLAN_TYPE.fullmatch(name):
        return _plan(range_, found).content_type.removesuffix(CHARSET)
    return name if name in KNOWN_TYPES else range_


def _description(range_: str) -> str | None:
    match range_.partition(";")[0].strip().lower():
        case "*/*" | "application/openapi+json" | "application/json":
            return "application/openapi+json; charset=utf-8"
        case _:
            return None


def _with_plans(range_: str) -> Representation | None:
    found = PLAN_TYPE.fullmatch(range_.partition(";")[0])
    if found is None:
        return _representation(range_)
    return _plan(range_, found) if _plan_target(range_) else None


def _plan(range_: str, kind: re.Match[str]) -> Representation:
    """The plan of a call whose result would have the type in the parameter `for`; `options` are those of EXPLAIN."""
    target = _plan_target(range_) or ARRAY
    requested = _parameters(range_).get("options", "").split("|")
    options = [option for option in PLAN_OPTIONS if option in requested]
    format_ = (kind[1] or "text").lower()
    content_type = f'application/vnd.pgrst.plan+{format_}; for="{target.content_type.removesuffix(CHARSET)}"'
    if options:
        content_type += f"; options={'|'.join(options)}"
    return replace(target, content_type=content_type + CHARSET, plan=(f"format {format_}", *options))


def _plan_target(range_: str) -> Representation | None:
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
    return [range_ for range_, _ in _weighted_ranges(accept)]


def _weighted_ranges(accept: str) -> list[tuple[str, float]]:
    """Media ranges and their weights (RFC 9110, section 12.5.1), by weight, then by specificity, the greatest first.

    PostgREST ignores parameters after a weight.
    """
    found = []
    for part in _split(accept, ","):
        range_, _, weight = part.replace(" ", "").partition(";q=")
        if range_:
            found.append((range_, _number(weight.partition(";")[0])))
    return sorted(found, key=lambda pair: (pair[1], pair[0].count(";") - pair[0].count("*")), reverse=True)


def _split(text: str, separator: str) -> list[str]:
    """The parts of a header's value, without splitting inside double quotes."""
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
