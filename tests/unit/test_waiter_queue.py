"""The order in which waiters attempt their calls, with a fake clock."""

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.call import Answer, Call, executable
from pgmq_gateway.errors import PoolTimeout, Unavailable
from pgmq_gateway.http.request import RequestSettings
from pgmq_gateway.schemas import LEASES, QUEUES
from pgmq_gateway.waiting.clock import Clock
from pgmq_gateway.waiting.counters import Counters
from pgmq_gateway.waiting.outage import PART, PAUSE_SECONDS, Outage
from pgmq_gateway.waiting.policy_probe import Sighting
from pgmq_gateway.waiting.queue_names import UNKNOWN
from pgmq_gateway.waiting.queue_probe import QueueProbe, QueueState
from pgmq_gateway.waiting.waiter import Waiter
from pgmq_gateway.waiting.waiter_group import WaiterGroup
from pgmq_gateway.waiting.waiter_queue import Sources, WaiterQueue
from pgmq_gateway.waiting.waiters import GroupKey, Waiters

EMPTY = Answer(None, 0, "[]")
STATE = QueueState(
    exists=True,
    probed=True,
    visible=0,
    newest=None,
    next_at=None,
    grouped=False,
    paused=False,
    policies=False,
    throttle=0,
)


class Timer:
    """A call at a time."""

    def __init__(self, when: float, callback: Callable[[], object]) -> None:
        self._when = when
        self.callback = callback
        self.cancelled = False

    def when(self) -> float:
        return self._when

    def cancel(self) -> None:
        self.cancelled = True


