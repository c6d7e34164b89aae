"""The checker's model of queues with settings on hand-written histories, as in test_model.py."""

from dataclasses import replace
from typing import Any

import pytest

from bench.checker.history import Call, History, Left, Outcome, Rest, Settlement, Sight
from bench.checker.lease_model import judge_leases
from bench.checker.leased import LETTERS, LINES, TASKS
from bench.checker.model import Promise

MESSAGE: dict[str, Any] = {"owner": "ann", "mark": 1}
OTHER: dict[str, Any] = {"owner": "ann", "mark": 2}
FIRST, SECOND = {**MESSAGE, "group": "g"}, {**OTHER, "group": "g"}
UNSURE: dict[str, Any] = {"outcome": Outcome.UNKNOWN, "note": "gone away"}


def call(function: str, invoked: float = 0, **how: Any) -> Call:  # noqa: ANN401
    """A call of ann on `tasks` that takes a second and gets a response, unless `how` overrides that."""
    made = Call(function, TASKS, "ann", invoked, returned=invoked + 1, outcome=Outcome.OK)
    for name, value in how.items():
        setattr(made, name, value)
    return made


def read(at: float, reads: int = 1, lease: int = 10, message: Any = MESSAGE, **how: Any) -> Call:  # noqa: ANN401
    sight = Sight(message["mark"], reads, at, at + lease, message, f"{message['mark']}.{reads}.0")
    return call("read", at - 0.5, lease=lease, sights=(sight,), **how)


def settle(operation: str, at: float, result: str, reads: int = 1, seconds: int = 0, **how: Any) -> Call:  # noqa: ANN401
    return call(operation, at, settled=(Settlement(operation, f"1.{reads}.0", seconds, result),), **how)


def send(mark: int = 1, at: float = 0, **how: Any) -> Call:  # noqa: ANN401
    return call("send", at, sent=(mark,), **{"ids": (mark,), **how})


def letter(reason: str, reads: int = 2) -> Rest:
    dead = {"queue": TASKS, "msg_id": 1, "reason": reason, "read_ct": reads}
    return Rest([Left(5, 0, MESSAGE, {"x-pgmq-dead": dead})])


def waiting(reads: int = 0) -> dict[str, Rest]:
    return {TASKS: Rest([Left(1, reads, MESSAGE)])}


def line(*parked: bool) -> dict[str, Rest]:
    """The first messages of the group, parked or not."""
    return {LINES: Rest([Left(n, 0, (FIRST, SECOND)[n - 1], {}, one) for n, one in enumerate(parked, 1)])}


def found(calls: tuple[Call, ...], rest: dict[str, Rest]) -> set[Promise]:
    sent = (FIRST, SECOND) if any(one.queue == LINES for one in calls) else (MESSAGE, OTHER)
    history = History(list(calls), {message["mark"]: message for message in sent}, rest)
    return {violation.promise for violation in judge_leases(history)}


GROUP = (send(1, 0, queue=LINES), send(2, 2, queue=LINES))
POP = call("pop", 5, key="k", sights=read(5).sights)
# Of one stream with a credit of one.
EVENT = replace(read(10, lease=5), function="event", stream=1, credit=1)
NEXT = replace(EVENT, sights=read(12, lease=5, message=OTHER).sights)
BOTH_READ = {TASKS: Rest([Left(1, 1, MESSAGE), Left(2, 1, OTHER)])}

