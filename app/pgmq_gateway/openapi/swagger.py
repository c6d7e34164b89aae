"""PostgREST's Swagger 2.0 document at `/` (docs/reference/compatibility.md, The document at /)."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from pgmq_gateway.calls.catalog import Argument, Function

MEDIA_TYPE = "application/openapi+json"
PRODUCES = ["application/json", "application/vnd.pgrst.object+json;nulls=stripped", "application/vnd.pgrst.object+json"]
DOCUMENTATION = {"description": "PostgREST's documentation of this kind of API", "url": "https://docs.postgrest.org"}

# JSON types; None: any JSON. A type that is missing here is a string.
TYPES = {
    "smallint": "integer", "integer": "integer", "bigint": "integer", "numeric": "number", "real": "number",
    "double precision": "number", "boolean": "boolean", "json": None, "jsonb": None,
}  # fmt: skip
FORMATS = {"smallint": "int32", "integer": "int32", "bigint": "int64"}

# Values of the Prefer header, by PostgREST's names of the parameters.
PREFERENCES: dict[str, list[str]] = {
    "preferParams": [],
    "preferReturn": ["return=representation", "return=minimal", "return=none"],
    "preferCount": ["count=none"],
    "preferPost": [
        "return=representation", "return=minimal", "return=none", "resolution=ignore-duplicates",
        "resolution=merge-duplicates",
    ],
}  # fmt: skip
SHAPING = {
    "select": ("select", "query", "Filtering Columns"),
    "on_conflict": ("on_conflict", "query", "On Conflict"),
    "order": ("order", "query", "Ordering"),
    "range": ("Range", "header", "Limiting and Pagination"),
    "rangeUnit": ("Range-Unit", "header", "Limiting and Pagination"),
    "offset": ("offset", "query", "Limiting and Pagination"),
    "limit": ("limit", "query", "Limiting and Pagination"),
}

Document = dict[str, Any]


def document(
    functions: Iterable[Function], version: str, base_url: str, comment: str | None = None, *, secured: bool = False
) -> Document:
    """A Swagger 2.0 document of `functions`, served at `base_url`.

    comment  the schema's comment: the first line is the title, the rest the description
    secured  whether calls need a token (openapi-security-active)
    """
    place = urlsplit(base_url)
    title, description = _split(comment)
    return {
        "swagger": "2.0",
        "info": {
            "title": title or "PostgREST API",
            "description": description or "The functions of one schema. Each call runs in the role of its caller.",
            "version": version,
        },
        "host": place.netloc,
        "basePath": place.path or "/",
        "schemes": [place.scheme],
        "consumes": [*PRODUCES, "text/csv"],
        "produces": [*PRODUCES, "text/csv"],
        "paths": {"/": _root(), **{f"/rpc/{function.name}": _path(function) for function in functions}},
        "parameters": _parameters(),
        **(_security() if secured else {}),
        "externalDocs": DOCUMENTATION,
    }


def _split(comment: str | None) -> tuple[str | None, str | None]:
    """The first line of a comment, and the rest."""
    first, _, rest = (comment or "").partition("\n")
    return first or None, rest.lstrip("\n") or None


def _parameters() -> Document:
    preferences = {
        name: {
            "name": "Prefer",
            "description": "Preference",
            "required": False,
            "in": "header",
            "type": "string",
            **({"enum": values} if values else {}),
        }
        for name, values in PREFERENCES.items()
    }
    shaping = {
        key: {"name": name, "description": text, "required": False, "in": place, "type": "string"}
        for key, (name, place, text) in SHAPING.items()
    }
    shaping["rangeUnit"]["default"] = "items"
    return preferences | shaping


def _security() -> Document:
    token = {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": 'The word "Bearer", a space, and the token',
    }
    return {"securityDefinitions": {"JWT": token}, "security": [{"JWT": []}]}


def _root() -> Document:
    answer = {"200": {"description": "OK"}}
    return {
        "get": {
            "tags": ["Introspection"],
            "summary": "OpenAPI description (this document)",
            "produces": [MEDIA_TYPE, "application/json"],
            "responses": answer,
        }
    }


def _path(function: Function) -> Document:
    summary, description = _split(function.description)
    operation = {
        "tags": [f"(rpc) {function.name}"],
        **({"summary": summary} if summary else {}),
        **({"description": description} if description else {}),
        "produces": PRODUCES,
        "responses": {"200": {"description": "OK"}},
    }
    posted = {**operation, "parameters": [_body(function), {"$ref": "#/parameters/preferParams"}]}
    if function.volatile:
        return {"post": posted}
    return {"get": {**operation, "parameters": [_parameter(a) for a in function.arguments]}, "post": posted}


def _body(function: Function) -> Document:
    required = [argument.name for argument in function.arguments if argument.required]
    schema = {
        "type": "object",
        **({"description": function.description} if function.description else {}),
        "properties": {argument.name: _type(argument.type) for argument in function.arguments},
        **({"required": required} if required else {}),
    }
    return {"name": "args", "in": "body", "required": True, "schema": schema}


def _parameter(argument: Argument) -> Document:
    """An argument in the query string, where arrays and JSON are text. A variadic one can be repeated."""
    placed = {"name": argument.name, "in": "query", "required": argument.required}
    described = _type(argument.type)
    if argument.variadic:
        items = _type(argument.type.removesuffix("[]"))
        return {**placed, "type": "array", "collectionFormat": "multi", "items": items}
    kind = described.get("type", "string")
    return {**placed, "type": "string" if kind == "array" else kind, "format": described["format"]}


def _type(name: str) -> Document:
    if name.endswith("[]"):
        items = TYPES.get(name.removesuffix("[]"), "string")
        return {"type": "array", "format": name, "items": {"type": items} if items else {}}
    kind = TYPES.get(name, "string")
    return {**({"type": kind} if kind else {}), "format": FORMATS.get(name, name)}
