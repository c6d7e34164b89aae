"""The commands that send, read and move messages of a queue."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from pgmq_gateway.cli.manual import Commands
from pgmq_gateway.cli.options import (
    MAX_DELAY_SECONDS,
    MAX_LEASE_SECONDS,
    MAX_WAIT_SECONDS,
    AsJson,
    DataDir,
    OwnerUri,
    QueueName,
    seconds,
    whole,
    whole_seconds,
)
from pgmq_gateway.cli.statements import print_lines, print_table, rows
from pgmq_gateway.cli.stdin import checked_json, lines_of_stdin
from pgmq_gateway.cli.terminal import UsageError

MAX_MESSAGES, MAX_PEEKED = 10000, 1000
MAX_ID = 10**18 - 1

Number = Annotated[
    int,
    typer.Option("--number", "-n", metavar="NUMBER", parser=whole(1, MAX_MESSAGES), help="Maximum number of messages."),
]
Wait = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        parser=seconds(0, MAX_WAIT_SECONDS),
        help="How long to wait for a message if none is visible.",
    ),
]

PEEKED = ("Id", "State", "Reads", "Sent", "Message")
# Times as text: Postgres knows more of them than Python.
PEEK = """
    select
        to_json(m)::text as line, msg_id::text, replace(state, '_', ' ') as state, read_ct::text,
        to_char(enqueued_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') as sent,
        coalesce(message::text, 'null') as message
    from pgmq_api.peek($1, $2, $3) as m
"""


def send(
    name: QueueName,
    messages: Annotated[
        list[str] | None, typer.Argument(metavar="[JSON]...", help="Messages. Default: the lines of stdin.")
    ] = None,
    delay: Annotated[
        int | None,
        typer.Option(
            metavar="SECONDS",
            parser=whole(0, MAX_DELAY_SECONDS, whole_seconds),
            help="Delay until they become visible.",
        ),
    ] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="Time at which they become visible.")] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="Time after which they are not delivered.")
    ] = None,
    headers: Annotated[str | None, typer.Option(metavar="JSON", help="Headers: a JSON object.")] = None,
    group: Annotated[
        str | None, typer.Option("--group", metavar="GROUP", help="Group, in a queue with a group_limit.")
    ] = None,
    deduplication_id: Annotated[
        str | None, typer.Option(metavar="ID", help="A message with the same one is stored once. For one message.")
    ] = None,
    db_uri: OwnerUri = None,
    data_dir: DataDir = None,
) -> None:
    """Send messages, all or none. Prints their ids, one on each line.

    Each message is JSON: a string needs quotes. On stdin each line is a message; empty lines are left out.

    \b
        pgmq-gateway send tasks '{"n": 1}' '"text"'
        jq -c '.[]' batch.json | pgmq-gateway send tasks --delay 60
    """
    options = {
        "sleep_seconds": delay,
        "send_at": at,
        "expires_at": expires,
        "group_id": group,
        "deduplication_id": deduplication_id,
    }
    given = {option: json.dumps(one) for option, one in options.items() if one is not None}
    if headers is not None:
        given["headers"] = checked_json(headers)
    bodies = messages or lines_of_stdin("a message")
    if deduplication_id is not None and len(bodies) > 1:
        raise UsageError(f"--deduplication-id is for one message, not {len(bodies)}")
    entries = ", ".join(_members({"message": checked_json(body), **given}) for body in bodies)
    sql = "select msg_id from pgmq_api.send_entries($1, $2::text::jsonb) order by entry"
    for row in rows(db_uri, data_dir, "queue send", sql, name, f"[{entries}]"):
        print(row["msg_id"])


def _members(members: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{json.dumps(name)}: {one}' for name, one in members.items())}}}"


def read(
    name: QueueName,
    number: Number = 1,
    lease: Annotated[
        int | None,
        typer.Option(
            metavar="SECONDS",
            parser=whole(0, MAX_LEASE_SECONDS, whole_seconds),
            help="How long others do not receive them. Default: the queue's settings.",
        ),
    ] = None,
    wait: Wait = 0,
    db_uri: OwnerUri = None,
    data_dir: DataDir = None,
) -> None:
    """Read messages. Prints each as a line of JSON; nothing if none is visible.

    Settle them with the receipt in each line, within their lease:

    \b
        pgmq-gateway read tasks -n 10 > batch
        pgmq-gateway ack tasks < batch
    """
    sql = "select to_json(m)::text as line from pgmq_api.read($1, $2, $3) as m"
    print_lines(rows(db_uri, data_dir, "queue read", sql, name, lease, number, wait=wait))


def pop(name: QueueName, number: Number = 1, wait: Wait = 0, db_uri: OwnerUri = None, data_dir: DataDir = None) -> None:
    """Read and delete messages. Prints each as a line of JSON; nothing if none is visible."""
    sql = "select to_json(m)::text as line from pgmq_api.pop($1, $2) as m"
    print_lines(rows(db_uri, data_dir, "queue pop", sql, name, number, wait=wait))


def peek(
    name: QueueName,
    number: Annotated[
        int,
        typer.Option(
            "--number", "-n", metavar="NUMBER", parser=whole(1, MAX_PEEKED), help="Maximum number of messages."
        ),
    ] = 10,
    after: Annotated[
        int, typer.Option(metavar="ID", parser=whole(0, MAX_ID, "message id"), help="Only messages with greater ids.")
    ] = 0,
    db_uri: OwnerUri = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show messages in any state, without reading them. On a terminal the table has the beginning of each message."""
    found = rows(db_uri, data_dir, "queue peek", PEEK, name, number, after)
    if as_json:
        print("[" + ",\n ".join(row["line"] for row in found) + "]")
    elif found:
        print_table([PEEKED, *map(_peeked, found)], numbers=(0, 2))
    else:
        print(f"no messages in queue {name}" + (f" after {after}" if after else ""))


def _peeked(row: Mapping[str, Any]) -> tuple[str, ...]:
    return row["msg_id"], row["state"], row["read_ct"], row["sent"], row["message"]


COMMANDS: Commands = {"send": send, "read": read, "pop": pop, "peek": peek}
