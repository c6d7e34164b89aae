"""Calls of the six functions of a queue."""

from typing import Any
from urllib.parse import quote

# Arguments for the six functions; those with a message id name message 1.
CALLS: dict[str, dict[str, Any]] = {
    "send": {"message": {"n": 1}},
    "send_batch": {"messages": [{"n": 1}, {"n": 2}]},
    "read": {"sleep_seconds": 600, "n": 10},
    "pop": {},
    "archive": {"message_id": 1},
    "delete": {"message_id": 1},
}

# A filter on messages with ENDLESS_TEXT that takes time with the fourth power of the number of letters: hours for this
# odd one, which does not match.
ENDLESS_FILTER = "message->>x=" + quote("match.^(a+)(a+)(a+)(a+)\\1\\2\\3\\4$")
ENDLESS_TEXT = "a" * 1001
