"""What the catalog cannot say of the functions of pgmq_public: limits, meanings, and examples that can be tried."""

from pgmq_gateway.openapi.schemas import INT32, INT64, Schema, Schemas

ROW = "message_record"

# Those that pgmq takes; letters are folded to lower case.
QUEUE_NAME: Schema = {
    "type": "string",
    "pattern": r"^-?([^$;'/\x00-]-?)+$",
    "maxLength": 47,
    "description": "The queue.",
    "examples": ["tasks"],
}
# Added to what the type says.
ARGUMENTS: Schemas = {
    "queue_name": QUEUE_NAME,
    "message": {"description": "Any JSON. Numbers keep every digit.", "examples": [{"hello": "world"}]},
    "messages": {
        "description": "Messages, any JSON but arrays: Postgres makes one array with more dimensions of arrays inside.",
        "items": {"not": {"type": "array"}},
        "examples": [[{"n": 1}, {"n": 2}]],
    },
    "message_id": {"description": "The message's `msg_id`.", "examples": [1]},
    "n": {"description": "How many messages at most.", "minimum": 0, "pattern": "^[0-9]{1,9}$", "examples": [1]},
}
SLEEP_SECONDS = {
    "read": "How long nobody else reads the messages: the lease.",
    "send": "How long the message stays invisible at first; 0 if it is not given.",
    "send_batch": "How long the messages stay invisible at first; 0 if it is not given.",
}

TIME = {"type": "string", "format": "date-time"}
RECORD: Schema = {
    "type": "object",
    "description": "A message of a queue.",
    "required": ["msg_id", "read_ct", "enqueued_at", "vt", "message", "headers"],
    "properties": {
        "msg_id": {**INT64, "description": "Its id, ascending within the queue."},
        "read_ct": {**INT32, "description": "How often it was read."},
        "enqueued_at": {**TIME, "description": "When it was sent."},
        "last_read_at": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "When it was read last; missing on pgmq before 1.10.",
        },
        "vt": {**TIME, "description": "When it is visible (again): the end of the lease."},
        "message": {"description": "What was sent: any JSON."},
        "headers": {
            "type": ["object", "null"],
            "additionalProperties": True,
            "description": "What its sender said beside it, in SQL.",
        },
    },
}

READ: Schema = {
    "msg_id": 1,
    "read_ct": 1,
    "enqueued_at": "2026-01-31T12:00:00.123456+00:00",
    "last_read_at": "2026-01-31T12:00:05.5+00:00",
    "vt": "2026-01-31T12:00:35.5+00:00",
    "message": {"hello": "world"},
    "headers": None,
}
POPPED: Schema = {**READ, "read_ct": 0, "last_read_at": None, "vt": READ["enqueued_at"]}
NONE: Schema = {"summary": "No message is visible", "value": []}
MISSING: Schema = {"summary": "There is none with this id, or not for this caller", "value": False}
DONE: Schema = {"summary": "Done", "value": True}

REQUESTS: dict[str, Schemas] = {
    "send": {
        "now": {"summary": "A message", "value": {"queue_name": "tasks", "message": {"hello": "world"}}},
        "later": {
            "summary": "A message that nobody sees for an hour",
            "value": {"queue_name": "tasks", "message": {"hello": "later"}, "sleep_seconds": 3600},
        },
    },
    "send_batch": {
        "batch": {"summary": "Two messages", "value": {"queue_name": "tasks", "messages": [{"n": 1}, {"n": 2}]}}
    },
    "read": {
        "one": {
            "summary": "One message, for half a minute",
            "value": {"queue_name": "tasks", "sleep_seconds": 30, "n": 1},
        }
    },
    "pop": {"pop": {"summary": "One message, for good", "value": {"queue_name": "tasks"}}},
    "archive": {"archive": {"summary": "Message 1", "value": {"queue_name": "tasks", "message_id": 1}}},
    "delete": {"delete": {"summary": "Message 1", "value": {"queue_name": "tasks", "message_id": 1}}},
}
ANSWERS: dict[str, Schemas] = {
    "send": {"sent": {"summary": "The message's id", "value": [1]}},
    "send_batch": {"sent": {"summary": "The ids, in the order of the messages", "value": [2, 3]}},
    "read": {"message": {"summary": "A message and its lease", "value": [READ]}, "none": NONE},
    "pop": {"message": {"summary": "A message that is deleted now", "value": [POPPED]}, "none": NONE},
    "archive": {"done": DONE, "missing": MISSING},
    "delete": {"done": DONE, "missing": MISSING},
}
