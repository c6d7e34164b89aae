"""The commands that send, read and move messages of a queue."""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec
import typer

from pgmq_gateway.cli.statements import AsJson, QueueName, counted, print_lines, print_table, rows, value
from pgmq_gateway.cli.stdin import lines_of_stdin
from pgmq_gateway.cli.terminal import DataDir, OwnerUri, UsageError

Number = Annotated[int, typer.Option("--number", "-n", min=1, max=10000, help="Maximum number of messages.")]
Wait = Annotated[
    float, typer.Option(metavar="SECONDS", min=0, max=86400, help="How long to wait for a message if none is visible.")
]
MaxMessages = Annotated[int, typer.Option("--max", min=1, max=10000, help="Maximum number of messages.")]
PerSecond = Annotated[
    float | None, typer.Option(help="Messages that become visible each second. Default: all at once.")
]
Filter = Annotated[str, typer.Option("--filter", metavar="JSON", help="Conditions, as of pgmq_admin.list_messages.")]

PEEKED = ("Id", "State", "Reads", "Sent", "Message")
MAX_SHOWN_CHARACTERS = 100
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
        int | None, typer.Option(metavar="SECONDS", min=0, max=31536000, help="Delay until they become visible.")
    ] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="Time at which they become visible.")] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="Time after which they are not delivered.")
    ] = None,
    headers: Annotated[str | None, typer.Option(metavar="JSON", help="Headers: a JSON object.")] = None,
    group: Annotated[str | None, typer.Option(metavar="TEXT", help="Group, in a queue with a group_limit.")] = None,
    deduplication_id: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A message with the same one is stored once. For one message.")
    ] = None,
    db_uri: OwnerUri = None,
    data_dir: DataDir = None,
) -> None:
    """Send messages, all or none. Prints their ids, one on each line.

    Each message is JSON: a string needs quotes. On stdin each line is a message; empty lines are left out.

    \b
        pgmq-gateway queue send tasks '{"n": 1}' '"text"'
        jq -c '.[]' batch.json | pgmq-gateway queue send tasks --delay 60
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
        given["headers"] = _checked(headers)
    bodies = messages or lines_of_stdin("a message")
    if deduplication_id is not None and len(bodies) > 1:
        raise UsageError(f"--deduplication-id is for one message, not {len(bodies)}")
    entries = ", ".join(_members({"message": _checked(body), **given}) for body in bodies)
    sql = "select msg_id from pgmq_api.send_entries($1, $2::text::jsonb) order by entry"
    for row in rows(db_uri, data_dir, "queue send", sql, name, f"[{entries}]"):
        print(row["msg_id"])


def _checked(text: str) -> str:
    """JSON, with all digits of its numbers. Raises UsageError."""
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        raise UsageError(f"{text[:100]} is not JSON: a string needs quotes: '\"…\"'") from None
    return text


def _members(members: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{json.dumps(name)}: {one}' for name, one in members.items())}}}"


def read(
    name: QueueName,
    number: Number = 1,
    lease: Annotated[
        int | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            max=604800,
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
        pgmq-gateway queue read tasks -n 10 > batch
        pgmq-gateway queue ack tasks < batch
    """
    sql = "select to_json(m)::text as line from pgmq_api.read($1, $2, $3) as m"
    print_lines(rows(db_uri, data_dir, "queue read", sql, name, lease, number, wait=wait))


def pop(name: QueueName, number: Number = 1, wait: Wait = 0, db_uri: OwnerUri = None, data_dir: DataDir = None) -> None:
    """Read and delete messages. Prints each as a line of JSON; nothing if none is visible."""
    sql = "select to_json(m)::text as line from pgmq_api.pop($1, $2) as m"
    print_lines(rows(db_uri, data_dir, "queue pop", sql, name, number, wait=wait))


def peek(
    name: QueueName,
    number: Annotated[int, typer.Option("--number", "-n", min=1, max=1000, help="Maximum number of messages.")] = 10,
    after: Annotated[int, typer.Option(metavar="ID", help="Only messages with greater ids.")] = 0,
    db_uri: OwnerUri = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show messages in any state, without reading them. The table has the beginning of each message."""
    found = rows(db_uri, data_dir, "queue peek", PEEK, name, number, after)
    if as_json:
        print("[" + ",\n ".join(row["line"] for row in found) + "]")
    elif found:
        print_table([PEEKED, *map(_peeked, found)], numbers=(0, 2))
    else:
        print(f"no messages in queue {name}" + (f" after {after}" if after else ""))


def _peeked(row: Mapping[str, Any]) -> tuple[str, ...]:
    message = row["message"]
    shown = message if len(message) <= MAX_SHOWN_CHARACTERS else f"{message[: MAX_SHOWN_CHARACTERS - 1]}…"
    return row["msg_id"], row["state"], row["read_ct"], row["sent"], shown


def redrive(
    name: QueueName,
    to: Annotated[
        str | None, typer.Option(metavar="NAME", help="Queue to move to. Default: the one that each came from.")
    ] = None,
    max_messages: MaxMessages = 100,
    per_second: PerSecond = None,
    filter_: Filter = "{}",
    db_uri: OwnerUri = None,
    data_dir: DataDir = None,
) -> None:
    """Return dead letters to their queues, oldest first. NAME is the dead-letter queue."""
    sql = "select moved, skipped, refused::text from pgmq_api.redrive($1, $2, $3, $4, $5::text::jsonb)"
    arguments = (name, to, max_messages, per_second, _checked(filter_))
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
        pgmq-gateway queue replay tasks --filter '{"sent_after": "2026-01-31T12:00:00Z"}'
    """
    sql = "select sent from pgmq_api.replay($1, $2, $3, $4::text::jsonb)"
    sent = value(db_uri, data_dir, "queue replay", sql, name, max_messages, per_second, _checked(filter_))
    print(f"sent {counted(sent)}")


COMMANDS: dict[str, Callable[..., None]] = {
    "send": send,
    "read": read,
    "pop": pop,
    "peek": peek,
    "redrive": redrive,
    "replay": replay,
}
