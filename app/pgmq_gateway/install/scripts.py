"""Parses the files of sql/functions: the functions, views and privileges that they create."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pgmq_gateway.schemas import INTERNAL, LEASES, MANAGEMENT, QUEUES, SETTINGS

# The files are inside an installed package, and beside it in a checkout.
FOLDER = next(
    folder for folder in (Path(__file__).parents[1] / "sql", Path(__file__).parents[3] / "sql") if folder.is_dir()
)

SCHEMAS = (INTERNAL, SETTINGS, LEASES, MANAGEMENT, QUEUES)

# Comments and quoted texts, whose semicolons end no statement, and the semicolon that does.
_TOKEN = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|(\$\w*\$).*?\1|;", re.DOTALL)
_CREATION = re.compile(r"create (?:or replace )?(function|procedure|view) (\w+)\.(\w+)\b")
_GRANT = re.compile(r"grant ([a-z, ]+?) on (?:(function|procedure|table|schema) )?(.+) to ([\w, ]+)")
_OWNER = re.compile(r"alter function (\w+)\.(\w+) owner to (\w+)")
_OBJECT = re.compile(r"(?:(\w+)\.)?(\w+)(\(.*?\))?(?:, |$)")


@dataclass(frozen=True, slots=True)
class Creation:
    """A statement that creates a function, a procedure or a view."""

    kind: str
    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Grant:
    """A privilege that a statement grants.

    kind       function, procedure, table (views too) or schema; a schema has no `schema` of its own
    arguments  the argument types of a function in parentheses, if the statement has them
    """

    privilege: str
    kind: str
    schema: str
    name: str
    arguments: str
    grantee: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement's text, and its outline: without comments and quoted texts, with single spaces."""

    text: str
    outline: str

    @property
    def creation(self) -> Creation | None:
        """The function or view that it creates."""
        found = _CREATION.match(self.outline)
        return Creation(found[1], found[2], found[3]) if found else None

    @property
    def owner(self) -> tuple[str, str] | None:
        """The name of the function whose owner it changes, and the new owner."""
        found = _OWNER.fullmatch(self.outline)
        return (found[2], found[3]) if found else None

    @property
    def grants(self) -> Iterator[Grant]:
        """The privileges that it grants, one by one."""
        found = _GRANT.fullmatch(self.outline)
        if found is None:
            return
        for privilege in found[1].split(", "):
            for schema, name, arguments in _OBJECT.findall(found[3]):
                for grantee in found[4].split(", "):
                    yield Grant(privilege.upper(), found[2] or "table", schema, name, arguments, grantee)


@dataclass(frozen=True)
class Script:
    """One file of SQL.

    path  relative to the folder sql/functions or sql/migrations
    """

    path: str
    text: str

    @cached_property
    def checksum(self) -> str:
        """The SHA-256 of the text, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def schema(self) -> str:
        """The schema that the file's folder is named after."""
        return self.path.partition("/")[0]

    @cached_property
    def statements(self) -> Sequence[Statement]:
        """Its statements in order. Raises ValueError for one without a semicolon."""
        return list(_statements(self.text))

    @cached_property
    def creations(self) -> Sequence[Creation]:
        """The functions and views that it creates; one name several times if it has overloads."""
        return [made for statement in self.statements if (made := statement.creation)]

    @cached_property
    def owners(self) -> Mapping[str, str]:
        """The owners that it names for functions, by their names."""
        return dict(owner for statement in self.statements if (owner := statement.owner))

    def owner(self, function: str, installer: str, others: Set[str]) -> str:
        """The owner that a function has if `installer` can give functions to `others` only."""
        named = self.owners.get(function, installer)
        return named if named in others else installer

    @cached_property
    def grants(self) -> Sequence[Grant]:
        """The privileges that it grants outside of blocks."""
        return [grant for statement in self.statements for grant in statement.grants]


def function_scripts(folder: Path = FOLDER) -> Sequence[Script]:
    """The files of sql/functions in the order in which they are applied."""
    return [
        Script(f"{schema}/{path.name}", path.read_text())
        for schema in SCHEMAS
        for path in sorted((folder / "functions" / schema).glob("*.sql"))
    ]


def _statements(text: str) -> Iterator[Statement]:
    whole, outline, start = "", "", 0
    for token in _TOKEN.finditer(text):
        between = text[start : token.start()]
        whole, outline, start = whole + between, outline + between, token.end()
        if token[0] == ";":
            yield Statement(whole.strip(), " ".join(outline.split()))
            whole = outline = ""
        elif not token[0].startswith(("--", "/*")):
            whole += token[0]
            outline += token[0] if token[0].startswith('"') else " "
        elif whole.strip():
            whole += token[0]
    if rest := (whole + text[start:]).strip():
        raise ValueError(f"a statement without its semicolon: {rest[:60]}")
