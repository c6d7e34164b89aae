"""The checker's model on hand-written histories: certain violations are reported, possible ones are not."""

from dataclasses import replace
from typing import Any

import pytest

from bench.checker.history import Call, History, Left, Outcome, Rest, Sight
from bench.checker.model import Promise, judge
from bench.checker.visits import Visit

MESSAGE = {"owner": "ann", "mark": 1}
OTHER = {"owner": "ann", "mark": 2}


def call(function: str, invoked: float = 0, **how: Any) -> Call:  # noqa: ANN401
    """A call of ann on `q` that takes a second and gets a response, unless `how` overrides that."""
    made = Call(function, "q", "ann", invoked, returned=invoked + 1, outcome=Outcome.OK)
    for name, value in how.items():
        setattr(made, name, value)
    return made


def seen(reads: int = 1, at: float = 10, until: float = 20, number: int = 1, message: Any = MESSAGE) -> tuple[Sight]:  # noqa: ANN401
    return (Sight(number, reads, at, until, message),)


SENT = call("send", sent=(1,), ids=(1,))
UNSURE: dict[str, Any] = {"outcome": Outcome.UNKNOWN, "note": "gone away"}
REFUSED: dict[str, Any] = {"outcome": Outcome.REFUSED, "note": "500 57014"}
THERE = Rest(waiting=[Left(1, 0, MESSAGE)])
READ = call("read", 9.5, lease=10, sights=seen())
BATCH = call("send_batch", sent=(1, 2), **UNSURE)


def found(*calls: Call, rest: Rest = Rest()) -> set[Promise]:  # noqa: B008 it does not change
    history = History(list(calls), {1: MESSAGE, 2: OTHER}, {"q": rest})
    return {violation.promise for violation in judge(history)}


FAIR = {
    "sent and there": ((SENT,), THERE),
    "sent, the answer lost, there": ((replace(SENT, ids=(), **UNSURE),), THERE),
    "sent, the answer lost, not there": ((replace(SENT, ids=(), **UNSURE),), Rest()),
    "refused, not there": ((replace(SENT, ids=(), **REFUSED),), Rest()),
    "deleted": ((SENT, call("delete", 5, target=1, found=True)), Rest()),
    "deleted, perhaps": ((SENT, call("delete", 5, target=1, **UNSURE)), Rest()),
    "deleted, perhaps, and found no more": (
        (SENT, call("delete", 5, target=1, **UNSURE), call("delete", 7, target=1, found=False)),
        Rest(),
    ),
    "archived, perhaps": ((SENT, call("archive", 5, target=1, **UNSURE)), Rest(archived=[Left(1, 0, MESSAGE)])),
    "popped": ((SENT, call("pop", 5, sights=seen(0, 0, 0))), Rest()),
    "popped, the answer lost": ((SENT, call("pop", 5, **UNSURE)), Rest()),
    "read again in time": (
        (SENT, READ, call("read", 20, lease=10, sights=seen(2, 20, 30))),
        Rest(waiting=[Left(1, 2, MESSAGE)]),
    ),
    "read while it is deleted": ((SENT, READ, call("delete", 9.4, target=1, found=True)), Rest()),
    "popped as its lease ends": ((SENT, READ, call("pop", 19.5, sights=seen(1, 10, 20))), Rest()),
    "read, the answer lost": (
        (SENT, call("read", 5, lease=1, **UNSURE)),
        Rest(waiting=[Left(1, 1, MESSAGE)]),
    ),
    "a whole batch, the answer lost": ((BATCH,), Rest(waiting=[Left(1, 0, MESSAGE), Left(2, 0, OTHER)])),
    "no batch, the answer lost": ((BATCH,), Rest()),
    "a forged token, refused": ((call("send", forged=True, **REFUSED),), Rest()),
    "somebody else's, not found": ((SENT, call("delete", 5, owner="bob", target=1, found=False)), THERE),
}

