"""Suggestions for unknown names equal PostgREST's."""

import pytest

from pgmq_gateway.postgrest.hints import nearest

FUNCTIONS = ["send", "send_batch", "read", "pop", "archive", "delete"]
SEND = "(message, queue_name, sleep_seconds)"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("send_bath", "send_batch"),
        ("delet", "delete"),
        ("SEND", "send"),
        ("sned", None),
        ("metrics", None),
        ("", None),
        ("é", None),
        ("x" * 100_000, None),
    ],
)
def test_a_function_that_is_near_is_named(name: str, meant: str | None) -> None:
    assert nearest(name, FUNCTIONS, 0.75) == meant


@pytest.mark.parametrize(
    ("arguments", "overload", "meant"),
    [
        ("(queue_name)", SEND, True),
        ("(delay, message, queue_name)", SEND, True),
        ("()", SEND, False),
        ("(x)", "(queue_name)", False),
    ],
)
def test_arguments_that_are_near_are_listed(arguments: str, overload: str, meant: bool) -> None:
    assert nearest(arguments, [overload], 0.33) == (overload if meant else None)
