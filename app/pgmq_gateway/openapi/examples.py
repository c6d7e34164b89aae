"""Limits, descriptions and examples of the functions of pgmq_public, which the catalog does not have."""

from pgmq_gateway.openapi.schemas import INT32, INT64, Schema, Schemas

ROW, LEASED_ROW = "message_record", "message"

# The names that pgmq accepts; it folds them to lower case.
QUEUE_NAME: Schema = {
    "type": "string",
    "pattern": r"^-?([^$;'/\x00-]-?)+$",
    "maxLength": 47,
    "description": "The name of the queue.",
    "examples": ["tasks"],
}
# Added to the schema of the type.
ARGUMENTS: Schemas = {
    "queue_name": QUEUE_NAME,
    "message": {"description": "Any JSON. Numbers keep every digit.", "examples": [{"hello": "world"}]},
    "messages": {
        "description": "Messages: any JSON except arrays, which Postgres would merge into one multidimensional array.",
        "items": {"not": {"type": "array"}},
        "examples": [[{"n": 1}, {"n": 2}]],
    },
    "message_id": {"description": "The message's `msg_id`.", "examples": [1]},
    "n": {"description": "Maximum number of messages.", "minimum": 0, "pattern": "^[0-9]{1,9}$", "examples": [1]},
}
SLEEP_SECONDS = {
    "read": "Visibility timeout in seconds: how long other consumers do not receive the messages.",
    "send": "Delay in seconds before the message becomes visible; 0 by default.",
    "send_batch": "Delay in seconds before the messages become visible; 0 by default.",
}

TIME = {"type": "string", "format": "date-time"}
RECORD: Schema = {
    "type": "object",
    "description": "A message of a queue.",
    "required": ["msg_id", "read_ct", "enqueued_at", "vt", "message", "headers"],
    "properties": {
        "msg_id": {**INT64, "description": "The message's id, ascending within the queue."},
        "read_ct": {**INT32, "description": "How often the message was read."},
        "enqueued_at": {**TIME, "description": "When the message was sent."},
        "last_read_at": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "When the message was last read; absent before pgmq 1.10.",
        },
        "vt": {**TIME, "description": "When the message becomes visible: the end of its delay or visibility timeout."},
        "message": {"description": "The payload: any JSON."},
        "headers": {
            "type": ["object", "null"],
            "additionalProperties": True,
            "description": "Headers, which only SQL and pgmq_admin can set.",
        },
    },
}
# What pgmq_api adds.
LEASE: Schemas = {
    "receipt": {"type": ["string", "null"], "description": "Settles this delivery; null for a popped message."},
    "queue_name": {"type": "string", "description": "The queue of the message."},
}
# Columns of other results of pgmq_api that can be null.
NULLABLE = ("last_read_at", "headers", "oldest_seconds", "last_visible_at")

READ: Schema = {
    "msg_id": 1,
    "read_ct": 1,
    "enqueued_at": "2026-01-31T12:00:00.123456+00:00",
    "last_read_at": "2026-01-31T12:00:05.5+00:00",
    "vt": "2026-01-31T12:00:35.5+00:00",
    "message": {"hello": "world"},
    "headers": None,
}
RECEIPT_EXAMPLES = ["1.1.1769860800123456", "2.1.1769860800123456"]
LEASED: Schema = {**READ, "receipt": RECEIPT_EXAMPLES[0], "queue_name": "tasks"}
POPPED: Schema = {**READ, "read_ct": 0, "last_read_at": None, "vt": READ["enqueued_at"]}
POPPED_LEASED: Schema = {**POPPED, "receipt": None, "queue_name": "tasks"}
NONE: Schema = {"summary": "No message is visible", "value": []}
MISSING: Schema = {"summary": "The message does not exist, or is hidden from the caller", "value": False}
DONE: Schema = {"summary": "Done", "value": True}

REQUESTS: dict[str, Schemas] = {
    "send": {
        "now": {"summary": "A message", "value": {"queue_name": "tasks", "message": {"hello": "world"}}},
        "later": {
            "summary": "A message that becomes visible after an hour",
            "value": {"queue_name": "tasks", "message": {"hello": "later"}, "sleep_seconds": 3600},
        },
    },
    "send_batch": {
        "batch": {"summary": "Two messages", "value": {"queue_name": "tasks", "messages": [{"n": 1}, {"n": 2}]}}
    },
    "read": {
        "one": {
            "summary": "One message, invisible to other consumers for 30 seconds",
            "value": {"queue_name": "tasks", "sleep_seconds": 30, "n": 1},
        }
    },
    "pop": {"pop": {"summary": "One message", "value": {"queue_name": "tasks"}}},
    "archive": {"archive": {"summary": "Message 1", "value": {"queue_name": "tasks", "message_id": 1}}},
    "delete": {"delete": {"summary": "Message 1", "value": {"queue_name": "tasks", "message_id": 1}}},
}
ANSWERS: dict[str, Schemas] = {
    "send": {"sent": {"summary": "The message's id", "value": [1]}},
    "send_batch": {"sent": {"summary": "The ids, in the order of the messages", "value": [2, 3]}},
    "read": {"message": {"summary": "A message", "value": [READ]}, "none": NONE},
    "pop": {"message": {"summary": "A message, which is now deleted", "value": [POPPED]}, "none": NONE},
    "archive": {"done": DONE, "missing": MISSING},
    "delete": {"done": DONE, "missing": MISSING},
}
