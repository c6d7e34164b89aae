"""Calls of the six functions of a queue."""

from typing import Any

# Arguments for the six functions; those with a message id name message 1.
CALLS: dict[str, dict[str, Any]] = {
    "send": {"message": {"n": 1}},
    "send_batch": {"messages": [{"n": 1}, {"n": 2}]},
    "read": {"sleep_seconds": 600, "n": 10},
    "pop": {},
    "archive": {"message_id": 1},
    "delete": {"message_id": 1},
}
