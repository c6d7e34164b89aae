"""Hints of SQL in the words of the command line."""

import re
from pathlib import Path

import pytest

from pgmq_gateway.cli.main import app
from pgmq_gateway.cli.wording import CALL, COMMANDS, WITHOUT_COMMAND, spoken
from tests.unit.test_rooms import ROOT

HINTS = re.compile(r"hint = (.*?);", re.DOTALL)


def hints() -> set[str]:
    """The functions that hints of the SQL functions name."""
    texts = [path.read_text() for path in Path(ROOT, "sql", "functions").rglob("*.sql")]
    literals = [literal for text in texts for hint in HINTS.findall(text) for literal in re.findall(r"'[^']*'", hint)]
    return {name for literal in literals for name in CALL.findall(literal)}


def test_each_function_of_a_hint_has_a_command_or_none() -> None:
    found = hints()
    assert len(found) >= 5
    assert found - set(COMMANDS) - WITHOUT_COMMAND == set()


@pytest.mark.parametrize("command", sorted(set(COMMANDS.values())))
def test_the_commands_exist(command: str) -> None:
    assert app([*command.split()[1:], "--help"], standalone_mode=False) == 0


def test_a_hint_names_the_command() -> None:
    hint = 'queue "q" does not exist: pgmq_admin.list_queues() lists all queues.'
    assert spoken(hint) == 'queue "q" does not exist: pgmq-gateway queue list lists all queues.'
    assert spoken("Keep it, or drop it first with pgmq_admin.drop_policy().").endswith("pgmq_admin.drop_policy().")
