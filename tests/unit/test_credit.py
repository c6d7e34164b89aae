"""The credit of streams, and the calls that return it."""

import asyncio
from dataclasses import dataclass, field

import msgspec
import pytest

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.call import Answer, Call
from pgmq_gateway.calls.catalog import Catalog, Function, Result
from pgmq_gateway.calls.statement import Statement
from pgmq_gateway.http.request import RequestSettings
from pgmq_gateway.postgrest.media import ARRAY
from pgmq_gateway.postgrest.preferences import NO_PREFERENCES, Preferences
from pgmq_gateway.waiting import credit_checks
from pgmq_gateway.waiting.credit import Credit, Settlements, extended
from pgmq_gateway.waiting.credit_checks import FIRST_CHECK_SECONDS, CreditChecks, Turn
from pgmq_gateway.waiting.stream_calls import StreamCalls
from tests.waiting import until_async

RECEIPT = "7.1.1795988748607430"


def called(name: str, body: str | None, preferences: Preferences = NO_PREFERENCES, schema: str = "pgmq_api") -> Call:
    function = Function(schema, name, (), Result.SCALAR, returns_set=False, volatile=True)
    request = RequestSettings("POST", "/", "{}", "{}")
    return Call(function, Statement(""), request, ARRAY, preferences, read_only=False, body=body)


def left(call: Call, result: str | None, *, rollback: bool = False) -> int:
    """The credit of a stream of two that has a message of the queue Jobs, after a call."""
    settlements = Settlements()
    credit = Credit(2, settlements, lambda: None)
    credit.use("Jobs", RECEIPT)
    settlements.note(call, Answer(None, 1, result), rollback=rollback)
    return credit.left


@pytest.mark.parametrize(
    ("name", "more", "result"),
    [
        ("ack", f'"receipt": "{RECEIPT}"', '"acked"'),
        ("retry", f'"receipt": "{RECEIPT}"', '"retried"'),
        ("retry", f'"receipt": "{RECEIPT}"', '"rejected"'),
        ("reject", f'"receipt": "{RECEIPT}"', '"rejected"'),
        ("delete", '"message_id": 7', "true"),
        ("archive", '"message_id": "7"', "true"),
        ("delete_batch", '"message_ids": [6, 7]', "[7]"),
        ("archive_batch", '"message_ids": [7]', "[7]"),
        ("settle", f'"acks": ["{RECEIPT}"]', f'[{{"receipt": "{RECEIPT}", "outcome": "acked"}}]'),
    ],
)
@pytest.mark.parametrize("queue", ["Jobs", "jobs"])
def test_a_settled_message_returns_its_credit(name: str, more: str, result: str, queue: str) -> None:
    assert left(called(name, f'{{"queue_name": "{queue}", {more}}}'), result) == 2


@pytest.mark.parametrize(
    ("name", "more", "result"),
    [
        ("ack", f'"receipt": "{RECEIPT}"', '"gone"'),
        ("ack", '"receipt": "7.2.1795988748607430"', '"acked"'),
        ("extend", f'"receipt": "{RECEIPT}"', '"extended"'),
        ("delete", '"message_id": 7', "false"),
        ("delete_batch", '"message_ids": [7]', "[]"),
        ("delete_batch", '"message_ids": [7]', "7\n"),
        ("settle", f'"acks": ["{RECEIPT}"]', f'[{{"receipt": "{RECEIPT}", "outcome": "stale"}}]'),
        ("settle", f'"extensions": ["{RECEIPT}"]', f'[{{"receipt": "{RECEIPT}", "outcome": "extended"}}]'),
        ("settle", f'"acks": ["{RECEIPT}"]', '[{"outcome": "acked"}]'),
        ("settle", '"acks": []', '[{"receipt": "x.1", "outcome": "acked"}]'),
        ("settle", '"acks": []', None),
    ],
)
def test_other_results_return_none(name: str, more: str, result: str | None) -> None:
    assert left(called(name, f'{{"queue_name": "jobs", {more}}}'), result) == 1


@pytest.mark.parametrize(
    "call",
    [
        called("delete", '{"queue_name": "other", "message_id": 7}'),
        called("delete", '{"queue_name": "jobs", "message_id": 7}', schema="public"),
        called("delete", '{"queue_name": "jobs", "message_id": 7}', Preferences(rollback=True)),
        called("delete", '{"queue_name": "jobs", "message_id": "seven"}'),
        called("delete", '{"message_id": 7}'),
        called("delete", None),
    ],
)
def test_other_calls_return_none(call: Call) -> None:
    assert left(call, "true") == 1


@pytest.mark.parametrize(("preferred", "credit"), [(None, 1), (False, 2)])
def test_a_settlement_that_db_tx_end_rolls_back_returns_none(preferred: bool | None, credit: int) -> None:
    call = called("delete", '{"queue_name": "jobs", "message_id": 7}', Preferences(rollback=preferred))
    assert left(call, "true", rollback=True) == credit


def test_a_message_that_is_delivered_again_uses_the_credit_of_its_new_stream() -> None:
    settlements, returned = Settlements(), list[str]()
    one = Credit(1, settlements, lambda: returned.append("one"))
    other = Credit(1, settlements, lambda: returned.append("other"))
    assert not one.use("jobs", RECEIPT)
    assert not other.use("jobs", "7.2.1795988748607430")
    assert (one.left, other.left, returned) == (1, 0, ["one"])
    assert other.use("jobs", "7.3.1795988748607430")
    assert (other.left, returned) == (0, ["one", "other"])


