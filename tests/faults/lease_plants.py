"""Faults of `pgmq_api` to plant: a function, a part of its source, and what replaces it; and the violation to find."""

from dataclasses import dataclass

from bench.checker.model import Promise


@dataclass(frozen=True)
class Plant:
    """`part` occurs once in the source of the function."""

    promise: Promise
    function: str
    part: str
    wrong: str


LEASE_PLANTS = {
    "ack deletes whatever the receipt says": Plant(
        Promise.FENCED, "pgmq_api.ack", "and q.read_ct = $2 and q.enqueued_at = $3", ""
    ),
    "a valid receipt finds nothing": Plant(Promise.LOST, "pgmq_api.ack", "and q.read_ct = $2", "and q.read_ct = -$2"),
    "read leases for no time": Plant(
        Promise.SHARED, "pgmq_api.read", "coalesce(sleep_seconds, settings.lease_seconds, 30)", "0"
    ),
    "messages live for ever": Plant(
        Promise.EXHAUSTED, "pgmq_api.read", "coalesce(settings.max_receives, 999999)", "999999"
    ),
    "each dead letter is buried twice": Plant(
        Promise.DOUBLED,
        "pgmq_settings.burial_statement",
        "from kept order by msg_id",
        "from kept cross join generate_series(1, 2)",
    ),
    "a retry rejects": Plant(
        Promise.BURIED,
        "pgmq_settings.changes_statement",
        "case when noting then\n            $assignments$\n            read_ct = case c.operation when 'reject' then",
        "case when true then $assignments$ read_ct = case when c.operation in ('reject', 'retry') then",
    ),
    "half of the redriven letters are lost": Plant(
        Promise.LOST, "pgmq_settings.redrive_statement", "where m.target =", "where m.msg_id %% 2 = 1 and m.target ="
    ),
    "a group has no limit": Plant(
        Promise.CROWDED, "pgmq_settings.park_q_lines", "if occupied >= 1 or waiting then", "if false then"
    ),
    "the newest of a group is next": Plant(
        Promise.DISORDERED, "pgmq_settings.promote_q_lines", "q.vt, q.msg_id", "q.msg_id desc"
    ),
    "nobody is next": Plant(Promise.STALLED, "pgmq_settings.promote_q_lines", "\nbegin\n", "\nbegin\n return null;\n"),
    "ids are not remembered": Plant(
        Promise.DOUBLED, "pgmq_settings.claim_ids", "d.deduplication_id <> all (claimed)", "false"
    ),
    "keys are not remembered": Plant(
        Promise.REPEATED, "pgmq_gateway.store_answers", "continue when key_ids[n] is null", "continue when true"
    ),
}
