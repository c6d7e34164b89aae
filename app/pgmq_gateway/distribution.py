"""The installed distribution: its version, and the commands that install its extras."""

from importlib.metadata import version

# Not `pgmq-gateway`, which only requires it with extras, and which servers do without.
NAME = "pgmq-gateway-server"


class MissingExtraError(Exception):
    """A command needs an extra that is not installed. The message is one line with what to do."""


def release() -> str:
    return version(NAME)


def install_command(extra: str) -> str:
    return f"pip install '{NAME}[{extra}]'"
