"""The protocol of wake-ups between processes: what is announced and reported, and what strangers cannot cause."""

import json
import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgmq_gateway.waiting import wakeups
from pgmq_gateway.waiting.counters import Counters
from pgmq_gateway.waiting.queue_names import can_be_queue
from pgmq_gateway.waiting.wakeups import MAX_PAYLOAD_BYTES, MAX_QUEUES, Wakeups
from tests.clock import Clock


class Process:
    """A process and the wake-ups of its waiters."""

    def __init__(self, clock: Clock) -> None:
        self.counters = Counters()
        self.wakeups = Wakeups(self.counters, clock)
        self.woken: list[tuple[str, bool]] = []
        self.wakeups.on_wakeup = lambda queue, throttled: self.woken.append((queue, throttled))

    def sends(self) -> list[dict[str, object]]:
        """The notifications that it sends now, without its id."""
        payloads = [json.loads(payload) for payload in self.wakeups.outgoing()]
        assert all(payload.pop("g") == self.wakeups.id for payload in payloads)
        return payloads


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def here(clock: Clock) -> Process:
    return Process(clock)


@pytest.fixture
def elsewhere(clock: Clock) -> Process:
    return Process(clock)


def exchange(*processes: Process) -> int:
    """Deliver notifications until none are sent. Returns how many there were; all processes receive each."""
    number = 0
    while payloads := [payload for process in processes for payload in process.wakeups.outgoing()]:
        number += len(payloads)
        assert number < 1000, "notifications cause notifications"
        for payload in payloads:
            for process in processes:
                process.wakeups.received(payload)
    return number


def test_a_send_wakes_the_waiters_of_another_process(here: Process, elsewhere: Process) -> None:
    here.wakeups.wanted("jobs")
    exchange(here, elsewhere)
    elsewhere.wakeups.sent(["jobs", "others"])
    assert exchange(here, elsewhere) == 1
    assert (here.woken, elsewhere.woken) == ([("jobs", False)], [])
    assert here.counters.wakeups == {"gateway": 1}


def test_sends_to_queues_without_waiters_elsewhere_are_not_reported(here: Process) -> None:
    here.wakeups.wanted("jobs")
    here.sends()
    here.wakeups.sent(["jobs"])
    assert not here.wakeups.changed.is_set()
    assert here.sends() == []


def test_several_sends_are_one_notification(here: Process, elsewhere: Process) -> None:
    for queue in ("a", "b"):
        here.wakeups.wanted(queue)
    exchange(here, elsewhere)
    for queue in ("a", "b", "a"):
        elsewhere.wakeups.sent([queue])
    (sent,) = elsewhere.sends()
    assert sorted(sent["s"]) == ["a", "b"]  # type: ignore[call-overload]


def test_an_announcement_is_renewed_while_there_are_waiters_and_forgotten_after_a_minute(
    clock: Clock, here: Process, elsewhere: Process
) -> None:
    def reported() -> bool:
        elsewhere.wakeups.sent(["jobs"])
        return elsewhere.sends() != []

    here.wakeups.wanted("jobs")
    exchange(here, elsewhere)
    for _ in range(10):
        clock.now += 29
        assert reported()
        exchange(here, elsewhere)
    here.wakeups.unwanted("jobs")
    clock.now += 31
    assert here.sends() == []
    clock.now += 30
    assert not reported()


def test_a_consumer_that_waits_again_and_again_is_announced_once_in_thirty_seconds(clock: Clock, here: Process) -> None:
    announced = []
    for _ in range(100):
        here.wakeups.wanted("jobs")
        announced += here.sends()
        here.wakeups.unwanted("jobs")
        clock.now += 1
    assert announced == [{"w": ["jobs"]}] * 4


def test_a_queue_whose_waiters_have_left_at_once_is_not_announced(here: Process) -> None:
    here.wakeups.wanted("jobs")
    here.wakeups.unwanted("jobs")
    assert here.sends() == []


def test_a_process_that_has_begun_to_listen_learns_of_all_waiters(clock: Clock, here: Process) -> None:
    for queue in ("a", "b"):
        here.wakeups.wanted(queue)
    here.sends()
    later = Process(clock)
    later.wakeups.greet()
    exchange(here, later)
    later.wakeups.sent(["a", "b"])
    exchange(here, later)
    assert sorted(here.woken) == [("a", False), ("b", False)]


def test_a_waiter_after_a_greeting_is_announced_although_it_was_announced_before(here: Process) -> None:
    here.wakeups.wanted("jobs")
    here.sends()
    here.wakeups.unwanted("jobs")
    here.wakeups.received('{"g": "later", "hi": true}')
    assert here.sends() == []
    here.wakeups.wanted("jobs")
    assert here.sends() == [{"w": ["jobs"]}]


def test_a_reconnected_process_announces_itself_and_its_queues(here: Process) -> None:
    here.wakeups.wanted("jobs")
    here.sends()
    here.wakeups.greet()
    assert here.sends() == [{"hi": True}, {"w": ["jobs"]}]


def test_greetings_are_answered_every_five_seconds_at_most_and_none_is_forgotten(clock: Clock, here: Process) -> None:
    here.wakeups.wanted("jobs")
    here.sends()
    answers = []
    for _ in range(100):
        here.wakeups.received('{"g": "stranger", "hi": true}')
        answers += here.sends()
        clock.now += 0.1
    assert answers == [{"w": ["jobs"]}] * 2
    clock.now += 5
    assert here.sends() == [{"w": ["jobs"]}]


def test_notifications_of_the_trigger_are_told_apart(here: Process) -> None:
    here.wakeups.wanted("jobs")
    here.wakeups.received('{"s": ["JOBS", "others"]}')
    assert here.woken == [("jobs", True)]
    assert here.counters.wakeups == {"sql": 1}


