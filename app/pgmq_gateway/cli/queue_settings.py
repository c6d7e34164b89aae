"""The command `queue settings`."""

import json
from typing import Annotated

import typer

from pgmq_gateway.cli.manual import Commands
from pgmq_gateway.cli.options import AsJson, DataDir, OwnerUri, QueueName
from pgmq_gateway.cli.statements import print_json, print_table, value
from pgmq_gateway.cli.terminal import UsageError


def settings(
    name: QueueName,
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SETTING=VALUE]...", help="Settings to change; null restores a default, true is JSON."),
    ] = None,
    db_uri: OwnerUri = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the settings of a queue, or change some.

    \b
        pgmq-gateway queue settings tasks max_receives=5 dead_letter_queue=dead

    Clients that must obey them use pgmq_api or the resources at /queues.
    """
    if changes:
        sql = "select pgmq_admin.set_queue_settings($1, $2::text::jsonb)"
        text = value(db_uri, data_dir, "queue settings", sql, name, json.dumps(_changed(changes)))
    else:
        text = value(db_uri, data_dir, "queue settings", "select pgmq_admin.queue_settings($1)", name)
    found = json.loads(text)
    if as_json:
        print_json(found)
    else:
        print_table([(setting, _shown(one)) for setting, one in sorted(found.items())])


def _changed(texts: list[str]) -> dict[str, object]:
    changes = dict(map(_change, texts))
    if len(changes) < len(texts):
        raise UsageError("a setting is given twice")
    return changes


def _change(text: str) -> tuple[str, object]:
    setting, separator, given = text.partition("=")
    if not setting or not separator:
        raise typer.BadParameter(f"{text} is not SETTING=VALUE")
    try:
        return setting, json.loads(given)
    except ValueError:
        return setting, given


def _shown(setting: object) -> str:
    return setting if isinstance(setting, str) else json.dumps(setting)


COMMANDS: Commands = {"settings": settings}
