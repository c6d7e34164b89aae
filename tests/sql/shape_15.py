"""pgmq in the shape of 1.5, derived from the packaged SQL by removing later additions: no registry has 1.5."""

import re

from tests.sql.conftest import PGMQ_SQL

# Pattern, replacement, and the expected number of matches.
LATER = [
    # Functions on groups, topics and notifications, with their two tables.
    (
        r"(?ms)^CREATE (?:OR REPLACE )?FUNCTION pgmq\.\w*(?:grouped|topic|notify|routing)\w*\("
        r".*?\$\$(?: LANGUAGE plpgsql)?;$",
        "",
        27,
    ),
    (r"(?ms)^CREATE (?:UNLOGGED )?TABLE IF NOT EXISTS pgmq\.(?:notify_insert_throttle|topic_bindings).*?\);\n", "", 2),
    (r"(?ms)^CREATE INDEX IF NOT EXISTS idx_(?:notify_throttle|topic_bindings)\w* *.*?;\n", "", 2),
    (r" +PERFORM pg_catalog\.\w+\('pgmq.(?:notify_insert_throttle|topic_bindings)', ''\);\n", "", 2),
    # last_read_at: in message_record and three kinds of queue and archive tables; in what read sets; in lists.
    (r"\n +last_read_at TIMESTAMP WITH TIME ZONE,", "", 7),
    (r"\n +last_read_at = clock_timestamp\(\),", "", 2),
    (r"\bm\.last_read_at, ", "", 2),
    (r"\blast_read_at, ", "", 9),
    # pop had no quantity.
    (r"FUNCTION pgmq\.pop\(queue_name TEXT, qty INTEGER DEFAULT 1\)", "FUNCTION pgmq.pop(queue_name TEXT)", 1),
    (r"(?s)(FUNCTION pgmq\.pop\(queue_name TEXT\).*?)LIMIT \$1(.*?) USING qty;", r"\1LIMIT 1\2;", 1),
    (r"msg_id IN (\(select msg_id from cte\)\n *RETURNING )msg_id[^;]*", r"msg_id = \1*", 1),
    # An empty batch was nothing to do: one function less between send_batch and the table.
    (r"(?ms)^CREATE FUNCTION pgmq\.(?:_validate_batch_params\(|send_batch\([^)]*\) RETURNS SETOF BIGINT AS \$\$\nBEGIN)"
     r".*?\$\$ LANGUAGE plpgsql;$", "", 2),
    (r"FUNCTION pgmq\._send_batch\(", "FUNCTION pgmq.send_batch(", 1),
]  # fmt: skip


def shape_of_15() -> str:
    sql = PGMQ_SQL
    for pattern, instead, times in LATER:
        sql, found = re.subn(pattern, instead, sql)
        assert found == times, f"{pattern} was found {found} times: is this another pgmq?"
    assert "last_read_at" not in sql
    assert "topic" not in re.sub(r"--.*", "", sql)
    return sql
