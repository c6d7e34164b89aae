"""Results of functions as schemas."""

from pgmq_gateway.calls.catalog import Function, Result
from pgmq_gateway.openapi.examples import ANSWERS, LEASE, LEASED_ROW, NULLABLE, RECORD, ROW
from pgmq_gateway.openapi.schemas import Schema, Schemas, component, returned
from pgmq_gateway.schemas import LEASES, QUEUES


def answer(function: Function, named: Schemas) -> Schema:
    """The schema of a function's result. That of its rows is added to `named`."""
    shipped = function.schema == LEASES or (function.schema == QUEUES and function.name in ANSWERS)
    if function.result is Result.RECORD:
        row = _row(function, named) if function.columns else {"type": "object"}
        single = {"anyOf": [row, {"type": "null"}]}
    else:
        single = row = returned(function.columns[0][1], nullable=not shipped) if function.columns else {}
    return {"type": "array", "items": row} if function.returns_set else single


def _row(function: Function, named: Schemas) -> Schema:
    columns = dict(function.columns)
    if function.schema == QUEUES and {*columns} == {*RECORD["properties"]} - ({"last_read_at"} - {*columns}):
        name, schema = ROW, {**RECORD, "properties": {column: RECORD["properties"][column] for column in columns}}
    elif function.schema == LEASES and {*columns} == {*RECORD["properties"], *LEASE}:
        name = LEASED_ROW
        schema = {
            **RECORD,
            "required": [*RECORD["required"], *LEASE],
            "properties": {**RECORD["properties"], **LEASE},
        }
    elif function.schema == LEASES:
        name = f"{function.name}_row"
        properties = {column: returned(sql_type, nullable=column in NULLABLE) for column, sql_type in columns.items()}
        schema = {"type": "object", "required": list(properties), "properties": properties}
    else:
        name = f"{function.name}_row"
        properties = {column: returned(sql_type, nullable=True) for column, sql_type in columns.items()}
        schema = {"type": "object", "required": list(properties), "properties": properties}
    return component(name, schema, named)