class Timers:
    """Timers that go off when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pending: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        timer = Timer(when, callback)
        self.pending.append(timer)
        return cast(asyncio.TimerHandle, timer)

    def advance(self, seconds: float) -> None:
        """Let time pass, and call what is due."""
        end = self.now + seconds
        while due := [timer for timer in self.pending if not timer.cancelled and timer.when() <= end]:
            timer = min(due, key=Timer.when)
            self.pending.remove(timer)
            self.now = max(self.now, timer.when())
            timer.callback()
        self.now = end


class Outside:
    """Other parts of the gateway, which record the requests of a waiter queue."""

    def __init__(self) -> None:
        self.looks: list[str] = []
        self.wanted: list[str] = []
        self.unwanted: list[str] = []
        self.asked_again: list[int] = []
        self.judged: object = "no policy reads requests"
        # The results of the next probes of the policies.
        self.sightings: list[Sighting[WaiterGroup] | None] = []
        self.sources = cast(
            Sources,
            SimpleNamespace(
                clock=SimpleNamespace(look=self.looks.append),
                wakeups=SimpleNamespace(wanted=self.wanted.append, unwanted=self.unwanted.append),
                policies=SimpleNamespace(
                    forget=lambda _: None,
                    unfinished=lambda _: False,
                    ask_again=lambda _, groups: self.asked_again.append(len(groups)),
                    seeing=self.seeing,
                    judged=lambda _: self.judged,
                ),
            ),
        )

    async def seeing(self, _queue: str, _waiting: object) -> Sighting[WaiterGroup] | None:
        return self.sightings.pop(0)


class Bench:
    """A waiter queue with groups."""

    def __init__(self) -> None:
        self.timers = Timers()
        self.outside = Outside()
        self.outage = Outage(lambda: self.timers)
        self.queue = WaiterQueue("jobs", self.timers, self.outside.sources)

    def group(
        self, caller: str = "worker", schema: str = "public", *others: WaiterQueue, reads_requests: bool = False
    ) -> WaiterGroup:
        call = executable(schema, RequestSettings("POST", "/", "{}", "{}"))
        key = GroupKey(
            Caller(caller, f'{{"sub": "{caller}"}}', anonymous=False),
            call.request if reads_requests else None,
            call.function,
            call.statement,
            call.representation,
            None,
            None,
        )
        # Groups that were woken at the same time have no order.
        self.timers.advance(0.0001)
        group = WaiterGroup(key, [self.queue, *others], self.timers, self.outage)
        for queue in group.queues:
            queue.add(group)
        return group

    def users(self, number: int) -> list[Waiter]:
        """Waiters of as many callers, in a group each."""
        return [self.idle(1, self.group(f"user {place}"))[0] for place in range(number)]

    async def sight(self, *sightings: tuple[int, list[Waiter]] | None) -> None:
        """Wake the queue, and let probes find that these waiters see so many messages."""
        for sighting in sightings:
            groups = frozenset(waiter.group for waiter in sighting[1]) if sighting else frozenset[WaiterGroup]()
            self.outside.sightings.append(Sighting(groups, sighting[0]) if sighting else None)
        self.queue.wake()
        await self.probes()

    async def probes(self) -> None:
        """Let probes that were asked for end."""
        this = asyncio.current_task()
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not this))

    def idle(self, number: int, group: WaiterGroup | None = None) -> list[Waiter]:
        """Waiters of a group whose first attempt found nothing."""
        group = group or self.group()
        first = group.enter(call())
        miss(first)
        return [first, *(group.enter(call()) for _ in range(number - 1))]


def call() -> Call:
    return executable("public", RequestSettings("POST", "/", "{}", "{}"))


def attempting(waiters: list[Waiter]) -> list[int]:
    return [number for number, waiter in enumerate(waiters) if waiter.attempting]


def miss(*waiters: Waiter) -> None:
    for waiter in waiters:
        waiter.group.missed(waiter, EMPTY)


def find(waiter: Waiter, *, more: bool = False) -> None:
    waiter.group.found(waiter, 1, more=more)
    waiter.group.leave(waiter)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_only_the_first_call_of_a_group_is_attempted_on_arrival(bench: Bench) -> None:
    group = bench.group()
    first, second = group.enter(call()), group.enter(call())
    # Nothing is known yet.
    assert first.attempting
    assert second.attempting
    miss(first, second)
    assert not group.enter(call()).attempting
    bench.queue.wake(2)
    assert (first.attempting, second.attempting) == (True, True)


def test_a_wakeup_wakes_as_many_as_it_has_messages_in_order(bench: Bench) -> None:
    waiters = bench.idle(5)
    bench.queue.wake(2)
    assert attempting(waiters) == [0, 1]
    find(waiters[0])
    find(waiters[1])
    bench.queue.wake()
    assert attempting(waiters[2:]) == [0]


def test_at_most_32_waiters_are_woken(bench: Bench) -> None:
    waiters = bench.idle(40)
    bench.queue.wake(100_000)
    assert attempting(waiters) == list(range(32))


def test_a_full_read_wakes_the_next(bench: Bench) -> None:
    waiters = bench.idle(3)
    bench.queue.wake()
    find(waiters[0], more=True)
    assert attempting(waiters) == [1]
    miss(waiters[1])
    assert attempting(waiters) == []
    # That was no wake-up in vain.
    bench.queue.wake()
    assert attempting(waiters) == [1]


def test_a_waiter_without_messages_returns_to_the_head(bench: Bench) -> None:
    waiters = bench.idle(2)
    bench.queue.wake()
    miss(waiters[0])
    bench.timers.advance(1)
    bench.queue.wake()
    assert attempting(waiters) == [0]


def test_a_wakeup_during_an_attempt_repeats_it_at_once(bench: Bench) -> None:
    first = bench.group().enter(call())
    bench.queue.wake()
    miss(first)
    assert first.attempting


def test_a_group_woken_in_vain_rests_longer_each_time(bench: Bench) -> None:
    (waiter,) = bench.idle(1)
    pauses = []
    for _ in range(8):
        began = bench.timers.now
        while not waiter.attempting:
            bench.queue.wake(32)
            bench.timers.advance(0.005)
        pauses.append(bench.timers.now - began)
        miss(waiter)
    assert pauses == pytest.approx([0, 0.05, 0.1, 0.2, 0.4, 0.8, 1, 1], abs=0.011)


def test_wakeups_during_attempts_in_vain_do_not_spin(bench: Bench) -> None:
    (waiter,) = bench.idle(1)
    bench.queue.wake()
    attempts = 0
    for _ in range(1000):
        bench.queue.wake()
        if waiter.attempting:
            attempts += 1
            miss(waiter)
        bench.timers.advance(0.005)
    assert attempts <= 12


def test_a_message_ends_the_rest(bench: Bench) -> None:
    first, second = bench.idle(2)
    bench.queue.wake()
    miss(first)
    bench.queue.wake()
    assert attempting([first, second]) == []
    bench.timers.advance(0.05)
    find(first)
    bench.queue.wake()
    assert second.attempting


def test_one_waiter_tries_after_a_rest(bench: Bench) -> None:
    waiters = bench.idle(5)
    bench.queue.wake()
    miss(waiters[0])
    bench.queue.wake(5)
    bench.timers.advance(0.1)
    assert attempting(waiters) == [0]


def test_attempts_of_one_wakeup_in_vain_count_once(bench: Bench) -> None:
    waiters = bench.idle(20)
    bench.queue.wake(20)
    miss(*waiters)
    bench.queue.wake()
    bench.timers.advance(0.05)
    assert len(attempting(waiters)) == 1


def test_a_waiter_that_leaves_passes_its_turn_on(bench: Bench) -> None:
    waiters = bench.idle(3)
    bench.queue.wake()
    waiters[0].group.leave(waiters[0])
    assert attempting(waiters[1:]) == [0]


def test_an_attempt_is_postponed(bench: Bench) -> None:
    (waiter,) = bench.idle(1)
    bench.queue.wake()
    waiter.group.postpone(waiter, PoolTimeout(), 2)
    bench.timers.advance(1.9)
    assert not waiter.attempting
    bench.timers.advance(0.1)
    assert waiter.attempting


def test_a_waiter_whose_time_is_up_gets_the_last_outcome(bench: Bench) -> None:
    first, second = bench.idle(2)
    second.end()
    assert second.group.result(second) == EMPTY
    bench.queue.wake()
    error = PoolTimeout()
    first.group.postpone(first, error, 1)
    with pytest.raises(PoolTimeout):
        first.group.result(first)


def test_what_an_answer_says_to_one_client_is_not_said_to_another(bench: Bench) -> None:
    group = bench.group()
    own = msgspec.structs.replace(EMPTY, headers='[{"Set-Cookie": "sid=1"}]', status="202")
    first, second = group.enter(call()), group.enter(call())
    group.missed(first, own)
    third = group.enter(call())
    assert not third.attempting
    group.missed(second, EMPTY)
    assert group.result(first) == own
    assert group.result(second) == EMPTY
    group.leave(second)
    bench.queue.wake()
    miss(first)
    assert group.result(third) == EMPTY


def test_during_an_outage_one_group_tries_each_second(bench: Bench) -> None:
    """The others are held, and go on afterwards, a few at a time."""
    waiters = [bench.idle(1, bench.group(f"user {number}"))[0] for number in range(50)]
    waiters[0].group.wake()
    waiters[0].group.hold(waiters[0], Unavailable())
    for number in range(60):
        bench.queue.wake_each()
        assert attempting(waiters) == []
        bench.timers.advance(PAUSE_SECONDS)
        assert attempting(waiters) == [number % 50]
        waiter = waiters[number % 50]
        waiter.group.hold(waiter, Unavailable())
    with pytest.raises(Unavailable):
        waiters[49].group.result(waiters[49])
    bench.timers.advance(PAUSE_SECONDS)
    bench.outage.end()
    miss(waiters[10])
    bench.timers.advance(0)
    # It was woken meanwhile, so it tries once more.
    assert attempting(waiters).index(10) == 0
    assert len(attempting(waiters)) == 1 + PART
    bench.timers.advance(PAUSE_SECONDS)
    assert attempting(waiters) == list(range(50))


def test_a_full_pool_pauses_only_the_groups_that_met_it(bench: Bench) -> None:
    """Longer each time, and one attempt follows."""
    flood = [bench.idle(32, bench.group(f"user {number}")) for number in range(50)]
    other = WaiterQueue("other", bench.timers, bench.outside.sources)
    victim, own = bench.idle(2, WaiterGroup(flood[0][0].group.key, [other], bench.timers, bench.outage))
    other.add(victim.group)
    for waiters in flood:
        waiters[0].group.wake(32)
        for waiter in waiters:
            waiter.group.pause(waiter, PoolTimeout())
    other.wake(2, sent=True)
    assert attempting([victim, own]) == [0, 1]
    miss(own)
    victim.group.pause(victim, PoolTimeout())
    # Its own attempt was served.
    assert own.group.result(own) == EMPTY
    tries = []
    for _ in range(31):
        bench.queue.wake_each()
        bench.timers.advance(1)
        trying = [waiter for waiters in flood for waiter in waiters if waiter.attempting]
        tries.append(len(trying))
        for waiter in trying:
            waiter.group.pause(waiter, PoolTimeout())
    assert [number for number, count in enumerate(tries, 1) if count] == [1, 3, 7, 15, 23, 31]
    assert set(tries) == {0, 50}


def test_a_served_attempt_ends_the_pauses(bench: Bench) -> None:
    first, second = bench.idle(2)
    for seconds in (1, 2):
        bench.queue.wake(2)
        for waiter in (first, second):
            if waiter.attempting:
                waiter.group.pause(waiter, PoolTimeout())
        bench.timers.advance(seconds)
    find(first, more=True)
    assert second.attempting
    second.group.pause(second, PoolTimeout())
    bench.timers.advance(1)
    assert second.attempting


def test_a_rate_limited_group_does_not_hold_up_the_others_during_an_outage(bench: Bench) -> None:
    """The next one tries at once, but each group no earlier than its own limit allows."""
    limited, other = bench.users(50), bench.users(1)[0]
    bench.outage.begin(Unavailable())
    for waiter in (*limited, other):
        waiter.group.wake()
    bench.timers.advance(PAUSE_SECONDS)
    for number in range(50):
        assert attempting(limited) == [number]
        assert not other.attempting
        limited[number].group.postpone(limited[number], PoolTimeout(), 5)
        bench.timers.advance(0)
    assert other.attempting
    other.group.hold(other, Unavailable())
    bench.timers.advance(4)
    assert attempting(limited) == []
    assert other.attempting


def test_groups_of_one_caller_are_woken_in_turn(bench: Bench) -> None:
    groups = [bench.group() for _ in range(3)]
    waiters = [bench.idle(1, group)[0] for group in groups]
    bench.timers.advance(1)
    bench.queue.wake()
    assert attempting(waiters) == [0]
    # It finds nothing, so the next ones are tried.
    miss(waiters[0])
    bench.timers.advance(0.02)
    assert attempting(waiters) == [1]
    find(waiters[1])
    bench.timers.advance(1)
    assert attempting(waiters) == []
    bench.queue.wake(3)
    assert attempting([waiters[0], waiters[2]]) == [0, 1]


def test_what_a_group_of_two_queues_finds_in_one_takes_no_turn_of_the_other(bench: Bench) -> None:
    other = WaiterQueue("other", bench.timers, bench.outside.sources)
    (both,) = bench.idle(1, bench.group("worker", "public", other))
    (one,) = bench.idle(1, bench.group())
    other.wake()
    bench.queue.wake()
    find(both)
    bench.timers.advance(0.1)
    assert one.attempting


def test_many_groups_are_woken_at_a_limited_rate(bench: Bench) -> None:
    waiters = [bench.idle(1, bench.group(f"user {number}"))[0] for number in range(1000)]
    for _ in range(100):
        bench.queue.wake()
        miss(*(waiter for waiter in waiters if waiter.attempting))
    attempts = 0
    for _ in range(100):
        bench.queue.wake()
        bench.timers.advance(0.01)
        attempts += len(attempting(waiters))
        miss(*(waiter for waiter in waiters if waiter.attempting))
    assert 40 <= attempts <= 55


def test_a_look_wakes_for_a_new_message(bench: Bench) -> None:
    waiters = [bench.idle(1, bench.group(f"user {number}"))[0] for number in range(40)]
    seen = STATE._replace(visible=1, newest=5.0)
    assert bench.queue.observe(seen)
    bench.timers.advance(1)
    miss(*(waiter for waiter in waiters if waiter.attempting))
    bench.timers.advance(10)
    miss(*(waiter for waiter in waiters if waiter.attempting))
    bench.timers.advance(10)
    assert not bench.queue.observe(seen)
    assert bench.queue.observe(seen._replace(newest=6.0))


def test_a_look_wakes_a_few_groups_each_time(bench: Bench) -> None:
    (waiter,) = bench.idle(1)
    for _ in range(3):
        bench.timers.advance(10)
        bench.queue.observe(STATE._replace(visible=1, newest=5.0))
        assert waiter.attempting
        miss(waiter)


def test_a_queue_that_cannot_be_looked_at_is_tried_at_a_limited_rate(bench: Bench) -> None:
    waiters = bench.users(200)
    for _ in range(10):
        assert bench.queue.observe(STATE._replace(probed=False))
        bench.timers.advance(0.1)
    assert 1 <= len(attempting(waiters)) <= 60


def test_a_timer_wakes_when_the_next_message_is_due(bench: Bench) -> None:
    (waiter,) = bench.idle(1)
    bench.queue.observe(STATE._replace(next_at=30.0))
    bench.queue.wake_later(5)
    bench.queue.wake_later(20)
    bench.timers.advance(4.9)
    assert not waiter.attempting
    bench.timers.advance(0.1)
    assert waiter.attempting
    assert len(bench.outside.looks) == 2


def test_a_dropped_queue_wakes_all_groups_once(bench: Bench) -> None:
    waiters = [bench.idle(1, bench.group(f"user {number}"))[0] for number in range(40)]
    bench.queue.observe(STATE)
    bench.queue.observe(STATE._replace(exists=False))
    assert len(attempting(waiters)) == 40
    miss(*waiters)
    bench.timers.advance(1)
    assert not bench.queue.observe(STATE._replace(exists=False))


def test_a_paused_queue_wakes_nobody_until_it_is_resumed(bench: Bench) -> None:
    (waiter,) = bench.idle(1, bench.group(schema=LEASES))
    seen = STATE._replace(visible=1, newest=5.0)
    bench.queue.observe(seen._replace(paused=True))
    assert not waiter.attempting
    bench.queue.observe(seen)
    assert waiter.attempting


def test_functions_that_ignore_a_pause_are_woken(bench: Bench) -> None:
    (waiter,), (pausing,) = (bench.idle(1, bench.group(schema, schema)) for schema in (QUEUES, LEASES))
    seen = STATE._replace(visible=1, newest=5.0, next_at=30.0, paused=True)
    for _ in range(2):
        bench.timers.advance(2)
        bench.queue.observe(seen)
        assert waiter.attempting
        miss(waiter)
        if pausing.attempting:
            miss(pausing)
    # Also when a delayed message becomes visible.
    bench.queue.observe(STATE._replace(next_at=30.0, paused=True))
    bench.timers.advance(31)
    assert waiter.attempting


def test_a_rest_has_a_longest_length(bench: Bench) -> None:
    (waiter,) = bench.idle(1)
    for _ in range(1100):
        bench.queue.wake()
        miss(waiter)
        bench.timers.advance(1)
        assert not waiter.attempting


def test_a_send_is_not_held_up_by_traffic_for_others(bench: Bench) -> None:
    (waiter,) = bench.idle(1)
    bench.queue.observe(STATE)
    for _ in range(40):
        bench.queue.wake()
        bench.timers.advance(0.05)
        if waiter.attempting:
            miss(waiter)
    # It rests for a second now. Sends in vain do not prolong that.
    attempts = 0
    for _ in range(100):
        bench.queue.wake(sent=True)
        bench.timers.advance(0.01)
        if waiter.attempting:
            attempts += 1
            miss(waiter)
    assert 15 <= attempts <= 21


@pytest.mark.parametrize("hides", [{"policies": True}, {"paused": True}, {"grouped": True}])
async def test_a_send_to_a_queue_that_may_hide_it_is_a_hint(bench: Bench, hides: dict[str, bool]) -> None:
    (waiter,) = bench.idle(1)
    bench.queue.observe(STATE._replace(**hides))
    attempts = 0
    for _ in range(1000):
        bench.outside.sightings = [Sighting(frozenset(), 0)]
        bench.queue.wake(sent=True)
        await bench.probes()
        if waiter.attempting:
            attempts += 1
            miss(waiter)
        bench.timers.advance(0.005)
    assert attempts <= 12


async def test_a_sighting_ends_a_rest(bench: Bench) -> None:
    waiters = bench.users(2)
    bench.queue.observe(STATE._replace(policies=True))
    for _ in range(10):
        await bench.sight(None)
        bench.timers.advance(1)
        miss(*(waiter for waiter in waiters if waiter.attempting))
    await bench.sight((1, waiters[1:]))
    bench.timers.advance(0.05)
    assert attempting(waiters) == [1]


async def test_policies_are_judged_for_one_caller_too(bench: Bench) -> None:
    waiters = [bench.idle(1, bench.group())[0] for _ in range(2)]
    bench.queue.observe(STATE._replace(policies=True))
    bench.outside.judged = None
    await bench.sight((1, waiters[1:]))
    assert attempting(waiters) == [1]
    find(waiters[1])
    bench.outside.judged = "no policy reads requests"
    bench.queue.wake()
    assert attempting(waiters[:1]) == [0]


async def test_groups_that_see_a_message_come_before_earlier_turns(bench: Bench) -> None:
    waiters = bench.users(1000)
    bench.queue.wake()
    find(waiters[0])
    bench.timers.advance(1)
    bench.queue.observe(STATE._replace(policies=True))
    await bench.sight((1, waiters[300:305]))
    assert attempting(waiters) == [300]


async def test_one_caller_with_many_groups_delays_no_other(bench: Bench) -> None:
    busy = [bench.idle(1, bench.group("busy"))[0] for _ in range(400)]
    (other,) = bench.idle(1, bench.group("other"))
    bench.queue.observe(STATE._replace(policies=True))
    await bench.sight((2, [*busy, other]))
    assert other.attempting
    assert attempting(busy) == [0]
    # Its other groups are woken in turn, until one finds its message.
    find(other)
    miss(busy[0])
    bench.timers.advance(0.1)
    assert attempting(busy) == [1, 2, 3, 4, 5]
    find(busy[3])
    bench.timers.advance(1)
    assert attempting(busy) == [1, 2, 4, 5]


async def test_groups_that_wait_for_their_turn_are_asked_again(bench: Bench) -> None:
    waiters = [bench.idle(1, bench.group("busy"))[0] for _ in range(3)]
    bench.users(1)
    bench.queue.observe(STATE._replace(policies=True))
    await bench.sight((1, waiters))
    assert attempting(waiters) == [0]
    # The message of another group must not take their turn.
    await bench.sight((2, waiters))
    assert bench.outside.asked_again == [0, 2]
    assert attempting(waiters) == [0, 1, 2]


async def test_a_message_for_many_delays_none_for_one(bench: Bench) -> None:
    users = bench.users(200)
    bench.queue.observe(STATE._replace(policies=True))
    # All see one of two messages, only the last one sees both.
    await bench.sight((2, users))
    assert attempting(users) == [0, 1]
    bench.outside.sightings = [Sighting(frozenset([users[-1].group]), 1)]
    find(users[0])
    await bench.probes()
    assert bench.outside.asked_again == [0, 198]
    assert users[-1].attempting


def test_every_group_is_tried_in_ten_seconds_unless_the_queue_is_empty(bench: Bench) -> None:
    waiters = [bench.idle(1, bench.group(f"user {number}"))[0] for number in range(100)]
    attempted = set[int]()
    for _ in range(22):
        bench.timers.advance(1)
        bench.queue.wake_sleeping(1)
        now = attempting(waiters)
        assert len(now) <= 10
        attempted.update(now)
        miss(*(waiters[number] for number in now))
    assert len(attempted) == 100


def test_a_suppressed_notification_is_looked_for_twice(bench: Bench) -> None:
    bench.idle(1)
    bench.queue.observe(STATE._replace(throttle=0.1))
    bench.timers.advance(5)
    looks: list[Any] = bench.outside.looks
    looks.clear()
    for _ in range(5):
        bench.queue.look_again()
    bench.timers.advance(0.1)
    assert len(looks) == 1
    bench.timers.advance(5)
    assert len(looks) == 2


def test_a_notification_before_the_first_waiter_may_have_suppressed_others(bench: Bench) -> None:
    bench.idle(1)
    looks: list[Any] = bench.outside.looks
    looks.clear()
    for _ in range(5):
        bench.queue.observe(STATE._replace(throttle=2))
    bench.timers.advance(1.9)
    assert looks == []
    bench.timers.advance(0.1)
    assert looks == ["jobs"]
    bench.timers.advance(5)
    assert len(looks) == 2


async def test_a49_only_queues_that_an_attempt_has_reached_are_looked_at(bench: Bench) -> None:
    looked_at = list[str]()

    async def probe(queues: Sequence[str]) -> dict[str, QueueState]:
        looked_at.extend(queues)
        return {}

    queues = {name: WaiterQueue(name, bench.timers, bench.outside.sources) for name in ("jobs", "unseen", UNKNOWN)}
    for name in ("jobs", UNKNOWN):
        queues[name].missed()
    clock = Clock(cast(QueueProbe, SimpleNamespace(probe=probe)), Counters(), 1)
    clock.look("unseen")
    clock.look("gone")
    waiters = cast(Waiters, SimpleNamespace(queues=queues))
    for _ in range(2):
        await clock._watch_queues_once(waiters)
    assert looked_at == ["jobs"]
    assert bench.outside.wanted == ["jobs"]


def test_a_closed_queue_leaves_no_timer(bench: Bench) -> None:
    (waiter,) = bench.idle(1)
    bench.queue.wake_later(5)
    bench.queue.look_again()
    bench.queue.wake()
    miss(waiter)
    bench.queue.wake()
    waiter.group.leave(waiter)
    assert waiter.group.empty
    waiter.group.close()
    bench.queue.remove(waiter.group)
    bench.queue.close()
    assert all(timer.cancelled for timer in bench.timers.pending)
    assert bench.outside.unwanted == bench.outside.wanted == ["jobs"]
