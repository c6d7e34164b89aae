"""The commands `queue ...`. Each runs one statement as the owner of the database."""

import json
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from pgmq_gateway.cli import messages, queue_settings, receipts, redriving, tail
from pgmq_gateway.cli.manual import CONTEXT, Commands, Group, add, help_without_command
from pgmq_gateway.cli.options import AsJson, DataDir, OwnerUri, QueueName, Yes
from pgmq_gateway.cli.statements import counted, print_json, print_table, rows, value
from pgmq_gateway.cli.terminal import confirm
from pgmq_gateway.queue_functions import OPERATIONS

RoleName = Annotated[str, typer.Argument(metavar="ROLE", help="anon, authenticated, service_role or another role.")]

queue = typer.Typer(
    help="Manage queues, permissions and messages.",
    cls=Group,
    context_settings=dict(CONTEXT),
    invoke_without_command=True,
    callback=help_without_command,
)


LIST_COLUMNS = ("Name", "Type", "RLS", "Created", "Messages", "Visible", "In flight")


class QueueType(StrEnum):
    BASIC = "basic"
    UNLOGGED = "unlogged"
    PARTITIONED = "partitioned"


def _operation(word: str) -> str:
    # Not click.Choice: some releases of typer bring a click of their own, whose errors are other classes.
    if word not in OPERATIONS:
        raise typer.BadParameter(f"{word!r} is not one of {', '.join(map(repr, OPERATIONS))}")
    return word


Operations = Annotated[
    list[str], typer.Argument(metavar="OPERATION...", help=f"{', '.join(OPERATIONS)}.", parser=_operation)
]


def create_command(
    name: QueueName,
    type_: Annotated[
        QueueType,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="basic, unlogged or partitioned: how messages are stored. Unlogged queues are emptied by a crash.",
        ),
    ] = QueueType.BASIC,
    no_rls: Annotated[
        bool, typer.Option("--no-rls", help="Without row-level security: every role you grant can access all messages.")
    ] = False,
    partition_interval: Annotated[
        str, typer.Option(metavar="NUMBER|TIME", help="Size of a partition: messages, or a time such as '1 day'.")
    ] = "10000",
    retention_interval: Annotated[
        str, typer.Option(metavar="NUMBER|TIME", help="When partitions are dropped: messages, or a time.")
    ] = "100000",
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Make a queue of tables with this name that are left of a partial restore.")
    ] = False,
    db_uri: OwnerUri = None,
    data_dir: DataDir = None,
) -> None:
    """Create a queue with row-level security enabled."""
    sql = "select pgmq_admin.create_queue($1, $2, $3, $4, $5, $6)"
    arguments = (name, type_.value, not no_rls, partition_interval, retention_interval, adopt)
    created = value(db_uri, data_dir, "queue create", sql, *arguments, create=True)
    print(f"created {type_.value} queue {name}" if created else f"queue {name} already exists")


