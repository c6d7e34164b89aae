"""The standard input of commands that can be at the end of a pipe."""

import sys

import msgspec

from pgmq_gateway.cli.terminal import UsageError


def lines_of_stdin(what: str) -> list[str]:
    """The lines of stdin that are not empty. Raises UsageError on a terminal."""
    if sys.stdin.isatty():
        raise UsageError(f"{what} is missing: name it, or pipe one on each line")
    try:
        # Not splitlines(): JSON can contain other ends of lines, such as U+2028.
        return [line.strip() for line in sys.stdin.buffer.read().decode().split("\n") if line.strip()]
    except UnicodeDecodeError:
        raise UsageError("stdin is not UTF-8") from None


def checked_json(text: str) -> str:
    """JSON, with all digits of its numbers. Raises UsageError."""
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        raise UsageError(f"{text[:100]} is not JSON: a string needs quotes: '\"…\"'") from None
    return text