FOUL = {
    "gone": ((SENT,), Rest(), Promise.LOST),
    "more gone than may have been popped": (
        (SENT, call("send", sent=(2,), ids=(2,)), call("pop", 5, **UNSURE)),
        Rest(),
        Promise.LOST,
    ),
    "popped by somebody else, perhaps": ((SENT, call("pop", 5, owner="bob", **UNSURE)), Rest(), Promise.LOST),
    "a delete that was refused": ((SENT, call("delete", 5, target=1, **REFUSED)), Rest(), Promise.LOST),
    "archived, and in no archive": ((SENT, call("archive", 5, target=1, found=True)), Rest(), Promise.LOST),
    "archived by nobody": ((SENT,), Rest(archived=[Left(1, 0, MESSAGE)]), Promise.LOST),
    "not found, and there": ((SENT, call("delete", 5, target=1, found=False)), THERE, Promise.LOST),
    "fewer ids than messages": ((replace(BATCH, outcome=Outcome.OK, ids=(1,)),), THERE, Promise.LOST),
    "leased to two": (
        (SENT, READ, call("read", 19, lease=10, sights=seen(2, 19.5, 29.5))),
        Rest(waiting=[Left(1, 2, MESSAGE)]),
        Promise.SHARED,
    ),
    "leased for less than was asked": (
        (SENT, replace(READ, sights=seen(until=10)), call("read", 11, lease=1, sights=seen(2, 11, 12))),
        Rest(waiting=[Left(1, 2, MESSAGE)]),
        Promise.SHARED,
    ),
    "popped while leased": ((SENT, READ, call("pop", 15, sights=seen())), Rest(), Promise.SHARED),
    "read by a stranger": ((SENT, replace(READ, owner="bob")), Rest(), Promise.STRANGER),
    "deleted by a stranger": (
        (SENT, READ, call("delete", 15, owner="bob", target=1, found=True)),
        Rest(),
        Promise.STRANGER,
    ),
    "a forged token": ((call("read", forged=True),), Rest(), Promise.STRANGER),
    "read after it was deleted": ((SENT, call("delete", 5, target=1, found=True), READ), Rest(), Promise.UNDEAD),
    "there after it was deleted": ((SENT, call("delete", 5, target=1, found=True)), THERE, Promise.UNDEAD),
    "deleted twice": ((SENT, *[call("delete", 5, target=1, found=True)] * 2), Rest(), Promise.UNDEAD),
    "sent by nobody": ((READ,), Rest(), Promise.INVENTED),
    "changed": ((SENT, replace(READ, sights=seen(message={**MESSAGE, "more": 1}))), Rest(), Promise.INVENTED),
    "there, and not what was sent": ((SENT,), Rest(waiting=[Left(1, 0, {**MESSAGE, "x": 1})]), Promise.INVENTED),
    "stored twice": ((SENT,), Rest(waiting=[Left(1, 0, MESSAGE), Left(2, 0, MESSAGE)]), Promise.DOUBLED),
    "in the queue and in its archive": (
        (SENT, call("archive", 5, target=1, **UNSURE)),
        Rest([Left(1, 0, MESSAGE)], [Left(1, 0, MESSAGE)]),
        Promise.DOUBLED,
    ),
    "half a batch": ((BATCH,), THERE, Promise.HALVED),
    "refused, and there": ((replace(SENT, ids=(), **REFUSED),), THERE, Promise.REFUSED),
    "refused to read, and counted": (
        (SENT, call("read", 5, **REFUSED)),
        Rest(waiting=[Left(1, 1, MESSAGE)]),
        Promise.REFUSED,
    ),
    "counted the same twice": ((SENT, READ, call("read", 30, sights=seen(1, 30, 40))), Rest(), Promise.UNCOUNTED),
    "a read forgotten": ((SENT, READ), THERE, Promise.UNCOUNTED),
}


@pytest.mark.parametrize(("calls", "rest"), FAIR.values(), ids=FAIR)
def test_what_a_queue_may_do_is_not_reported(calls: tuple[Call, ...], rest: Rest) -> None:
    assert found(*calls, rest=rest) == set()


@pytest.mark.parametrize(("calls", "rest", "promise"), FOUL.values(), ids=FOUL)
def test_what_a_queue_must_not_do_is_reported(calls: tuple[Call, ...], rest: Rest, promise: Promise) -> None:
    assert promise in found(*calls, rest=rest)


def visit(transaction: str = "1", local: tuple[str, ...] = (), session: tuple[str, ...] = ()) -> Call:
    """A call of a user's function by ann, and what it found."""
    return call("visit", queue="", caller="ann", visit=Visit(transaction, local, session))


NEIGHBOURS = {
    "nothing": (History([visit("1"), visit("2")]), set()),
    "its own": (History([visit(session=("ann",))]), set()),
    "its own in a transaction": (History([visit(local=("ann",))]), {Promise.NOTICED}),
    "another caller's": (History([visit(session=("bob",))]), {Promise.NOTICED}),
    "one transaction": (History([visit("1"), visit("1")]), {Promise.NOTICED}),
    "a trigger": (History(departures=["a trigger of ann found bob"]), {Promise.NOTICED}),
    "a deadlock": (History(deadlocks=1), {Promise.DEADLOCKED}),
    "a delay": (History(delays=["a fast call waits"]), {Promise.DELAYED}),
}


@pytest.mark.parametrize(("history", "promises"), NEIGHBOURS.values(), ids=NEIGHBOURS)
def test_what_calls_notice_of_each_other_is_reported(history: History, promises: set[Promise]) -> None:
    assert {violation.promise for violation in judge(history)} == promises
