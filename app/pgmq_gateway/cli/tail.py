"""The command that prints the messages of a queue as they arrive."""

import math
from typing import Annotated

import typer

from pgmq_gateway.cli.manual import Commands
from pgmq_gateway.cli.options import DataDir, OwnerUri, QueueName, whole
from pgmq_gateway.cli.statements import awaited_rows, connected, print_lines
from pgmq_gateway.cli.terminal import run
from pgmq_gateway.database.driver import Connection

# A transaction that takes longer than so many later sends is overlooked.
REMEMBERED_MESSAGES = 100
MAX_ROWS, MAX_READ = 1000, 100
NEWEST = "select msg_id from pgmq_admin.list_messages($1, '{}', 'msg_id', true, null, null, $2)"
SINCE = """
    select msg_id, to_json(m)::text as line
    from pgmq_api.peek($1, $2, $3) as m
    where msg_id <> all ($4)
"""
READ = "select receipt, to_json(m)::text as line from pgmq_api.read($1, n => $2) as m"
ACK = "select from pgmq_api.settle($1, acks => $2)"


def tail(
    name: QueueName,
    number: Annotated[
        int,
        typer.Option(
            "--number",
            "-n",
            metavar="NUMBER",
            parser=whole(0, REMEMBERED_MESSAGES),
            help="Latest messages to print first.",
        ),
    ] = 10,
    consume: Annotated[
        bool, typer.Option("--consume", help="Read messages in place of only showing them, and acknowledge each.")
    ] = False,
    db_uri: OwnerUri = None,
    data_dir: DataDir = None,
) -> None:
    """Print messages as they arrive, until Ctrl-C.

    It looks at the queue one to ten times a second, and takes no message from its consumers: messages that they delete
    between two looks do not appear. With --consume it is a consumer, and acknowledges every message that it has
    printed. It ends with status 1 when the connection to the database is lost: run it under a supervisor.

    \b
        pgmq-gateway tail tasks
        pgmq-gateway tail tasks --consume >> messages.jsonl
    """

    async def follow() -> None:
        # No progress is shown: it would be in the way of the messages.
        async with connected(db_uri, data_dir, "queue tail", lambda _: None) as connection:
            await (_consume(connection, name) if consume else _show(connection, name, number))

    run(follow())


async def _consume(connection: Connection, name: str) -> None:
    while True:
        rows = await awaited_rows(connection, math.inf, READ, name, MAX_READ)
        print_lines(rows)
        # Once they are printed: a message that is not acknowledged comes again.
        await connection.fetch(ACK, name, [row["receipt"] for row in rows])


async def _show(connection: Connection, name: str, number: int) -> None:
    newest = [row["msg_id"] for row in await connection.fetch(NEWEST, name, REMEMBERED_MESSAGES)]
    known = newest[number:]
    # Ids are taken before the commit, so a message can appear after those with greater ids.
    after = newest[-1] - 1 if len(newest) == REMEMBERED_MESSAGES else 0
    while True:
        rows = await awaited_rows(connection, math.inf, SINCE, name, MAX_ROWS, after, known)
        print_lines(rows)
        known = sorted([*known, *[row["msg_id"] for row in rows]])
        if len(known) > REMEMBERED_MESSAGES:
            known = known[-REMEMBERED_MESSAGES:]
            after = known[0] - 1


COMMANDS: Commands = {"tail": tail}
