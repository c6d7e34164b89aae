"""The signatures of plain calls are those in pgmq_gateway.plain_call."""

import re
from pathlib import Path

from pgmq_gateway.queue_functions import PLAIN_CALLS

SQL = Path(__file__).parents[2] / "sql" / "functions" / "pgmq_gateway" / "calls.sql"


def test_the_gateway_and_its_sql_know_the_same_calls() -> None:
    cases = re.findall(r"^ +when ('.+\)') then$", SQL.read_text(), re.MULTILINE)
    assert {name.strip("'") for case in cases for name in case.split(", ")} == PLAIN_CALLS
