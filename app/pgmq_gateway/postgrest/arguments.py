"""The named arguments of a call, from a JSON body, a form, CSV or a query string. Values are never decoded."""

import csv
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

import msgspec

from pgmq_gateway.errors import InvalidBody, InvalidEncoding
from pgmq_gateway.postgrest.query import NOT_UTF8, Pairs

# Check the syntax and decode names only: each value stays the bytes that were sent.
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_objects = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_rows = msgspec.json.Decoder(list[msgspec.Raw])
_any = msgspec.json.Decoder(msgspec.Raw)

JSON_TYPES = ("json", "jsonb")
BODY_TYPES = {"text/plain": "text", "text/xml": "xml", "application/octet-stream": "bytea"}
# PostgREST's types for results are JSON in a request.
JSON_MEDIA_TYPES = frozenset({
    "application/json", "application/vnd.pgrst.array", "application/vnd.pgrst.array+json",
    "application/vnd.pgrst.object", "application/vnd.pgrst.object+json",
})  # fmt: skip


class Arguments(msgspec.Struct, frozen=True):
    """Argument names with their values: members of the JSON object `body`, or texts in `values` if `body` is None.

    values      all texts of each argument, in the order of the request
    body_types  the types of a single unnamed parameter that can receive the whole body
    whole       the whole body as text, for such a function
    """

    names: tuple[str, ...]
    body: str | None = None
    values: Mapping[str, Sequence[str]] = msgspec.field(default_factory=dict)
    body_types: tuple[str, ...] = ()
    whole: str = ""


def arguments_in_body(body: bytes, content_type: str, columns: tuple[str, ...] | None) -> Arguments:
    """The arguments of a POST.

    columns  the names in the parameter `columns`

    Raises InvalidBody.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in JSON_MEDIA_TYPES:
        return _from_json(body) if columns is None else _from_columns(body, columns)
    if media_type == "application/x-www-form-urlencoded":
        return arguments_in_text(_form(body))
    if media_type == "text/csv":
        return _from_csv(body)
    if media_type in BODY_TYPES:
        return _whole(BODY_TYPES[media_type], body)
    raise InvalidBody(f"Content-Type not acceptable: {content_type}")


def arguments_in_text(query: Pairs) -> Arguments:
    """The arguments of a form, or of the parameters of a query string."""
    values: dict[str, list[str]] = {}
    for name, value in query:
        values.setdefault(name, []).append(value)
    return Arguments(tuple(values), values=values)


def _form(body: bytes) -> Pairs:
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise InvalidBody("The form is not UTF-8", hint=NOT_UTF8) from None


def _utf8(body: bytes) -> str:
    """A body that Postgres would decode. Raises InvalidEncoding."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidEncoding(body[error.start : error.end]) from None


def _from_csv(body: bytes) -> Arguments:
    """The first line holds the names, the second the values: `NULL` is null, every other cell is text."""
    try:
        names, *rows = csv.reader(body.decode().splitlines(), strict=True)
    except (csv.Error, UnicodeDecodeError, ValueError):
        raise InvalidBody("Empty or invalid csv") from None
    if any(len(row) != len(names) for row in rows):
        raise InvalidBody("All lines must have same number of fields")
    cells = zip(names, rows[0], strict=True) if rows else ()
    first = {name: None if value == "NULL" else value for name, value in cells}
    return Arguments(tuple(first), msgspec.json.encode(first).decode())


def _whole(type_: str, body: bytes) -> Arguments:
    """A body that is a single value: text as sent, bytes in Postgres' hex format."""
    if type_ == "bytea":
        return Arguments((), body_types=(type_,), whole=f"\\x{body.hex()}")
    return Arguments((), body_types=(type_,), whole=_utf8(body))


def _from_json(body: bytes) -> Arguments:
    if not body:
        return Arguments((), body_types=JSON_TYPES, whole="{}")
    try:
        text = body.decode()
        names, members = _members(body, text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Among them is an unpaired surrogate escape.
        raise InvalidBody("Empty or invalid json") from None
    return Arguments(names, members, body_types=JSON_TYPES, whole=text)


def _from_columns(body: bytes, columns: tuple[str, ...]) -> Arguments:
    """The members of a JSON body that the `columns` parameter lists. As in PostgREST, Postgres checks the rest."""
    text = _utf8(body)
    try:
        rows = _rows.decode(body)
        text = bytes(rows[0]).decode() if rows else text
    except (msgspec.DecodeError, RecursionError):
        pass
    return Arguments(columns, text, body_types=JSON_TYPES, whole=text)


def _members(body: bytes, text: str) -> tuple[tuple[str, ...], str | None]:
    """The member names of a JSON body, and the object that contains them.

    As in PostgREST, an array of objects with equal keys stands for its first object; any other JSON has no arguments.
    """
    try:
        return tuple(_object.decode(body)), text
    except msgspec.ValidationError:
        _any.decode(body)
    try:
        rows = _objects.decode(body)
    except msgspec.ValidationError:
        if body.lstrip().startswith(b"["):
            raise InvalidBody("All object keys must match") from None
        return (), None
    if any(row.keys() != rows[0].keys() for row in rows):
        raise InvalidBody("All object keys must match")
    return (tuple(rows[0]), msgspec.json.encode(rows[0]).decode()) if rows else ((), None)
