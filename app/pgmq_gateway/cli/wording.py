"""Messages of the database in the words of the command line: commands in place of functions."""

import re
from collections.abc import Mapping

# Functions that hints name, and the command that calls each.
COMMANDS: Mapping[str, str] = {
    "pgmq_admin.list_queues": "pgmq-gateway queue list",
    "pgmq_admin.create_queue": "pgmq-gateway queue create",
    "pgmq_admin.drop_queue": "pgmq-gateway queue drop",
    "pgmq_admin.grant_queue": "pgmq-gateway queue grant",
    "pgmq_admin.revoke_queue": "pgmq-gateway queue revoke",
    "pgmq_admin.queue_settings": "pgmq-gateway queue settings",
    "pgmq_admin.set_queue_settings": "pgmq-gateway queue settings",
    "read": "pgmq-gateway read",
}
# Hints of functions that no command calls.
WITHOUT_COMMAND = frozenset(
    {"pgmq_admin.count_messages", "pgmq_admin.drop_policy", "pgmq_admin.list_policies", "requeue"}
)
CALL = re.compile(r"\b((?:pgmq_(?:admin|api)\.)?[a-z_]+)\(\)")


def spoken(message: str) -> str:
    """The message with commands in place of functions."""
    return CALL.sub(lambda found: COMMANDS.get(found[1], found[0]), message)
