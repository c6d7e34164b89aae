"""The commands that settle messages that were read, by their receipts."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pgmq_gateway.cli.manual import Commands
from pgmq_gateway.cli.options import (
    MAX_DELAY_SECONDS,
    MAX_LEASE_SECONDS,
    DataDir,
    OwnerUri,
    QueueName,
    whole,
    whole_seconds,
)
from pgmq_gateway.cli.statements import rows
from pgmq_gateway.cli.stdin import lines_of_stdin
from pgmq_gateway.cli.terminal import UsageError

Receipts = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RECEIPT]...", help="Receipts of a read. Default: the lines of stdin, or those of `read`."),
]
Reason = Annotated[str | None, typer.Option(metavar="TEXT", help="Kept with the message, up to 1,000 characters.")]

# The lists of settle, by the word that begins a line, with the member for the number that can end it.
LISTS: Mapping[str, tuple[str, str | None]] = {
    "ack": ("acks", None),
    "archive": ("archives", None),
    "retry": ("retries", "delay_seconds"),
    "reject": ("rejects", None),
    "extend": ("extensions", "sleep_seconds"),
}
SETTLE = """
    select receipt, outcome from pgmq_api.settle(
        $1, array(select json_array_elements_text($2::text::json -> 'acks')),
        array(select json_array_elements_text($2::text::json -> 'archives')),
        $2::text::jsonb -> 'retries', $2::text::jsonb -> 'rejects', $2::text::jsonb -> 'extensions', $3)
"""
LOST = ("stale", "gone")


def ack(name: QueueName, receipts: Receipts = None, db_uri: OwnerUri = None, data_dir: DataDir = None) -> None:
    """Delete messages that were read. Prints each receipt with its outcome: acked, stale or gone.

    stale: it was read again. gone: it is no longer there. The exit status is 1 if any is stale or gone; the others are
    settled.
    """
    _settle(name, {"acks": _given(receipts)}, db_uri, data_dir, "queue ack")


def retry(
    name: QueueName,
    receipts: Receipts = None,
    delay: Annotated[
        int | None,
        typer.Option(
            metavar="SECONDS",
            parser=whole(0, MAX_DELAY_SECONDS, whole_seconds),
            help="Until they are visible again. Default: the queue's back-off.",
        ),
    ] = None,
    reason: Reason = None,
    db_uri: OwnerUri = None,
    data_dir: DataDir = None,
) -> None:
    """Return messages to their queue. Prints each receipt with its outcome: retried, rejected, stale or gone.

    rejected: its receives are used up, and it is dead.

    The exit status is 1 if any is stale or gone.
    """
    entries = [_entry(receipt, delay_seconds=delay, reason=reason) for receipt in _given(receipts)]
    _settle(name, {"retries": entries}, db_uri, data_dir, "queue retry")


def reject(
    name: QueueName,
    receipts: Receipts = None,
    reason: Reason = None,
    db_uri: OwnerUri = None,
    data_dir: DataDir = None,
) -> None:
    """Reject messages. They are moved to the dead-letter queue, or to the archive if there is none.

    The exit status is 1 if any is stale or gone.
    """
    entries = [_entry(receipt, reason=reason) for receipt in _given(receipts)]
    _settle(name, {"rejects": entries}, db_uri, data_dir, "queue reject")


def extend(
    name: QueueName,
    receipts: Receipts = None,
    lease: Annotated[
        int | None,
        typer.Option(
            metavar="SECONDS",
            parser=whole(0, MAX_LEASE_SECONDS, whole_seconds),
            help="From now; 0 ends it. Default: the queue's settings.",
        ),
    ] = None,
    db_uri: OwnerUri = None,
    data_dir: DataDir = None,
) -> None:
    """Extend the leases of messages. The exit status is 1 if any is stale or gone."""
    entries = [_entry(receipt, sleep_seconds=lease) for receipt in _given(receipts)]
    _settle(name, {"extensions": entries}, db_uri, data_dir, "queue extend")


def settle(
    name: QueueName,
    strict: Annotated[bool, typer.Option("--strict", help="Do nothing if any is stale or gone.")] = False,
    db_uri: OwnerUri = None,
    data_dir: DataDir = None,
) -> None:
    """Settle many messages in one transaction. The receipts are read from stdin.

    Each line is one of

    \b
        ack RECEIPT
        archive RECEIPT
        retry RECEIPT [SECONDS]
        reject RECEIPT
        extend RECEIPT [SECONDS]

    Prints each receipt with its outcome. The exit status is 1 if any is stale or gone.
    """
    lists: dict[str, list[Any]] = {}
    for line in lines_of_stdin("a line such as ack RECEIPT"):
        word, *rest = line.split()
        list_name, member = LISTS.get(word, ("", None))
        if not list_name or len(rest) not in (1, 2) or (len(rest) == 2 and (member is None or not rest[1].isdecimal())):
            raise UsageError(f"{line[:100]} is not a line such as ack RECEIPT, or retry RECEIPT SECONDS")
        seconds = {member: int(rest[1])} if member and len(rest) == 2 else {}
        lists.setdefault(list_name, []).append(_entry(rest[0], **seconds))
    _settle(name, lists, db_uri, data_dir, "queue settle", strict=strict)


def _given(receipts: list[str] | None) -> list[str]:
    return [_receipt(text) for text in receipts or lines_of_stdin("a receipt")]


def _receipt(text: str) -> str:
    """A receipt, or that in a line of `queue read`. Raises UsageError."""
    if not text.startswith("{"):
        return text
    try:
        receipt = json.loads(text)["receipt"]
    except (ValueError, LookupError):
        raise UsageError(f"{text[:100]} is not a line of queue read") from None
    if not isinstance(receipt, str):
        raise UsageError("a message of queue pop has no receipt: it is deleted already")
    return receipt


def _entry(receipt: str, **members: object) -> object:
    """An entry of a list of settle."""
    given = {member: one for member, one in members.items() if one is not None}
    return {"receipt": receipt, **given} if given else receipt


def _settle(
    name: str,
    lists: Mapping[str, Iterable[object]],
    db_uri: str | None,
    data_dir: Path | None,
    purpose: str,
    *,
    strict: bool = False,
) -> None:
    """Settle, print the outcomes, and exit with 1 if a receipt is stale or gone."""
    every = {list_name: list(lists.get(list_name, ())) for list_name, _ in LISTS.values()}
    found = rows(db_uri, data_dir, purpose, SETTLE, name, json.dumps(every), strict)
    for row in found:
        print(f"{row['receipt']} {row['outcome']}")
    if any(row["outcome"] in LOST for row in found):
        raise typer.Exit(1)


COMMANDS: Commands = {
    "ack": ack,
    "retry": retry,
    "reject": reject,
    "extend": extend,
    "settle": settle,
}
