"""The operations of the log of actions in words."""

# By the name of the function of pgmq_admin.
OPERATIONS = {
    "create_queue": "created the queue",
    "drop_queue": "dropped the queue",
    "purge_queue": "purged the queue",
    "set_queue_settings": "changed settings",
    "enable_notify": "turned notifications on",
    "disable_notify": "turned notifications off",
    "send": "sent a message",
    "send_batch": "sent messages",
    "postpone": "postponed messages",
    "make_visible": "made messages visible",
    "archive": "archived messages",
    "delete": "deleted messages",
    "delete_archived": "deleted archived messages",
    "move": "moved messages to another queue",
    "requeue": "returned archived messages to the queue",
    "redrive": "redrove dead letters",
    "replay": "replayed archived messages",
    "grant_queue": "granted permissions",
    "revoke_queue": "revoked permissions",
    "set_rls": "turned row-level security on or off",
    "create_policy": "created policies",
    "change_policy": "changed policies",
    "drop_policy": "dropped a policy",
    "expose": "exposed the API",
    "unexpose": "stopped exposing the API",
}


def described(operation: str) -> str:
    """The operation in words, or its name if a later version has added it."""
    return OPERATIONS.get(operation, operation)