FAIR = {
    "acknowledged": ((send(), read(10), settle("ack", 12, "acked")), {}),
    "acknowledged after the lease": ((send(), read(10), settle("ack", 50, "acked")), {}),
    "acknowledged while it is read again": (
        (send(), read(10, lease=1), read(12, 2), settle("ack", 11, "acked")),
        {},
    ),
    "late, and stale": ((send(), read(10, lease=1), read(12, 2), settle("ack", 14, "stale")), waiting(2)),
    "acknowledged, perhaps": ((send(), read(10), settle("ack", 12, "", **UNSURE)), {}),
    "retried and read at once": ((send(), read(10), settle("retry", 11, "retried"), read(12, 2)), waiting(2)),
    "retried, perhaps, and read at once": (
        (send(), read(10), settle("retry", 11, "", **UNSURE), read(12, 2)), waiting(2),
    ),
    "extended, then read": (
        (send(), read(10, lease=2), settle("extend", 11, "extended", seconds=5), read(16.5, 2)),
        waiting(2),
    ),
    "buried": ((send(), read(10), read(20, 2)), {LETTERS: letter("max_receives")}),
    "rejected": ((send(), read(10), settle("reject", 11, "rejected")), {LETTERS: letter("rejected", 1)}),
    "redriven": (
        (send(), read(10), read(20, 2), call("redrive", 40, queue=LETTERS)),
        {TASKS: Rest([Left(7, 0, MESSAGE, {"x-pgmq-redrives": 1})])},
    ),
    "sent again with an id": ((send(), send(at=2)), waiting()),
    "popped again with its key": ((send(), replace(POP, sights=(), **UNSURE), POP, POP), {}),
    "nothing, then popped with the same key": ((send(), replace(POP, sights=()), POP), {}),
    "popped, perhaps": ((send(), replace(POP, sights=(), **UNSURE)), {}),
    "in order": (
        (*GROUP, read(10, message=FIRST, queue=LINES), settle("ack", 11, "acked", queue=LINES),
         read(12, message=SECOND, queue=LINES)),
        {LINES: Rest([Left(2, 1, SECOND)])},
    ),
    "sent at once, in any order": (
        (send(1, 0, queue=LINES), send(2, 0.5, queue=LINES), read(10, lease=1, message=SECOND, queue=LINES),
         replace(settle("ack", 10.2, "acked", queue=LINES), settled=(Settlement("ack", "2.1.0", 0, "acked"),)),
         read(12, message=FIRST, queue=LINES)),
        {LINES: Rest([Left(1, 1, FIRST)])},
    ),
    "one is free, one is parked": (GROUP, line(False, True)),
    "a stream with credit": (
        (send(), send(2), replace(EVENT, credit=2), replace(NEXT, credit=2)), BOTH_READ,
    ),
    "a stream whose message was retried": (
        (send(), send(2), EVENT, settle("retry", 11, "retried"), NEXT), BOTH_READ,
    ),
    "a stream whose message was acknowledged, perhaps": (
        (send(), send(2), EVENT, settle("ack", 11, "", **UNSURE), NEXT), BOTH_READ,
    ),
    "a stream whose message is leased no more": (
        (send(), send(2), EVENT, replace(NEXT, sights=read(15, message=OTHER).sights)), BOTH_READ,
    ),
    "two streams": ((send(), send(2), EVENT, replace(NEXT, stream=2)), BOTH_READ),
}  # fmt: skip

