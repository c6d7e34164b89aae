"""The commands that move dead letters and send archived messages again."""

import json
import sys
from typing import Annotated

import typer

from pgmq_gateway.cli.manual import Commands
from pgmq_gateway.cli.options import DataDir, OwnerUri, QueueName, whole
from pgmq_gateway.cli.options import per_second as a_rate
from pgmq_gateway.cli.statements import counted, rows, value
from pgmq_gateway.cli.stdin import checked_json

MAX_MOVED = 10000
MaxMessages = Annotated[
    int, typer.Option("--max", metavar="NUMBER", parser=whole(1, MAX_MOVED), help="Maximum number of messages.")
]
PerSecond = Annotated[
    float | None,
    typer.Option(
        metavar="NUMBER", parser=a_rate, help="Messages that become visible each second. Default: all at once."
    ),
]
Filter = Annotated[
    str, typer.Option("--filter", metavar="JSON", help="Conditions: state, min_read_ct, contains and others.")
]


def redrive(
    name: QueueName,
    to: Annotated[
        str | None, typer.Option(metavar="QUEUE", help="Queue to move to. Default: the one that each came from.")
    ] = None,
    max_messages: MaxMessages = 100,
    per_second: PerSecond = None,
    filter_: Filter = "{}",
    db_uri: OwnerUri = None,
    data_dir: DataDir = None,
) -> None:
    """Return dead letters to their queues, oldest first. QUEUE is the dead-letter queue."""
    sql = "select moved, skipped, refused::text from pgmq_api.redrive($1, $2, $3, $4, $5::text::jsonb)"
    arguments = (name, to, max_messages, per_second, checked_json(filter_))
    (row,) = rows(db_uri, data_dir, "queue redrive", sql, *arguments)
    for one in json.loads(row["refused"]):
        print(f"message {one['msg_id']} stays: {one['message']} ({one['code']})", file=sys.stderr)
    skipped = f", skipped {row['skipped']:,} that were refused or have no queue to return to" if row["skipped"] else ""
    print(f"moved {counted(row['moved'])}{skipped}")


def replay(
    name: QueueName,
    max_messages: MaxMessages = 100,
    per_second: PerSecond = None,
    filter_: Filter = "{}",
    db_uri: OwnerUri = None,
    data_dir: DataDir = None,
) -> None:
    """Send archived messages again, oldest first. The archive is kept.

    Repeated, it sends the same messages again. For more than --max use other conditions each time:

    \b
        pgmq-gateway queue replay tasks \\
            --filter '{"sent_after": "2026-01-31T12:00:00Z"}'
    """
    sql = "select sent from pgmq_api.replay($1, $2, $3, $4::text::jsonb)"
    sent = value(db_uri, data_dir, "queue replay", sql, name, max_messages, per_second, checked_json(filter_))
    print(f"sent {counted(sent)}")


COMMANDS: Commands = {"redrive": redrive, "replay": replay}
