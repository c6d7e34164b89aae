"""The catalog as an OpenAPI 3.1 document: one operation a function, errors and credentials as they are."""

from typing import Any

from app.catalog import Catalog, Function, Result

Schema = dict[str, Any]

# What JSON a Postgres type takes and gives. Integers may also come as strings, for senders that would round them.
TYPES: dict[str, Schema] = {
    "smallint": {"type": ["integer", "string"], "format": "int32"},
    "integer": {"type": ["integer", "string"], "format": "int32"},
    "bigint": {"type": ["integer", "string"], "format": "int64"},
    "numeric": {"type": ["number", "string"]},
    "real": {"type": ["number", "string"]},
    "double precision": {"type": ["number", "string"], "format": "double"},
    "boolean": {"type": "boolean"},
    "json": {},
    "jsonb": {},
    "uuid": {"type": "string", "format": "uuid"},
    "timestamp with time zone": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
}
# Refusals that every function shares, with what they mean.
ERRORS = {
    "400": "The arguments are not what the function takes, or it refused them.",
    "401": "The token is missing, wrong or expired, or the anonymous role lacks a right.",
    "403": "The caller's role lacks a right, or row-level security forbids it.",
    "404": "There is no such function with these arguments, or no such queue.",
    "406": "The schema is not exposed.",
    "503": "The database cannot be reached; Retry-After says when to try again.",
    "504": "No database connection came free in time.",
}


def document(catalog: Catalog, version: str) -> Schema:
    """The functions of `catalog` as an OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pgmq-gateway",
            "version": version,
            "summary": "Postgres message queues over HTTP, every caller in its own Postgres role.",
            "license": {"name": "PostgreSQL", "identifier": "PostgreSQL"},
        },
        "servers": [{"url": "http://127.0.0.1:3000/rest/v1"}],
        "security": [{"bearer": []}, {"apikey": []}, {}],
        "paths": {f"/rpc/{function.name}": {"post": _operation(function)} for function in catalog},
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "apikey": {"type": "apiKey", "in": "header", "name": "apikey"},
            },
            "schemas": {"Error": _error()},
            "responses": {status: _refusal(meaning) for status, meaning in ERRORS.items()},
        },
    }


def _operation(function: Function) -> Schema:
    text = function.description or function.name
    return {
        "operationId": function.name,
        "summary": text.partition(". ")[0].rstrip("."),
        "description": text,
        "parameters": [
            {
                "name": "Content-Profile",
                "in": "header",
                "required": True,
                "description": "The schema of the function.",
                "schema": {"const": function.schema},
            }
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _arguments(function)}}},
        "responses": {
            **_success(function),
            **{status: {"$ref": f"#/components/responses/{status}"} for status in ERRORS},
        },
    }


def _arguments(function: Function) -> Schema:
    return {
        "type": "object",
        "properties": {argument.name: _type(argument.type) for argument in function.arguments},
        "required": [argument.name for argument in function.arguments if argument.required],
        "additionalProperties": False,
    }


def _success(function: Function) -> Schema:
    if function.result is Result.VOID:
        return {"204": {"description": "Done."}}
    row: Schema = {"type": "object"} if function.result is Result.RECORD else {}
    schema = {"type": "array", "items": row} if function.returns_set else row
    return {"200": {"description": "What the function returned.", "content": {"application/json": {"schema": schema}}}}


def _type(name: str) -> Schema:
    if name.endswith("[]"):
        return {"type": "array", "items": _type(name.removesuffix("[]"))}
    return TYPES.get(name, {"type": "string"})


def _refusal(meaning: str) -> Schema:
    schema = {"$ref": "#/components/schemas/Error"}
    return {"description": meaning, "content": {"application/json": {"schema": schema}}}


def _error() -> Schema:
    texts = {"code": "PostgREST's code or an SQLSTATE.", "message": "What happened."}
    perhaps = {"details": "More about it.", "hint": "What to do about it."}
    return {
        "type": "object",
        "required": ["code", "details", "hint", "message"],
        "properties": {
            **{name: {"type": "string", "description": text} for name, text in texts.items()},
            **{name: {"type": ["string", "null"], "description": text} for name, text in perhaps.items()},
        },
    }
