"""The named arguments of a call, from a JSON body, a form or a query string, without reading their values."""

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qsl

import msgspec

from app.errors import InvalidBody
from app.request import Request

# Both take names and check the syntax, and leave each value as the bytes that came.
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_objects = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


@dataclass(frozen=True, slots=True)
class Arguments:
    """Argument names with their values: in the JSON object `body`, or, where that is None, as the text of `values`.

    from_body  whether they came as a JSON body (PostgREST's texts differ)
    """

    names: Collection[str]
    body: str | None = None
    values: tuple[str, ...] = ()
    from_body: bool = False


async def read_arguments(request: Request) -> Arguments:
    """The arguments of a request: of GET and HEAD from the query string, of POST from the body.

    Raises InvalidBody.
    """
    if request.method != "POST":
        return _from_text(request.query)
    content_type = request.headers.get("content-type", "application/json")
    media_type = content_type.partition(";")[0].strip().lower()
    body = await request.body()
    if media_type == "application/json":
        return _from_json(body)
    if media_type == "application/x-www-form-urlencoded":
        return _from_text(body.decode(errors="replace"))
    raise InvalidBody(f"Content-Type not acceptable: {content_type}")


def _from_text(text: str) -> Arguments:
    pairs = dict(parse_qsl(text, keep_blank_values=True))
    return Arguments(tuple(pairs), values=tuple(pairs.values()))


def _from_json(body: bytes) -> Arguments:
    if not body:
        return Arguments((), from_body=True)
    try:
        text = body.decode()
        names = tuple(_object.decode(body))
    except msgspec.ValidationError:
        return _from_other_json(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidBody("Empty or invalid json") from None
    return Arguments(names, body=text, from_body=True)


def _from_other_json(body: bytes) -> Arguments:
    """PostgREST: of an array of objects with the same keys the first counts; all else that is JSON has no arguments."""
    try:
        rows = _objects.decode(body)
    except msgspec.ValidationError:
        return Arguments((), from_body=True)
    if any(row.keys() != rows[0].keys() for row in rows):
        raise InvalidBody("All object keys must match")
    if not rows:
        return Arguments((), from_body=True)
    return Arguments(tuple(rows[0]), body=msgspec.json.encode(rows[0]).decode(), from_body=True)
