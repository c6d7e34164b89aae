"""The path of the role in a token's claims (PostgREST's jwt-role-claim-key): `.role`, `.app.roles[0]`,
`."https://example.org/roles"[?(@ ^== "pg_")]`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# Filters that select a string of an array.
TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "==": lambda text, wanted: text == wanted,
    "!=": lambda text, wanted: text != wanted,
    "^==": lambda text, wanted: text.startswith(wanted),
    "==^": lambda text, wanted: text.endswith(wanted),
    "*==": lambda text, wanted: wanted in text,
}
STEP = re.compile(
    r"""\.(?P<name>[\w$@]+) | \."(?P<quoted>[^"]*)" | \["(?P<member>[^"]*)"\] | \[(?P<index>[0-9]{1,9})\]
    | \[\?\(@\s*(?P<test>==\^|==|!=|\^==|\*==)\s*"(?P<wanted>[^"]*)"\)\]""",
    re.VERBOSE,
)
MISSING = object()

Step = Callable[[object], object]


@dataclass(frozen=True, slots=True)
class RoleClaim:
    """A path into claims."""

    steps: tuple[Step, ...]

    @classmethod
    def of(cls, text: str) -> "RoleClaim":
        """Parse a path, with or without the `$` of JSONPath. Raises ValueError."""
        rest, steps = text.strip().removeprefix("$"), []
        while found := STEP.match(rest):
            steps.append(_step(found))
            rest = rest[found.end() :]
        if rest or not steps:
            raise ValueError(f"{rest or text!r} is not part of a path: write .role or .a.roles[0]")
        return cls(tuple(steps))

    def find(self, claims: object) -> object:
        """The value at the path; MISSING if there is none."""
        for step in self.steps:
            claims = step(claims)
        return claims


def _step(found: re.Match[str]) -> Step:
    if found["index"] is not None:
        index = int(found["index"])
        return lambda value: value[index] if isinstance(value, list) and index < len(value) else MISSING
    if found["test"] is not None:
        test, wanted = TESTS[found["test"]], found["wanted"]
        return lambda value: next((text for text in _texts(value) if test(text, wanted)), MISSING)
    name = next(text for text in (found["name"], found["quoted"], found["member"]) if text is not None)
    return lambda value: value.get(name, MISSING) if isinstance(value, dict) else MISSING


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
