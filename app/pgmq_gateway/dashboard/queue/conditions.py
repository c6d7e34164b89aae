"""Conditions on a field of the payload, such as `customer.id = 7`, and the SQL/JSON path that they amount to."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

# By operator: that of SQL/JSON path. `contains` is a text search in any case of letters.
OPERATORS = {"=": "==", "≠": "!=", "<": "<", "≤": "<=", ">": ">", "≥": ">=", "contains": "like_regex"}
# As typed on a keyboard.
ALIASES = {"==": "=", "!=": "≠", "<=": "≤", ">=": "≥"}
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
PART = r'(?:"(?:[^"\\]|\\.)*"|[^\s".!=≠<≤>≥]+)'
CONDITION = re.compile(rf"\s*({PART}(?:\.{PART})*)\s*([!<>=]=|[=≠<≤>≥]|contains\s)\s*(.*)", re.DOTALL)
# Of a condition that the message panel offers: the URL has it.
MAX_CHARACTERS = 200
# The whole payload.
ROOT = "$"


@dataclass(frozen=True)
class Condition:
    """A field, an operator and a value, as typed. A field is a name, or names with dots: those of arrays' items too."""

    field: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f"{self.field} {self.operator} {self.value}"

    @property
    def path(self) -> str:
        """A predicate of SQL/JSON path, whose lax mode searches the items of arrays too."""
        names = [] if self.field == ROOT else [_unquoted(part) for part in re.findall(PART, self.field)]
        field = "".join([ROOT, *(f".{_quoted(name)}" for name in names)])
        literals = _literals(self.value)
        if self.operator == "contains":
            return f'{field} like_regex {literals[-1]} flag "qi"'
        if self.operator not in ("=", "≠"):
            return f"{field} {OPERATORS[self.operator]} {literals[0]}"
        equal = " || ".join(f"{field} == {literal}" for literal in literals)
        # Values of different types are neither equal nor unequal: the comparison is unknown.
        return f"({equal})" if self.operator == "=" else f"(!({equal}) || ({equal}) is unknown)"


def condition(text: str) -> Condition | None:
    """Parse a condition; None when it is none."""
    found = CONDITION.fullmatch(text)
    if found is None or not found[3].strip():
        return None
    operator = found[2].strip()
    return Condition(found[1], ALIASES.get(operator, operator), found[3].strip())


def equality(names: Sequence[str] | None, value: str, kind: str) -> str:
    """The condition that a field has this value; empty when none finds it, or when it is too long."""
    if names is None or len(value) > MAX_CHARACTERS or (kind == "string" and not value):
        return ""
    plain = kind != "string" or (_literals(value) == [_quoted(value)] and value == value.strip())
    field = ".".join(map(_name, names)) or ROOT
    text = f"{field} = {value if plain else _quoted(value)}"
    return text if len(text) <= MAX_CHARACTERS else ""


def _name(name: str) -> str:
    return name if re.fullmatch(PART, name) and '"' not in name and name != ROOT else _quoted(name)


def _literals(text: str) -> list[str]:
    """The literals that a typed value can stand for: 7 is a number, or a string of a digit."""
    if NUMBER.fullmatch(text) or text in ("true", "false", "null"):
        return [text, _quoted(text)]
    try:
        return [_quoted(json.loads(text))] if text.startswith('"') else [_quoted(text)]
    except ValueError:
        return [_quoted(text)]


def _unquoted(part: str) -> str:
    try:
        return str(json.loads(part)) if part.startswith('"') else part
    except ValueError:
        return part


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