def list_command(db_uri: OwnerUri = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List all queues. Numbers with ~ are estimates."""
    found = rows(db_uri, data_dir, "queue list", "select * from pgmq_admin.list_queues()")
    if as_json:
        print_json(found)
    elif found:
        print_table([LIST_COLUMNS, *map(_listed, found)], numbers=(4, 5, 6), less_important=(3, 1, 2))
    else:
        print("no queues yet: create one with pgmq-gateway queue create NAME")


def _listed(row: Mapping[str, Any]) -> Sequence[str]:
    created = f"{row['created_at']:%Y-%m-%d %H:%M:%S %Z}"
    counts = [_count(row[column], exact=row["exact"]) for column in ("messages", "visible", "in_flight")]
    return (row["queue_name"], row["queue_type"], "on" if row["rls"] else "off", created, *counts)


def _count(count: int | None, *, exact: bool) -> str:
    """A number of messages; empty while another session locks the queue."""
    return "" if count is None else f"{'' if exact else '~'}{count:,}"


def show_command(name: QueueName, db_uri: OwnerUri = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show the state and the grants of a queue.

    The number of messages in each state, and the grants of each role.
    """
    sql = """
        select q.*, s.*, true as exact, (
            select jsonb_object_agg(g.role, to_jsonb(g.operations)) from pgmq_admin.list_grants($1) as g
        )::text as grants
        from pgmq_admin.queue_status($1) as s, pgmq_admin.list_queues() as q
        where q.queue_name = $1
    """
    row = dict(rows(db_uri, data_dir, "queue show", sql, name)[0])
    row["grants"] = json.loads(row["grants"] or "{}")
    if as_json:
        print_json(row)
        return
    print_table(list(_shown(row)))


def _shown(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Name", row["queue_name"]
    yield "Type", row["queue_type"]
    yield "Row-level security", "on" if row["rls"] else "off"
    yield "Created", f"{row['created_at']:%Y-%m-%d %H:%M:%S %Z}"
    for label, column in (("Messages", "messages"), ("  visible", "visible"), ("  delayed", "delayed"),
                          ("  in flight", "in_flight"), ("  parked", "parked"), ("Archived", "archived")):  # fmt: skip
        yield label, f"{row[column]:,}"
    if row["oldest_seconds"] is not None:
        yield "Oldest message", f"{row['oldest_seconds']:,.0f} s"
    for role, operations in row["grants"].items():
        yield f"Role {role}", ", ".join(operations) or "no operations"


def purge_command(name: QueueName, db_uri: OwnerUri = None, data_dir: DataDir = None, yes: Yes = False) -> None:
    """Delete all messages of a queue.

    Including those in flight. The archive is kept.
    """
    confirm(f"Delete all messages of queue {name}?", yes=yes)
    deleted = value(db_uri, data_dir, "queue purge", "select pgmq_admin.purge_queue($1)", name)
    print(f"deleted {counted(deleted)}")


def drop_command(name: QueueName, db_uri: OwnerUri = None, data_dir: DataDir = None, yes: Yes = False) -> None:
    """Drop a queue with its messages and its archive."""
    confirm(f"Drop queue {name} with its messages and its archive?", yes=yes)
    value(db_uri, data_dir, "queue drop", "select pgmq_admin.drop_queue($1)", name)
    print(f"dropped queue {name}")


def grant_command(
    name: QueueName, role: RoleName, operations: Operations, db_uri: OwnerUri = None, data_dir: DataDir = None
) -> None:
    """Grant operations on a queue to a role.

    With row-level security, policies restrict it to some messages.
    """
    sql = "select pgmq_admin.grant_queue($1, $2, $3)"
    value(db_uri, data_dir, "queue grant", sql, name, role, operations)
    print(f"granted {', '.join(operations)} on queue {name} to {role}")


def revoke_command(
    name: QueueName, role: RoleName, operations: Operations, db_uri: OwnerUri = None, data_dir: DataDir = None
) -> None:
    """Revoke operations on a queue from a role."""
    sql = "select pgmq_admin.revoke_queue($1, $2, $3)"
    value(db_uri, data_dir, "queue revoke", sql, name, role, operations)
    print(f"revoked {', '.join(operations)} on queue {name} from {role}")


ALIASES: Commands = {
    "send": messages.send,
    "read": messages.read,
    "peek": messages.peek,
    "ack": receipts.ack,
    "tail": tail.tail,
}
QUEUES: Commands = {
    "create": create_command,
    "list": list_command,
    "show": show_command,
    **queue_settings.COMMANDS,
    "purge": purge_command,
    "drop": drop_command,
}
add(queue, "Queues", QUEUES)
add(queue, "Permissions", {"grant": grant_command, "revoke": revoke_command})
add(queue, "Messages", {**messages.COMMANDS, **tail.COMMANDS})
add(queue, "Messages that were read", receipts.COMMANDS)
add(queue, "Dead letters and the archive", redriving.COMMANDS)
