"""The help as a manual: commands under headings, and errors in a command line as one sentence."""

from collections.abc import Callable, Mapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

HELP_OPTIONS = ["-h", "--help"]
CONTEXT: Mapping[str, Any] = {"help_option_names": HELP_OPTIONS}

Commands = Mapping[str, Callable[..., None]]


class Command(TyperCommand):
    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 a class of click, or of typer's own click
        # typer writes {QUEUE} for a required argument.
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]


class Group(TyperGroup):
    """A command with commands, which its help lists under their headings."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 click calls it
        shown = {name: one for name, one in self.commands.items() if not one.hidden}
        longest = max(map(len, shown))
        for heading in dict.fromkeys(getattr(one, "rich_help_panel", None) for one in shown.values()):
            with formatter.section(heading or "Other commands"):
                formatter.write_dl(
                    [
                        (name.ljust(longest), one.get_short_help_str(formatter.width - longest - 6))
                        for name, one in shown.items()
                        if getattr(one, "rich_help_panel", None) == heading
                    ]
                )


def add(app: typer.Typer, heading: str, commands: Commands, **context: object) -> None:
    """Add commands under a heading of the help."""
    for name, command in commands.items():
        settings = {**CONTEXT, **context}
        app.command(name, cls=Command, rich_help_panel=heading, context_settings=settings)(command)


def help_without_command(context: typer.Context) -> None:
    """Print the help for a command line that ends before a command."""
    if context.invoked_subcommand is None:
        print(context.get_help())


def sentence(error: Any) -> str:  # noqa: ANN401 click's UsageError, or that of typer's own click
    """What is wrong in a command line, and where to read more."""
    context = getattr(error, "ctx", None)
    return f"{_mistake(error)} (see {context.command_path} --help)" if context else _mistake(error)


def _mistake(error: Any) -> str:  # noqa: ANN401
    if not isinstance(error, typer.BadParameter):
        return str(error.format_message()).rstrip(".")
    name = error.param_hint or _name(error)
    if not error.message:
        return f"{name} is missing"
    return f"{name} {error.message.rstrip('.')}" if name else error.message


def _name(error: Any) -> str:  # noqa: ANN401
    """The option, argument or environment variable with the wrong value."""
    parameter = error.param
    if parameter is None:
        return ""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name).strip("[].")
    source = error.ctx.get_parameter_source(parameter.name) if error.ctx else None
    if source is not None and source.name == "ENVIRONMENT":
        return str(parameter.envvar)
    return str(max(parameter.opts, key=len))
