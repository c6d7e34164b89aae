"""The location of a queue's page: the parts of its URL."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from pgmq_gateway.dashboard.parts.shell import queue_address
from pgmq_gateway.dashboard.queue.client import Place
from pgmq_gateway.dashboard.queue.conditions import condition
from pgmq_gateway.dashboard.queue.searches import FIELDS, Texts
from pgmq_gateway.dashboard.queue.views import MESSAGES, VIEWS, View

# The periods of the charts, by their minutes.
SPANS = {15: "15 min", 60: "1 h", 360: "6 h", 1440: "24 h", 10080: "7 days"}
# A bigint of Postgres.
MAX_ID = 2**63 - 1


@dataclass(frozen=True)
class Location:
    """What a URL shows.

    texts   those of the filter's fields
    where   conditions on fields of the payload
    row     the position of the page's first row
    span    minutes of the charts
    msg_id  the open message
    """

    view: View = MESSAGES
    texts: Texts = field(default_factory=dict)
    where: Sequence[str] = ()
    place: Place = MESSAGES.place
    row: int = 1
    span: int = 15
    msg_id: int | None = None

    def url(self, queue: str) -> str:
        first = self.view.place
        query: list[tuple[str, str]] = []
        if self.view is not MESSAGES:
            query.append(("view", self.view.name))
        query += [(name, text) for name, text in self.texts.items() if text]
        query += [("where", text) for text in self.where]
        if (self.place.sort, self.place.descending) != (first.sort, first.descending):
            query += [("sort", self.place.sort), ("order", "desc" if self.place.descending else "asc")]
        if self.place.direction:
            query += [(self.place.direction, json.dumps(self.place.key)), ("row", str(self.row))]
        if self.span != Location.span:
            query.append(("span", str(self.span)))
        path = queue_address(queue) + ("" if self.msg_id is None else f"/messages/{self.msg_id}")
        return path + (f"?{urlencode(query, quote_via=quote)}" if query else "")

    def at(self, view: View) -> "Location":
        """The first page of a view, with the same filter."""
        return replace(self, view=view, place=view.place, row=1, msg_id=None)


def parsed(url: str) -> Location:
    """The location of a path and query. Anything invalid in them is left out."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query)
    last = dict(query)
    view = VIEWS.get(last.get("view", ""), MESSAGES)
    place = _place(view, last)
    return Location(
        view,
        {name: text for name, text in query if name in FIELDS and text and not FIELDS[name](text)},
        tuple(text for name, text in query if name == "where" and condition(text)),
        place,
        max(1, _whole(last.get("row")) or 1) if place.direction else 1,
        span if (span := _whole(last.get("span"))) in SPANS else Location.span,
        _message(parts.path.split("/")),
    )


def _message(parts: Sequence[str]) -> int | None:
    # An encoded slash in the queue's name is no separator.
    return _whole(parts[-1]) if len(parts) == 5 and parts[3] == "messages" else None


def _place(view: View, query: dict[str, str]) -> Place:
    sort, descending = view.place.sort, view.place.descending
    if (given := query.get("sort", "")) in _sorts(view):
        sort, descending = given, query.get("order") == "desc"
    if key := _key(query.get("after")):
        return Place(sort, descending, "after", key)
    if key := _key(query.get("before")):
        return Place(sort, descending, "before", key)
    return Place(sort, descending)


def _sorts(view: View) -> Iterable[str]:
    return [sort for _, _, sort, _ in view.columns if sort]


def _key(text: str | None) -> tuple[object, int] | None:
    try:
        value, msg_id = json.loads(text or "")
    except (ValueError, TypeError, RecursionError):
        return None
    valid = isinstance(value, (str, int)) and type(msg_id) is int
    return (value, msg_id) if valid else None


def _whole(text: str | None) -> int | None:
    # Python refuses to read thousands of digits.
    number = int(text) if text and text.isascii() and text.isdecimal() and len(text) < 20 else None
    return number if number is not None and number <= MAX_ID else None
