"""The page of all commands, from the command line's own definitions."""

from collections.abc import Iterator
from typing import Any

import click
import typer.main

from pgmq_gateway.cli.main import app
from website.reference import markdown
from website.reference.markdown import block, code, sentence, table

NAME = "pgmq-gateway"
# Of every command.
COMMON = {"help", "help_flag"}


def page() -> str:
    # Typer has a click of its own, with other classes.
    root: Any = typer.main.get_command(app)
    context = click.Context(root, info_name=NAME, terminal_width=100, max_content_width=100)
    introduction = "Every command has `--help`. Status 0 is success, 1 a failure, 2 a mistake in the command line."
    return markdown.page("Commands", introduction, *_described(root, context))


def _described(command: Any, context: click.Context) -> Iterator[str]:  # noqa: ANN401 click's or Typer's
    """The command's section, then those of its subcommands."""
    yield f"## {context.command_path}"
    yield _help(command.help or "")
    yield block("text", " ".join([context.command_path, *command.collect_usage_pieces(context)]))
    yield table(["argument or option", "meaning"], _parameters(command, context))
    if hasattr(command, "list_commands"):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found and not found.hidden:
                yield from _described(found, click.Context(found, parent=context, info_name=name))


def _parameters(command: Any, context: click.Context) -> Iterator[list[str]]:  # noqa: ANN401 click's or Typer's
    for parameter in command.get_params(context):
        if parameter.name in COMMON or getattr(parameter, "hidden", False):
            continue
        if parameter.param_type_name == "option":
            record = parameter.get_help_record(context)
            if record:
                yield [code(record[0]), record[1]]
        else:
            name = parameter.make_metavar(context)
            yield [code(name.strip("{}")), sentence(str(getattr(parameter, "help", "") or ""))]


def _help(text: str) -> str:
    """Help as Markdown: its indented examples become blocks, and `\\b` and `\\f` of click go."""
    text = text.replace("\b\n", "").partition("\f")[0].strip()
    return "\n\n".join(_paragraph(part) for part in text.split("\n\n"))


def _paragraph(text: str) -> str:
    lines = text.splitlines()
    if all(line.startswith("    ") for line in lines):
        return block("text", "\n".join(line[4:] for line in lines))
    return text.replace("<", "&lt;")
