"""Queues as resources. An operation is described if the caller can execute its function."""

from collections.abc import Collection, Sequence

from pgmq_gateway.calls.catalog import Function
from pgmq_gateway.openapi.answers import headers, refusals
from pgmq_gateway.openapi.examples import ANSWERS, ARGUMENTS, DONE, QUEUE_NAME, SLEEP_SECONDS
from pgmq_gateway.openapi.results import answer
from pgmq_gateway.openapi.schemas import INT32, SMALLEST, Schema, Schemas, given
from pgmq_gateway.postgrest.resources import ROUTES
from pgmq_gateway.queue_functions import FUNCTIONS, Kind
from pgmq_gateway.schemas import QUEUES

TAG = "queues"
OPERATIONS = ("send_message", "read_messages", "pop_message", "delete_message", "archive_message")
IDS = dict(zip(ROUTES.values(), OPERATIONS, strict=True))

TEXTS = {
    "send": (
        "Sends a message or a batch",
        'Sends the body, any JSON, as a message. `{"messages": […]}`, without other members, is a batch: each member '
        "is a message, arrays and `null` too, and either all of them are sent or none.",
    ),
    "read": (
        "Reads messages",
        "Reads up to `n` visible messages and makes them invisible to other consumers for `sleep_seconds`. Delete or "
        "archive them in that time. Unlike most GET requests it has an effect: responses are never cached, and a "
        "repeated request returns other messages.",
    ),
    "pop": (
        "Reads and deletes one message",
        "Reads and deletes one visible message. Delivery is at most once: if the response is lost, so is the message.",
    ),
    "delete": ("Deletes a message", "Deletes a message permanently."),
    "archive": ("Archives a message", "Moves a message to the archive of its queue."),
}
BATCH: Schemas = {"batch": ANSWERS["send_batch"]["sent"]}
SETTLING = [name for name, function in FUNCTIONS.items() if function.kind is Kind.SETTLE]
# The runtime expression of a message id in a response.
MESSAGE_ID = {"send": "$response.body#/0", "read": "$response.body#/0/msg_id"}
INT32_RANGE = {"minimum": SMALLEST["int4"], "maximum": -SMALLEST["int4"] - 1}


def paths(functions: Sequence[Function], named: Schemas) -> Schemas:
    """The paths of queues whose functions are in `functions`."""
    found = {function.name: function for function in functions if function.schema == QUEUES}
    described: Schemas = {}
    for (method, place), name in ROUTES.items():
        if name in found:
            path = f"/queues/{{queue}}/{place.replace('{id}', '{message_id}')}"
            described.setdefault(path, {})[method.lower()] = _operation(found[name], named, _links(name, found))
    return described


def _links(name: str, found: Collection[str]) -> Schema:
    """Links from the first message of a response to the operations that delete or archive it."""
    parameters = {"queue": "$request.path.queue", "message_id": MESSAGE_ID.get(name)}
    targets = {settling: IDS[settling] for settling in SETTLING if settling in found}
    links = {settling: {"operationId": target, "parameters": parameters} for settling, target in targets.items()}
    return {"links": links} if name in MESSAGE_ID and links else {}


def _operation(function: Function, named: Schemas, links: Schema) -> Schema:
    name = function.name
    summary, text = TEXTS[name]
    single = FUNCTIONS[name].kind is Kind.SETTLE
    return {
        "operationId": IDS[name],
        "tags": [TAG],
        "summary": summary,
        "description": text,
        "parameters": [_in_path("queue", QUEUE_NAME), *_parameters(name)],
        **({"requestBody": _message()} if name == "send" else {}),
        "responses": {
            ("201" if name == "send" else "200"): {**_answer(function, named), **links},
            **refusals((400, 401, 403, 404, 405, 409, 500, 503, 504), {404: "MessageNotFound"} if single else None),
        },
    }


def _parameters(name: str) -> list[Schema]:
    if FUNCTIONS[name].kind is Kind.SETTLE:
        digits = {"minimum": 0, "pattern": "^[0-9]{1,18}$"}
        return [_in_path("message_id", {**given("pg_catalog.int8"), **digits, **ARGUMENTS["message_id"]})]
    if name == "read":
        return [
            _number("n", 1, ARGUMENTS["n"]["description"], minimum=0),
            _number("sleep_seconds", 30, SLEEP_SECONDS["read"]),
        ]
    if name == "send":
        return [_number("sleep_seconds", 0, "Delay in seconds before the message becomes visible.")]
    return []


def _in_path(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _number(name: str, default: int, text: str, **bounds: int) -> Schema:
    schema = {**INT32, **INT32_RANGE, **bounds, "default": default}
    return {"name": name, "in": "query", "description": text, "schema": schema}


def _message() -> Schema:
    examples = {
        "message": {"summary": "A message", "value": {"hello": "world"}},
        "batch": {"summary": "Two messages", "value": {"messages": [{"n": 1}, {"n": 2}]}},
    }
    return {"required": True, "content": {"application/json": {"schema": {}, "examples": examples}}}


def _answer(function: Function, named: Schemas) -> Schema:
    descriptions = {"send": "Sent: the ids, in order.", "delete": "Deleted.", "archive": "Archived."}
    single = FUNCTIONS[function.name].kind is Kind.SETTLE
    schema = {"const": True} if single else answer(function, named)
    examples = {"done": DONE} if single else {**ANSWERS[function.name], **(BATCH if function.name == "send" else {})}
    return {
        "description": descriptions.get(function.name, "The messages."),
        "headers": headers("Content-Range", "Vary", "Cache-Control"),
        "content": {"application/json": {"schema": schema, "examples": examples}},
    }