HOSTILE = [
    "",
    "garbage",
    "x" * 7999,
    "null",
    "1e999999",
    "9" * 5000,
    "[" * 7999,
    '{"a":' * 1500,
    '{"g": 1}',
    '{"g": "x", "w": "jobs"}',
    '{"g": "x", "s": [1]}',
    '{"s": [["jobs"]]}',
    '{"s": null}',
    '{"hi": "yes"}',
    '{"s": ["\\ud800"]}',
    '{"g": "x", "hi": true',
]


@pytest.mark.parametrize("payload", HOSTILE, ids=range(len(HOSTILE)))
def test_41_a47_unreadable_notifications_are_counted_and_dropped(here: Process, payload: str) -> None:
    here.wakeups.wanted("jobs")
    here.sends()
    here.wakeups.received(payload)
    assert here.woken == []
    assert here.sends() == []
    assert here.counters.dropped_notifications == 1


@pytest.mark.parametrize("depth", [10, 1000])
def test_41_a47_nesting_in_an_unknown_member_is_harmless(here: Process, depth: int) -> None:
    here.wakeups.wanted("jobs")
    here.sends()
    here.wakeups.received('{"a":' * depth + "1" + "}" * depth)
    assert (here.woken, here.sends()) == ([], [])


@given(payload=st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner) |
       st.dictionaries(st.sampled_from(["g", "hi", "w", "s", "x"]), inner)).map(json.dumps) | st.text())  # fmt: skip
def test_41_a47_no_notification_raises_or_wakes_a_queue_without_waiters(payload: str) -> None:
    here = Process(Clock())
    here.wakeups.received(payload)
    assert here.woken == []


def named(number: int, width: int = 0) -> Iterable[str]:
    return (f"{index:0{width}}" for index in range(number))


def test_41_a47_queues_of_strangers_take_no_memory_and_hide_no_other_queue(clock: Clock, here: Process) -> None:
    here.wakeups.received('{"g": "other", "w": ["Jobs"]}')
    tracemalloc.start()
    try:
        for first in range(0, 20_000, 1000):
            names = [f"q{number}" for number in range(first, first + 1000)]
            here.wakeups.received(json.dumps({"g": "stranger", "w": [*names, "x" * 1000]}))
            clock.now += 0.1
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()
    here.wakeups.sent(["jobs"])
    assert here.sends() == [{"s": ["jobs"]}]
    assert here.counters.dropped_notifications == 0


def test_41_a47_notifications_above_the_budget_are_not_read(clock: Clock, here: Process) -> None:
    here.wakeups.wanted("jobs")
    per_second = wakeups.BYTES_PER_SECOND / (len('{"s": ["jobs"]}') + wakeups.OVERHEAD_BYTES)
    burst = int(per_second * wakeups.BURST_SECONDS)
    for _ in range(burst + 1000):
        here.wakeups.received('{"s": ["jobs"]}')
    assert len(here.woken) == pytest.approx(burst, abs=1)
    assert here.counters.dropped_notifications == pytest.approx(1000, abs=1)
    clock.now += 1
    before = len(here.woken)
    for _ in range(burst):
        here.wakeups.received('{"s": ["jobs"]}')
    assert len(here.woken) - before == pytest.approx(per_second, abs=1)


def test_41_a47_a_notification_causes_no_notification_except_for_greetings(here: Process, elsewhere: Process) -> None:
    for process in (here, elsewhere):
        process.wakeups.wanted("jobs")
        process.wakeups.greet()
    exchange(here, elsewhere)
    here.wakeups.received('{"g": "stranger", "w": ["jobs"], "s": ["jobs"]}')
    here.wakeups.received('{"s": ["jobs"]}')
    assert here.sends() == []


def test_announced_queues_without_waiters_are_forgotten_beyond_a_bound(here: Process) -> None:
    for queue in named(MAX_QUEUES + 5, 5):
        here.wakeups.wanted(queue)
        here.sends()
        here.wakeups.unwanted(queue)
    here.wakeups.wanted("00000")
    assert here.sends() == []
    here.wakeups.wanted(f"{MAX_QUEUES + 4:05}")
    assert len(here.sends()) == 1


@given(queues=st.sets(st.text(min_size=1, max_size=61), max_size=600))
def test_each_queue_is_in_one_notification_of_allowed_size(queues: set[str]) -> None:
    here = Process(Clock())
    for queue in queues:
        here.wakeups.wanted(queue)
    payloads = here.wakeups.outgoing()
    assert all(len(payload.encode()) <= MAX_PAYLOAD_BYTES for payload in payloads)
    assert all(payload.isascii() for payload in payloads)
    announced = sorted(queue for payload in payloads for queue in json.loads(payload)["w"])
    assert announced == sorted(filter(can_be_queue, queues))


def test_a49_a_text_that_cannot_be_a_queue_is_not_reported(here: Process) -> None:
    """A notification with it would be too long, and one too long would lose all others."""
    queues = [MAX_PAYLOAD_BYTES * "a", "jobs"]
    here.wakeups.received(json.dumps({"g": "stranger", "w": queues}))
    here.wakeups.sent(queues)
    assert here.sends() == [{"s": ["jobs"]}]


def test_ten_thousand_queues_are_announced_in_few_notifications(here: Process) -> None:
    for queue in named(10_000, 12):
        here.wakeups.wanted(queue)
    payloads = here.wakeups.outgoing()
    assert len(payloads) == 20
    receiver = Process(Clock())
    for payload in payloads:
        receiver.wakeups.received(payload)
    assert receiver.counters.dropped_notifications == 0
