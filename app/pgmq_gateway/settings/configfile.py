"""PostgREST's configuration file: `name = value` a line, values in double quotes, numbers, true or false."""

import json
import os
import re
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

_GAP = re.compile(r"(?:\s|#[^\r\n]*)*")
_NAME = re.compile(r"\w[\w-]*(?:\.\w[\w-]*)*")
_EQUALS = re.compile(rf"{_GAP.pattern}={_GAP.pattern}")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?")
_BOOLEAN = re.compile("true|false|on|off")
_END = re.compile(r"[ \t]*(?:#[^\r\n]*)?(?:[\r\n]|\Z)")
_ESCAPES = re.compile(r'(?:[^\\]|\\[ntr"\\]|\\u[0-9a-fA-F]{4})*')
_DOLLAR = re.compile(r"\$(?:\$|\(([^)]+)\)|)")
_ESCAPED = str.maketrans(
    {chr(code): rf"\u{code:04x}" for code in range(32)}
    | {"\n": r"\n", "\r": r"\r", "\t": r"\t", '"': r"\"", "\\": r"\\", "$": "$$"}
)
_BOOLEANS = {"on": "true", "off": "false"}


class ConfigFileError(Exception):
    """A file that cannot be read or parsed. The message names file and line, never a value."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting of a file, its value as in an environment variable. `line` counts from 1."""

    name: str
    value: str
    line: int


def read(path: Path) -> list[Entry]:
    """The settings of a file, in its order. Raises ConfigFileError."""
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigFileError(f"cannot read the configuration file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigFileError(f"{path} is not text in UTF-8: save it in that encoding") from None
    try:
        return list(parse(text, os.environ))
    except ConfigFileError as error:
        raise ConfigFileError(f"{path}:{error}") from None


def parse(text: str, variables: Mapping[str, str]) -> Iterator[Entry]:
    """The settings in a file's text; `$(name)` refers to an earlier setting or else to one of `variables`.

    Raises ConfigFileError with a message that begins with the number of the line.
    """
    known: dict[str, str] = {}
    places = ChainMap(known, dict(variables))
    position = _skip(text, 0)
    while position < len(text):
        line = text.count("\n", 0, position) + 1
        try:
            name, raw, position = _assignment(text, position)
            known[name] = _value(name, raw, places)
        except ConfigFileError as error:
            raise ConfigFileError(f"{line}: {error}") from None
        yield Entry(name, known[name], line)
        position = _skip(text, position)


def _skip(text: str, position: int) -> int:
    gap = _GAP.match(text, position)
    assert gap is not None
    return gap.end()


def _assignment(text: str, position: int) -> tuple[str, str, int]:
    """A name, its value as written, and the start of the next line."""
    name = _NAME.match(text, position)
    equals = name and _EQUALS.match(text, name.end())
    if not name or not equals:
        raise ConfigFileError('not an assignment: write name = "value" (groups and import are not supported)')
    start = equals.end()
    value = _STRING.match(text, start) or _NUMBER.match(text, start) or _BOOLEAN.match(text, start)
    end = value and _END.match(text, value.end())
    if not value or not end:
        raise ConfigFileError(
            f"the value of {name[0]} is neither a number nor true or false: write it in double quotes"
        )
    return name[0], value[0], end.end()


def _value(name: str, raw: str, variables: Mapping[str, str]) -> str:
    if raw.startswith('"'):
        return _filled(name, _unescaped(name, raw), variables)
    if raw[-1].isdigit():
        number = Decimal(raw)
        return str(int(number)) if number == number.to_integral_value() else f"{number:f}"
    return _BOOLEANS.get(raw, raw)


def _unescaped(name: str, raw: str) -> str:
    try:
        if not _ESCAPES.fullmatch(raw):
            raise ValueError
        text: str = json.loads(raw, strict=False)
        # Python accepts half a surrogate pair, which no encoding can represent.
        text.encode()
        if "\0" in text:
            raise ValueError
    except ValueError:
        raise ConfigFileError(
            rf"the value of {name} has an unknown escape: write \\ for a backslash, else \", \n, \r, \t or \uXXXX"
        ) from None
    return text


def _filled(name: str, text: str, variables: Mapping[str, str]) -> str:
    def fill(match: re.Match[str]) -> str:
        if match[0] == "$":
            raise ConfigFileError(f"the value of {name} has a single $: write $$ for a dollar sign, or $(VARIABLE)")
        if match[1] is None:
            return "$"
        if match[1] not in variables:
            raise ConfigFileError(
                f"the value of {name} refers to {match[1]}, which is not set: set this environment variable"
            )
        return variables[match[1]]

    return _DOLLAR.sub(fill, text)


def assignment(name: str, value: str | float) -> str:
    """A line of a file with this name and value."""
    if isinstance(value, bool):
        return f"{name} = {str(value).lower()}"
    if isinstance(value, str):
        return f'{name} = "{value.translate(_ESCAPED)}"'
    return f"{name} = {int(value) if value == int(value) else value}"
