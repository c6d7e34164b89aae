"""The queues with settings, whose clients use `pgmq_api`: dead letters, and groups with two limits."""

from collections.abc import Mapping

TASKS, LETTERS, LINES, LANES = "tasks", "letters", "lines", "lanes"
MAX_RECEIVES = 2
# The limits of groups; with 1 their messages have an order.
GROUP_LIMITS = {LINES: 1, LANES: 3}
# Dead letters are only redriven.
CONSUMED = (TASKS, LINES, LANES)

# In an order in which they can be created.
SETTINGS: Mapping[str, Mapping[str, object]] = {
    LETTERS: {},
    TASKS: {"max_receives": MAX_RECEIVES, "dead_letter_queue": LETTERS},
    **{queue: {"group_limit": limit} for queue, limit in GROUP_LIMITS.items()},
}
