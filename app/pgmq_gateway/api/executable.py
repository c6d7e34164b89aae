"""The functions that a caller can execute, for descriptions of the API."""

import json
from collections.abc import Iterable

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.batching import Executor
from pgmq_gateway.calls.call import executable
from pgmq_gateway.http.request import Request


async def executable_oids(database: Executor, caller: Caller, request: Request, schemas: Iterable[str]) -> set[int]:
    """The OIDs of the functions of `schemas` that the caller can execute. Raises what the executor raises."""
    oids = set[int]()
    for schema in schemas:
        answer = await database.execute(caller, executable(schema, request.sql_settings(), request.flow))
        oids.update(json.loads(answer.body or "[]"))
    request.timing.lap("transaction")
    return oids
