"""Queues as resources. An operation is described if the caller can execute its function."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from pgmq_gateway.calls.catalog import Function
from pgmq_gateway.openapi.answers import headers, refusals
from pgmq_gateway.openapi.examples import ARGUMENTS, QUEUE_NAME, SLEEP_SECONDS
from pgmq_gateway.openapi.operations import (
    BODIES,
    ENTRIES,
    FORMS,
    LEASE_TEXTS,
    MEMBERS,
    OPERATIONS,
    PARAMETERS,
    RECEIPT_PATTERN,
    SECONDS,
    SENT_ENTRIES,
)
from pgmq_gateway.openapi.operations import RECEIPT as RECEIPT_SCHEMA
from pgmq_gateway.openapi.results import answer
from pgmq_gateway.openapi.schemas import (
    IDEMPOTENCY_KEY,
    INT32,
    INT64,
    SMALLEST,
    TEXT,
    Schema,
    Schemas,
    given,
)
from pgmq_gateway.postgrest.routes import MESSAGE_ID, RECEIPT, ROUTES, STREAMS, WAIT_SECONDS, Parameter, Route, Type
from pgmq_gateway.schemas import LEASES

TAG = "queues"
IDS = [operation.id for operation in OPERATIONS.values()]
# A receipt settles one message, and so do these by its id.
BY_ID = ("delete", "archive")
# Functions that settle one message, and the variable of their path that names it.
SETTLING = {
    "archive": "message_id",
    "delete": "message_id",
    "retry": "receipt",
    "reject": "receipt",
    "extend": "receipt",
}
# The runtime expressions of the first message in a response.
FIRST = {
    "send": {"message_id": "$response.body#/0"},
    "read": {"message_id": "$response.body#/0/msg_id", "receipt": "$response.body#/0/receipt"},
}
DIGITS = {"minimum": 0, "pattern": "^[0-9]{1,18}$"}
LISTED_IDS = r"^in\.\(([0-9]{1,18}(,[0-9]{1,18})*)?\)$"


def paths(functions: Sequence[Function], named: Schemas) -> Schemas:
    """The paths of queues whose functions are in `functions`."""
    found = {(function.schema, function.name): function for function in functions}
    routes = dict(_routes(found))
    entries = found.get((LEASES, "send_entries"))
    settling = {route.function for _, route in routes.values()} & SETTLING.keys()
    described: Schemas = {}
    for (method, path), (function, route) in routes.items():
        receipts = (method, path.replace(MESSAGE_ID, RECEIPT)) in routes
        # Two templates that differ in a name only are one path.
        if RECEIPT in path and (method, path.replace(RECEIPT, MESSAGE_ID)) in routes:
            continue
        operation = _operation(function, route, named, receipts=receipts)
        if entries is not None and "entries" in route.batches:
            _add_entries(operation, answer(entries, named))
        operation["responses"][str(route.status)].update(_links(route.function, settling))
        described.setdefault(path, {})[method.lower()] = operation
    return described


def _routes(
    found: Mapping[tuple[str, str], Function],
) -> Iterator[tuple[tuple[str, str], tuple[Function, Route]]]:
    """The routes to functions that exist, by method and path. Those of pgmq_api replace those of pgmq_public."""
    taken = set()
    for schema, routes in ROUTES.items():
        for route in routes:
            place = route.method, route.path
            if (schema, route.function) in found and place not in taken:
                taken.add(place)
                yield place, (found[schema, route.function], route)


def _add_entries(operation: Schema, rows: Schema) -> None:
    """Describe a batch of entries, which has a response of its own."""
    operation["requestBody"]["content"]["application/json"]["examples"] |= ENTRIES
    sent = operation["responses"]["201"]["content"]["application/json"]
    sent["schema"] = {"anyOf": [sent["schema"], rows]}
    sent["examples"] |= SENT_ENTRIES


def _links(name: str, functions: Collection[str]) -> Schema:
    """Links from the first message of a response to the operations that settle it."""
    links = {
        target: {
            "operationId": OPERATIONS[target].id,
            "parameters": {"queue": "$request.path.queue", variable: FIRST[name][variable]},
        }
        for target, variable in SETTLING.items()
        if target in functions and variable in FIRST.get(name, {})
    }
    return {"links": links} if links else {}


def _operation(function: Function, route: Route, named: Schemas, *, receipts: bool) -> Schema:
    known, leased = OPERATIONS[route.function], function.schema == LEASES
    more = f" {LEASE_TEXTS[route.function]}" if leased and route.function in LEASE_TEXTS else ""
    keyed = (413, 422) if _takes_key(route) else ()
    limited = (429,) if (leased and route.batches) or WAIT_SECONDS in route.parameters else ()
    streamed = (505,) if leased and any((one.method, one.path) == (route.method, route.path) for one in STREAMS) else ()
    return {
        "operationId": known.id,
        "tags": [TAG],
        "summary": known.summary,
        "description": known.text + more,
        "parameters": [*_in_path(route, receipts=receipts), *_in_query(route), *_key(route)],
        **_body(route),
        "responses": {
            str(route.status): _answer(function, route, named),
            **refusals(
                (400, 401, 403, 404, 405, 409, *keyed, *limited, 500, 503, 504, *streamed),
                _special(route, receipts=receipts),
            ),
        },
    }


def _special(route: Route, *, receipts: bool) -> Mapping[int, str]:
    """Error responses that other operations do not have, by status."""
    if MESSAGE_ID in route.path or RECEIPT in route.path:
        return {404: "MessageNotFound", **({409: "Stale"} if receipts or RECEIPT in route.path else {})}
    if WAIT_SECONDS in route.parameters:
        return {429: "WaitRefused"}
    return {409: "Unsettled"} if route.function == "settle" else {}


def _takes_key(route: Route) -> bool:
    return route.method != "GET"


def _key(route: Route) -> Iterator[Schema]:
    if _takes_key(route):
        yield IDEMPOTENCY_KEY


def _in_path(route: Route, *, receipts: bool) -> Iterator[Schema]:
    number = {**given("pg_catalog.int8"), **DIGITS, **ARGUMENTS["message_id"]}
    either = {
        **number,
        "pattern": f"^([0-9]{{1,18}}|{RECEIPT_PATTERN})$",
        "description": "The message's `msg_id`, or the `receipt` of a read.",
    }
    receipt = {**RECEIPT_SCHEMA, "description": "The `receipt` of a read."}
    schemas = {"{queue}": QUEUE_NAME, MESSAGE_ID: either if receipts else number, RECEIPT: receipt}
    for name, schema in schemas.items():
        if name in route.path:
            yield {"name": name.strip("{}"), "in": "path", "required": True, "schema": schema}


def _in_query(route: Route) -> Iterator[Schema]:
    for name, parameter in route.parameters.items():
        required = {"required": True} if parameter.required else {}
        yield {
            "name": name,
            "in": "query",
            **required,
            "description": _text(route, name, parameter),
            "schema": _schema(name, parameter),
        }


def _text(route: Route, name: str, parameter: Parameter) -> str:
    if name != "sleep_seconds":
        return PARAMETERS[name]
    text = SECONDS.get(route.function, SLEEP_SECONDS["read"])
    return f"{text} By default, the lease in the queue's settings, or 30." if parameter.default == "null" else text


def _schema(name: str, parameter: Parameter) -> Schema:
    match parameter.type:
        case Type.INTEGER:
            least, most = parameter.bounds or (0 if name == "n" else SMALLEST["int4"], -SMALLEST["int4"] - 1)
            default = {} if parameter.default in (None, "null") else {"default": int(parameter.default or "")}
            return {**INT32, "minimum": least, "maximum": most, **default}
        case Type.SECONDS:
            return {**INT32, "minimum": 0, "maximum": 9999}
        case Type.BOOLEAN:
            return {"type": "boolean", "default": parameter.default == "true"}
        case Type.ID:
            return {**INT64, "minimum": 0, "default": 0}
        case Type.TEXTS:
            items = {key: value for key, value in QUEUE_NAME.items() if key != "description"}
            return {"type": "array", "items": items, "minItems": 1, "maxItems": 10, "uniqueItems": True}
        case Type.IDS:
            return {**TEXT, "pattern": LISTED_IDS, "examples": [parameter.example]}
        case Type.TEXT:
            return {**TEXT, **FORMS.get(name, {}), "examples": [parameter.example]}
        case Type.TIME:
            return {**TEXT, "format": "date-time", "examples": [parameter.example]}


def _body(route: Route) -> Schema:
    if route.batches:
        examples = {
            "message": {"summary": "A message", "value": {"hello": "world"}},
            "batch": {"summary": "Two messages", "value": {"messages": [{"n": 1}, {"n": 2}]}},
        }
        return {
            "requestBody": {"required": True, "content": {"application/json": {"schema": {}, "examples": examples}}}
        }
    if not route.members:
        return {}
    schema = {
        "type": "object",
        "properties": {name: MEMBERS[name] for name in route.members},
        "additionalProperties": False,
    }
    content = {"application/json": {"schema": schema, "examples": BODIES[route.function]}}
    return {"requestBody": {"required": False, "content": content}}


def _answer(function: Function, route: Route, named: Schemas) -> Schema:
    known = OPERATIONS[route.function]
    replayed = ("Idempotency-Replayed",) if _takes_key(route) else ()
    applied = ("Preference-Applied",) if WAIT_SECONDS in route.parameters else ()
    schema = {"const": True} if route.function in BY_ID else answer(function, named)
    examples = {"examples": dict(known.examples)} if known.examples else {}
    return {
        "description": known.answer,
        "headers": headers("Content-Range", *applied, "Vary", "Cache-Control", *replayed),
        "content": {"application/json": {"schema": schema, **examples}},
    }
