"""The checker's rule on waiting calls, on hand-written histories."""

from dataclasses import replace
from typing import Any

import pytest

from bench.checker.history import Call, History, Left, Outcome, Rest, Sight
from bench.checker.model import Promise
from bench.checker.wait_model import judge_waits

MESSAGE = {"owner": "ann", "mark": 1}
SERVED = 15


def call(function: str, invoked: float, returned: float, **how: Any) -> Call:  # noqa: ANN401
    made = Call(function, "q", "ann", invoked, returned=returned, outcome=Outcome.OK)
    for name, value in how.items():
        setattr(made, name, value)
    return made


def read(at: float, until: float, reads: int = 1) -> Call:
    return call("read", at - 1, at + 1, sights=(Sight(1, reads, at, until, MESSAGE),))


SENT = call("send", 9, 10, sent=(1,), ids=(1,))
EMPTY = call("read", 0, 30, wait=30)
THERE = Rest([Left(1, 0, MESSAGE)])
READ_ONCE = Rest([Left(1, 1, MESSAGE)])
POPPED = call("pop", 29, 30, sights=(Sight(1, 0, 0, 0, MESSAGE),))
UNSURE: dict[str, Any] = {"outcome": Outcome.UNKNOWN, "note": "gone away"}


def found(calls: tuple[Call, ...], rest: Rest) -> list[Promise]:
    history = History(list(calls), {1: MESSAGE}, {"q": rest}, served=SERVED)
    return [violation.promise for violation in judge_waits(history)]


SERVED_CALLS = {
    "without a message": ((EMPTY,), Rest()),
    "sent too late": ((replace(SENT, returned=16.0), EMPTY), THERE),
    "visible too late": ((replace(SENT, delay=6), EMPTY), THERE),
    "sent to another queue": ((replace(SENT, queue="r"), EMPTY), THERE),
    "of another identity": ((SENT, replace(EMPTY, owner="bob")), THERE),
    "read by another in time": ((SENT, EMPTY, read(20, 50)), READ_ONCE),
    "popped by another, perhaps in time": ((SENT, EMPTY, replace(POPPED, invoked=20)), Rest()),
    "read in a call without a response": ((SENT, EMPTY), READ_ONCE),
    "deleted, perhaps": ((SENT, EMPTY, call("delete", 20, 21, target=1, **UNSURE)), THERE),
    "leased": ((SENT, read(11, 40), EMPTY), READ_ONCE),
    "no wait": ((SENT, replace(EMPTY, wait=0)), THERE),
    "short": ((SENT, replace(EMPTY, returned=20)), THERE),
    "an error": ((SENT, replace(EMPTY, outcome=Outcome.REFUSED)), THERE),
}
UNSERVED_CALLS = {
    "sent and there": ((SENT, EMPTY), THERE),
    "read by another too late": ((SENT, EMPTY, read(29, 50)), READ_ONCE),
    "popped by another too late": ((SENT, EMPTY, POPPED), Rest()),
    "deleted, perhaps, too late": ((SENT, EMPTY, call("delete", 29, 30, target=1, **UNSURE)), THERE),
    "the lease expired": ((SENT, read(11, 12), EMPTY), READ_ONCE),
    "the lease expired, then read": ((SENT, read(11, 12), read(29, 50, 2), EMPTY), Rest()),
}


@pytest.mark.parametrize(("calls", "rest"), SERVED_CALLS.values(), ids=SERVED_CALLS)
def test_a_wait_that_could_get_nothing_is_no_violation(calls: tuple[Call, ...], rest: Rest) -> None:
    assert found(calls, rest) == []


@pytest.mark.parametrize(("calls", "rest"), UNSERVED_CALLS.values(), ids=UNSERVED_CALLS)
def test_a_wait_beside_a_visible_message_is_a_violation(calls: tuple[Call, ...], rest: Rest) -> None:
    assert found(calls, rest) == [Promise.UNSERVED]