def test_the_database_tells_which_messages_are_still_leased() -> None:
    settlements = Settlements()
    credit = Credit(3, settlements, lambda: None)
    for receipt in ("1.1.5", "2.1.5", "3.1.5"):
        credit.use("jobs", receipt)
    asked = credit.receipts()["jobs"]
    # Settled and delivered again while the database was asked.
    credit.use("jobs", "1.2.5")
    settlements.keep("jobs", asked, ["2.1.5"])
    assert credit.receipts() == {"jobs": ["2.1.5", "1.2.5"]}
    credit.close()
    assert (credit.left, settlements.held_by) == (3, {})


@dataclass(eq=False)
class Checked:
    """A stream, as far as its credit is checked."""

    caller: Caller
    calls: StreamCalls
    credit: Credit
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        self.woken.set()

    def fail(self, error: Exception) -> None:
        raise error


@dataclass
class Database:
    """An executor of a database in which all messages are settled, and some queues are locked."""

    asked: list[tuple[str, set[str]]] = field(default_factory=list)
    locks: dict[str, asyncio.Event] = field(default_factory=dict)

    async def execute(self, caller: Caller, call: Call) -> Answer:
        queue, *receipts = call.statement.texts
        self.asked.append((f"{caller.role} {queue}", set(receipts)))
        if queue in self.locks:
            await self.locks[queue].wait()
        return Answer(None, 0, "[]")


class Bench:
    """The checks of streams of one message each."""

    def __init__(self) -> None:
        self.settlements, self.database = Settlements(), Database()
        self.checks = CreditChecks(self.database, self.settlements)
        self.gone = False

    def stream(self, role: str, receipt: str, limit: int = 1, queue: str = "jobs") -> Checked:
        woken = asyncio.Event()
        read = msgspec.structs.replace(called("read", None), abandoned=lambda: self.gone)
        checked = Checked(
            Caller(role, "{}", anonymous=False),
            StreamCalls(read, {}, Catalog(())),
            Credit(limit, self.settlements, woken.set),
            woken,
        )
        checked.credit.use(queue, receipt)
        self.checks.add(checked)
        return checked


async def test_one_call_checks_all_streams_of_a_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that are not hurried, but none that has half of its credit left."""
    monkeypatch.setattr(credit_checks, "OTHERS_SECONDS", 0)
    bench = Bench()
    waiting = [bench.stream("a", "1.1.5"), bench.stream("a", "2.1.5"), bench.stream("b", "3.1.5")]
    for one in waiting:
        bench.checks.hurry(one)
    low, with_credit = bench.stream("c", "4.1.5"), bench.stream("a", "5.1.5", 2)
    for one in (*waiting, low):
        await one.woken.wait()
    assert sorted(bench.database.asked) == [
        ("a jobs", {"1.1.5", "2.1.5"}),
        ("b jobs", {"3.1.5"}),
        ("c jobs", {"4.1.5"}),
    ]
    assert [one.credit.left for one in (*waiting, low, with_credit)] == [1, 1, 1, 1, 1]
    for one in (*waiting, low, with_credit):
        bench.checks.remove(one)


async def test_a_locked_queue_does_not_stop_the_checks_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credit_checks, "CHECK_SECONDS", 0.01)
    bench = Bench()
    lock = bench.database.locks["locked"] = asyncio.Event()
    locked = [bench.stream(role, receipt, queue="locked") for role, receipt in (("a", "1.1.5"), ("b", "2.1.5"))]
    other = bench.stream("c", "3.1.5")
    for one in (*locked, other):
        bench.checks.hurry(one)
    await until_async(other.woken.is_set)
    # No connection more is used for the locked queue.
    assert [asked for asked, _ in bench.database.asked] == ["a locked", "c jobs"]
    lock.set()
    for one in locked:
        await until_async(one.woken.is_set)
    assert [asked for asked, _ in bench.database.asked] == ["a locked", "c jobs", "b locked"]
    for one in (*locked, other):
        bench.checks.remove(one)


async def test_a_lost_client_is_noticed_during_a_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credit_checks, "CHECK_SECONDS", 60)
    monkeypatch.setattr(credit_checks, "CLIENTS_SECONDS", 0.01)
    bench = Bench()
    lock = bench.database.locks["locked"] = asyncio.Event()
    stream = bench.stream("a", "1.1.5", queue="locked")
    bench.checks.hurry(stream)
    await until_async(lambda: bench.database.asked != [])
    assert not stream.woken.is_set()
    bench.gone = True
    await until_async(stream.woken.is_set)
    bench.checks.remove(stream)
    lock.set()


def test_checks_that_return_no_credit_become_less_frequent() -> None:
    turn, pauses = Turn(0.0, FIRST_CHECK_SECONDS), list[float]()
    for _ in range(7):
        turn = turn.following(0, 100.0)
        pauses.append(turn.at - 100)
    assert pauses == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1, 1])
    assert turn.following(1, 100.0) == (105, 0)
    assert turn.following(1, 100.0).following(0, 105.0) == (105.025, 0.025)


def test_an_extension_tells_which_leases_are_kept() -> None:
    rows = '[{"receipt": "1.1.5", "outcome": "extended"}, {"receipt": "2.1.5", "outcome": "stale"}]'
    assert extended(Answer(None, 2, rows)) == ["1.1.5"]
