"""The functions of a schema as PostgREST describes them: Swagger 2.0 at `/` (wire contract, section 12)."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from app.catalog import Argument, Function

MEDIA_TYPE = "application/openapi+json"
PRODUCES = ["application/json", "application/vnd.pgrst.object+json;nulls=stripped", "application/vnd.pgrst.object+json"]

# A type's JSON type; what is not here is described by its format alone.
TYPES = {
    "text": "string", "character varying": "string", "character": "string", "uuid": "string", "date": "string",
    "timestamp with time zone": "string", "timestamp without time zone": "string", "bytea": "string",
    "smallint": "integer", "integer": "integer", "bigint": "integer",
    "numeric": "number", "real": "number", "double precision": "number", "boolean": "boolean",
}  # fmt: skip
FORMATS = {"smallint": "int32", "integer": "int32", "bigint": "int64"}

Document = dict[str, Any]


def document(functions: Iterable[Function], version: str, base_url: str) -> Document:
    """A Swagger 2.0 document of `functions`, served at `base_url`."""
    place = urlsplit(base_url)
    return {
        "swagger": "2.0",
        "info": {"title": "PostgREST API", "description": "", "version": version},
        "host": place.netloc,
        "basePath": place.path or "/",
        "schemes": [place.scheme],
        "consumes": PRODUCES,
        "produces": PRODUCES,
        "paths": {"/": _root(), **{f"/rpc/{function.name}": _path(function) for function in functions}},
        "parameters": {"preferParams": {"name": "Prefer", "in": "header", "required": False, "type": "string"}},
    }


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
    text = function.description or ""
    operation = {
        "tags": [f"(rpc) {function.name}"],
        **({"summary": text.partition("\n")[0], "description": text} if text else {}),
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
        "properties": {argument.name: _type(argument.type) for argument in function.arguments},
        **({"required": required} if required else {}),
    }
    return {"name": "args", "in": "body", "required": True, "schema": schema}


def _parameter(argument: Argument) -> Document:
    return {"name": argument.name, "in": "query", "required": argument.required, **_type(argument.type)}


def _type(name: str) -> Document:
    if name.endswith("[]"):
        return {"type": "array", "format": name, "items": {}}
    described = {"format": FORMATS.get(name, name)}
    return {"type": TYPES[name], **described} if name in TYPES else described