FOUL = {
    "gone": ((send(),), {}, Promise.LOST),
    "acknowledged with a stale receipt": (
        (send(), read(10, lease=1), read(12, 2), settle("ack", 14, "acked")), {}, Promise.FENCED,
    ),
    "extended with a stale receipt": (
        (send(), read(10, lease=1), read(12, 2), settle("extend", 14, "extended")), waiting(2), Promise.FENCED,
    ),
    "stale without another read": ((send(), read(10), settle("ack", 12, "stale")), waiting(1), Promise.FENCED),
    "gone, and there": ((send(), read(10), settle("ack", 12, "gone")), waiting(1), Promise.LOST),
    "leased to two": ((send(), read(10), read(12, 2)), waiting(2), Promise.SHARED),
    "leased to two after an extension": (
        (send(), read(10, lease=2), settle("extend", 11, "extended", seconds=5), read(13, 2)),
        waiting(2), Promise.SHARED,
    ),
    "acknowledged twice": (
        (send(), read(10), settle("ack", 11, "acked"), settle("ack", 13, "acked")), {}, Promise.UNDEAD,
    ),
    "acknowledged, and there": ((send(), read(10), settle("ack", 11, "acked")), waiting(1), Promise.UNDEAD),
    "acknowledged, and dead": (
        (send(), read(10), settle("ack", 11, "acked")), {LETTERS: letter("max_receives")}, Promise.UNDEAD,
    ),
    "redriven after it was acknowledged": (
        (send(), read(10), settle("ack", 11, "acked"),
         replace(read(20), sights=(replace(read(20).sights[0], id=7, redrives=1),))),
        {}, Promise.UNDEAD,
    ),
    "settled by a stranger": ((send(), read(10), settle("ack", 11, "acked", owner="bob")), {}, Promise.STRANGER),
    "delivered too often": ((send(), read(10), read(20, 2), read(30, 3)), waiting(3), Promise.EXHAUSTED),
    "buried too early": ((send(), read(10)), {LETTERS: letter("max_receives", 1)}, Promise.BURIED),
    "rejected by nobody": ((send(), read(10)), {LETTERS: letter("rejected", 1)}, Promise.BURIED),
    "buried within its lease": (
        (send(), read(10), settle("ack", 12, "gone")), {LETTERS: letter("max_receives")}, Promise.BURIED,
    ),
    "buried twice": (
        (send(), read(10), read(20, 2)),
        {LETTERS: Rest([*letter("max_receives").waiting, replace(letter("max_receives").waiting[0], id=6)])},
        Promise.DOUBLED,
    ),
    "dead, and there": ((send(), read(10)), {LETTERS: letter("max_receives"), **waiting(1)}, Promise.DOUBLED),
    "archived by nobody": ((send(),), {TASKS: Rest([], [Left(1, 0, MESSAGE)])}, Promise.LOST),
    "stored again": ((send(), send(at=2, ids=(2,))), waiting(), Promise.DOUBLED),
    "another response to the same key": (
        (send(), send(2), POP, replace(POP, sights=read(5, message=OTHER).sights)), {}, Promise.REPEATED,
    ),
    "two of a line in flight": (
        (*GROUP, read(10, message=FIRST, queue=LINES), read(12, message=SECOND, queue=LINES)), {}, Promise.CROWDED,
    ),
    "two of a line free": (GROUP, line(False, False), Promise.CROWDED),
    "overtaken": ((*GROUP, read(10, message=SECOND, queue=LINES)), line(True), Promise.DISORDERED),
    "parked for ever": (GROUP, line(True, True), Promise.STALLED),
    "refused, and there": ((send(outcome=Outcome.REFUSED, ids=()),), waiting(), Promise.REFUSED),
    "half a batch": ((call("send_entries", sent=(1, 2), **UNSURE),), waiting(), Promise.HALVED),
    "counted the same twice": ((send(), read(10), read(30)), waiting(1), Promise.UNCOUNTED),
    "a stream without credit": ((send(), send(2), EVENT, NEXT), BOTH_READ, Promise.OVERDRAWN),
    "a stream whose message was acknowledged too late": (
        (send(), send(2), EVENT, NEXT, settle("ack", 12.5, "acked")), {TASKS: Rest([Left(2, 1, OTHER)])},
        Promise.OVERDRAWN,
    ),
    "changed": ((send(), read(10, message={**MESSAGE, "more": 1})), waiting(1), Promise.INVENTED),
}  # fmt: skip


@pytest.mark.parametrize(("calls", "rest"), FAIR.values(), ids=FAIR)
def test_what_a_queue_may_do_is_not_reported(calls: tuple[Call, ...], rest: dict[str, Rest]) -> None:
    assert found(calls, rest) == set()


@pytest.mark.parametrize(("calls", "rest", "promise"), FOUL.values(), ids=FOUL)
def test_what_a_queue_must_not_do_is_reported(calls: tuple[Call, ...], rest: dict[str, Rest], promise: Promise) -> None:
    assert promise in found(calls, rest)
