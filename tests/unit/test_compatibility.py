"""docs/reference/compatibility.md names existing cases and settings only, and all of PostgREST's settings."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from pgmq_gateway.settings.model import FIELDS, WITHOUT_EFFECT
from pgmq_gateway.settings.sources import GATEWAY_SETTINGS

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "docs" / "reference" / "compatibility.md").read_text().splitlines()
SETTING = re.compile(r"`((?:admin-server|client-error|db|jwt|log|openapi|pgmq-gateway|server)-[a-z0-9-]+)`")


def test_every_case_named_is_there() -> None:
    ids = [
        case["id"] for name in ("cases", "rows") for case in json.loads((ROOT / f"tests/wire/{name}.json").read_text())
    ]
    named = set(cases())
    assert named
    assert {name for name in named if not any(fnmatchcase(one, name) for one in ids)} == set()


def test_the_settings_named_are_those_there_are() -> None:
    named = {setting for line in LINES if "| not there |" not in line for setting in SETTING.findall(line)}
    assert FIELDS.keys() - GATEWAY_SETTINGS.keys() <= named <= FIELDS.keys()


def test_the_settings_said_not_to_be_there_are_not() -> None:
    named = {setting for line in LINES if "| not there |" in line for setting in SETTING.findall(line)}
    assert named.isdisjoint(FIELDS)
    assert named >= WITHOUT_EFFECT.keys()


def cases() -> Iterator[str]:
    """The names in the column "cases", which is always the last; `*` in them stands for any ending."""
    there = False
    for line in LINES:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            there = False
        elif cells[-1] == "cases":
            there = True
        elif there and not cells[-1].startswith("-"):
            yield from (name for name in cells[-1].split(", ") if name)
