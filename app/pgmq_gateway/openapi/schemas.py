"""JSON schemas of Postgres types, and the schemas that all operations share."""

import re
from typing import Any

Schema = dict[str, Any]
Schemas = dict[str, Schema]

PREFIX = "pg_catalog."
JSON = ("pg_catalog.json", "pg_catalog.jsonb")

SMALLEST = {"int2": -(2**15), "int4": -(2**31), "int8": -(2**63)}
INT32 = {"type": "integer", "format": "int32"}
INT64 = {"type": "integer", "format": "int64"}
TEXT = {"type": "string"}
# A type that is missing here can be any JSON.
TYPES: Schemas = {
    "int2": INT32,
    "int4": INT32,
    "int8": INT64,
    "numeric": {"type": "number"},
    "float4": {"type": "number", "format": "float"},
    "float8": {"type": "number", "format": "double"},
    "bool": {"type": "boolean"},
    "uuid": {"type": "string", "format": "uuid"},
    "timestamptz": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "record": {"type": "object"},
    **dict.fromkeys(
        ("text", "varchar", "bpchar", "name", "bytea", "xml", "time", "timetz", "timestamp", "interval"), TEXT
    ),
}

ERROR: Schema = {
    "type": "object",
    "description": "An error. All four members are always present.",
    "required": ["code", "details", "hint", "message"],
    "properties": {
        "code": {
            "type": "string",
            "description": "PostgREST's code (`PGRST…`), an SQLSTATE, or `PGMQ` with the status.",
        },
        "details": {"type": ["string", "null"], "description": "Details, such as the offending value."},
        "hint": {"type": ["string", "null"], "description": "What to do next."},
        "message": {"type": "string", "description": "What happened."},
    },
}
KEY_REFUSED: Schema = {
    "type": "object",
    "description": "An error of the key layer.",
    "required": ["message", "hint"],
    "properties": {"message": {"type": "string"}, "hint": {"type": ["string", "null"]}},
}
SHARED: Schemas = {"ApiError": ERROR, "KeyRefused": KEY_REFUSED}


def reference(kind: str, name: str) -> Schema:
    """A reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


# The parameter of volatile operations.
IDEMPOTENCY_KEY = reference("parameters", "IdempotencyKey")


def component(name: str, schema: Schema, named: Schemas) -> Schema:
    """A reference to a schema, which is added to `named`; the schema itself if the name is invalid or taken."""
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name) or named.setdefault(name, schema) != schema:
        return schema
    return reference("schemas", name)


def given(sql_type: str) -> Schema:
    """The schema of an argument. Integers can be strings of digits, because JavaScript rounds 64-bit integers."""
    name = sql_type.removeprefix(PREFIX)
    if name in SMALLEST:
        digits = len(str(-SMALLEST[name])) - 1
        return {
            "type": ["integer", "string"],
            "format": TYPES[name]["format"],
            "minimum": SMALLEST[name],
            "maximum": -SMALLEST[name] - 1,
            "pattern": f"^-?[0-9]{{1,{digits}}}$",
        }
    if name.startswith("_"):
        return {"type": "array", "items": given(PREFIX + name[1:])}
    return dict(TYPES.get(name, {}))


def in_url(sql_type: str) -> Schema:
    """The schema of an argument in a query string, where arrays and JSON are text in Postgres' format."""
    name = sql_type.removeprefix(PREFIX)
    return dict(TYPES.get(name, TEXT))


def returned(sql_type: str, *, nullable: bool) -> Schema:
    """The schema of a value in a result."""
    name = sql_type.removeprefix(PREFIX)
    if name.startswith("_"):
        items = returned(PREFIX + name[1:], nullable=True)
        return {"type": ["array", "null"] if nullable else "array", "items": items}
    schema = dict(TYPES.get(name, {}))
    if nullable and schema:
        schema["type"] = [schema["type"], "null"]
    return schema


def one_of(schemas: list[Schema]) -> Schema:
    """A schema for any of `schemas`, without duplicates."""
    distinct = [schema for place, schema in enumerate(schemas) if schema not in schemas[:place]]
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}
