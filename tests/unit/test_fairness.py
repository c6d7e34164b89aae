"""Fair queueing of calls, with a fake clock."""

import asyncio
from collections.abc import Hashable

import msgspec
import pytest

from pgmq_gateway.activity import RECENT_SECONDS
from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.call import executable
from pgmq_gateway.calls.fairness import MAX_RESTING, FairQueue
from pgmq_gateway.calls.grouping import Group
from pgmq_gateway.calls.running_groups import QUICK_GROUP_SECONDS
from pgmq_gateway.calls.waiting import WaitingCall
from pgmq_gateway.http.exchange import ClientGone
from pgmq_gateway.http.request import RequestSettings
from tests.clock import Clock

PLACES = 1000
CALLER = Caller("anon", "{}", anonymous=True)


class Bench:
    """A fair queue, and connections that run what it hands out."""

    def __init__(self, size: int) -> None:
        self.clock = Clock()
        self.queue = FairQueue(size, PLACES, self.clock)
        self.free = size

    def call(self, flow: Hashable, queue: str | None = None, group: Group | None = None) -> WaitingCall:
        """A call that waits."""
        call = executable("public", RequestSettings("POST", "/", "{}", "{}"))
        waiting = WaitingCall(CALLER, call, self.queue.flow(flow), self.queue.lane(queue), group, 0)
        waiting.future = asyncio.get_running_loop().create_future()
        self.queue.add(waiting)
        return waiting

    def calls(self, number: int, flow: Hashable, queue: str | None = None) -> list[WaitingCall]:
        return [self.call(flow, queue) for _ in range(number)]

    def start(self) -> list[WaitingCall]:
        """Start waiting calls on the free connections."""
        started = []
        while self.free and (call := self.queue.take()) is not None:
            self.free -= 1
            self.queue.start([call])
            started.append(call)
        return started

    def start_group(self, queue: str) -> list[WaitingCall]:
        """Start two calls as a group."""
        self.call("ann", queue, Group(CALLER, queue, "send"))
        other = self.call("ann", queue, Group(CALLER, queue, "send"))
        first = self.queue.take()
        assert first is not None
        self.queue.took(other)
        self.queue.start([first, other])
        self.free -= 1
        return [first, other]

    def end(self, call: WaitingCall, seconds: float, *others: WaitingCall) -> None:
        self.free += 1
        self.queue.end([call, *others], seconds)

    def run(self, seconds: dict[Hashable, float], turns: int) -> list[Hashable]:
        """The flows of so many calls on one connection, each of which takes the time of its flow."""
        order = []
        for _ in range(turns):
            (call,) = self.start()
            order.append(call.flow.key)
            self.end(call, seconds[call.flow.key])
        return order


async def test_calls_of_one_flow_run_in_order_of_arrival() -> None:
    bench = Bench(1)
    calls = [bench.call("ann", queue) for queue in ("a", "b", "a", None, "b")]
    started = []
    for _ in calls:
        started += bench.start()
        bench.end(started[-1], 0.5)
    assert started == calls


async def test_flows_get_equal_time_not_equal_numbers_of_calls() -> None:
    bench = Bench(1)
    bench.calls(100, "slow")
    bench.calls(100, "fast")
    order = bench.run({"slow": 0.1, "fast": 0.01}, 66)
    assert 5 <= order.count("slow") <= 8


async def test_an_idle_flow_gains_no_credit() -> None:
    bench = Bench(1)
    bench.calls(50, "ann")
    bench.run({"ann": 1}, 20)
    bench.calls(20, "bob")
    order = bench.run({"ann": 1, "bob": 1}, 20)
    assert order[0] == "bob"
    assert 9 <= order.count("bob") <= 11


async def test_a_flow_that_waited_less_than_it_used_is_not_forgotten_while_others_run() -> None:
    bench = Bench(1)
    bench.calls(1, "ann")
    bench.calls(20, "bob")
    bench.run({"ann": 1, "bob": 0.1}, 3)
    bench.calls(1, "ann")
    assert bench.run({"ann": 1, "bob": 0.1}, 5) == ["bob"] * 5


@pytest.mark.parametrize("size", [1, 2, 3, 10])
async def test_a_flow_that_is_alone_uses_all_connections(size: int) -> None:
    bench = Bench(size)
    calls = bench.calls(size + 1, "ann")
    assert bench.start() == calls[:size]


async def test_a_flow_leaves_connections_to_others_that_were_active_lately() -> None:
    bench = Bench(10)
    bench.calls(1, "bob")
    bench.run({"bob": 0.1}, 1)
    bench.calls(20, "ann")
    assert len(bench.start()) == 8
    (bob,) = bench.calls(1, "bob")
    assert bench.start() == [bob]
    bench.end(bob, 0.1)
    assert bench.start() == []
    assert bench.queue.limited_until == bench.clock.now + RECENT_SECONDS
    bench.clock.now += RECENT_SECONDS
    bench.queue.reconsider()
    assert len(bench.start()) == 2


async def test_calls_that_ended_at_the_limit_of_their_flow_do_not_hold_back_others() -> None:
    bench = Bench(10)
    bench.calls(1, "bob")
    bench.run({"bob": 0.1}, 1)
    bench.calls(8, "ann")
    late, waiting = bench.call("ann", "a"), bench.call("ann", "b")
    assert len(bench.start()) == 8
    late.future.cancel()
    bench.queue.remove(late)
    bench.clock.now += RECENT_SECONDS
    bench.queue.reconsider()
    assert bench.start() == [waiting]


@pytest.mark.parametrize("size", [3, 4, 10])
async def test_beside_others_a_locked_queue_does_not_stop_the_other_calls_of_a_flow(size: int) -> None:
    bench = Bench(size)
    bench.calls(1, "bob")
    bench.run({"bob": 0.1}, 1)
    bench.calls(20, "ann", "locked")
    locked = bench.start()
    (other,) = bench.calls(1, "ann", "other")
    assert bench.start() == [other]
    bench.end(other, 0.1)
    (bob,) = bench.calls(1, "bob")
    assert bench.start() == [bob]
    bench.end(locked.pop(), 1)
    assert len(bench.start()) == 1


@pytest.mark.parametrize(("size", "share"), [(1, 1), (2, 1), (3, 2), (4, 3), (10, 8), (100, 75)])
async def test_one_queue_leaves_connections_to_others(size: int, share: int) -> None:
    bench = Bench(size)
    busy = bench.calls(2 * size, "ann", "locked")
    bench.calls(5, "bob", "locked")
    assert len(bench.start()) == share
    others = [*bench.calls(1, "ann", "other"), *bench.calls(1, "bob", "third")]
    started = bench.start()
    assert len(started) == min(2, size - share)
    assert set(started) <= set(others)
    bench.end(busy[0], 1)
    assert len(bench.start()) == 1


async def test_both_limits_together_keep_no_connection_idle() -> None:
    """In every order of ends, a free connection runs each call that no limit holds back."""
    bench = Bench(4)
    for flow in "abc":
        for queue in ("q", "r", None):
            bench.calls(7, flow, queue)
    running = bench.start()
    done = 0
    while running:
        assert len(running) == min(4, 63 - done) or not bench.queue.ready
        done += 1
        bench.end(running.pop(done * 7 % len(running)), 0.01 * (done % 5))
        running += bench.start()
        if not running:
            bench.clock.now += RECENT_SECONDS
            bench.queue.reconsider()
            running = bench.start()
    assert (done, bench.queue.waiting) == (63, 0)


async def test_a_call_of_a_client_that_has_gone_is_not_taken() -> None:
    bench = Bench(1)
    first, second = bench.calls(2, "ann")
    first.call = msgspec.structs.replace(first.call, abandoned=lambda: True)
    assert bench.start() == [second]
    assert isinstance(first.future.exception(), ClientGone)


async def test_one_flow_cannot_take_all_places() -> None:
    bench = Bench(1)
    while bench.queue.has_place(bench.queue.flow("ann")):
        bench.call("ann")
    assert bench.queue.waiting == PLACES * 3 // 4
    while bench.queue.has_place(bench.queue.flow("bob")):
        bench.call("bob")
    assert PLACES * 3 // 4 + PLACES // 8 < bench.queue.waiting < PLACES
    assert bench.queue.has_place(bench.queue.flow("eve"))


async def test_what_strangers_leave_is_bounded() -> None:
    bench = Bench(2)
    bench.calls(1, "ann")
    (kept,) = bench.start()
    for n in range(MAX_RESTING + 100):
        bench.calls(1, n, f"queue {n}")
        (call,) = bench.start()
        bench.end(call, 0.001)
    assert len(bench.queue._flows) <= MAX_RESTING + 2
    assert len(bench.queue._lanes) <= 2
    bench.end(kept, 1)
    assert not bench.queue._flows


async def test_calls_that_end_while_they_wait_leave_nothing() -> None:
    bench = Bench(2)
    bench.calls(1, "ann")
    (kept,) = bench.start()
    for _ in range(1000):
        call = bench.call("bob", "q")
        call.end(TimeoutError())
        call.future.exception()
        bench.queue.remove(call)
    assert bench.queue.waiting == 0
    assert len(bench.queue._ready) < 100
    assert bench.start() == []
    bench.end(kept, 1)


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_calls_wait_for_groups_of_their_queue_the_longer_those_take_the_less(number: int) -> None:
    bench = Bench(10)
    first, other = bench.start_group("jobs")
    bench.end(first, QUICK_GROUP_SECONDS * (number - 0.5), other)
    groups = [bench.start_group("jobs") for _ in range(number)]
    of_group = bench.call("ann", "jobs", Group(CALLER, "jobs", "send"))
    others = [
        bench.call("bob", "jobs"),
        bench.call("eve", "mail", Group(CALLER, "mail", "send")),
        bench.call("eve", "jobs", Group(CALLER, "jobs", "read")),
    ]
    assert bench.start() == others
    bench.end(groups[0][0], QUICK_GROUP_SECONDS * (number - 0.5), groups[0][1])
    assert bench.start() == [of_group]


async def test_calls_wait_for_a_running_group_only_as_long_as_it_is_quick() -> None:
    bench = Bench(10)
    first, other = bench.start_group("jobs")
    bench.end(first, QUICK_GROUP_SECONDS / 2, other)
    began = bench.clock()
    bench.start_group("jobs")
    calls = [bench.call(flow, "jobs", Group(CALLER, "jobs", "send")) for flow in ("ann", "bob")]
    assert bench.start() == []
    assert bench.queue.limited_until == began + QUICK_GROUP_SECONDS
    bench.clock.now += QUICK_GROUP_SECONDS
    bench.queue.reconsider()
    assert set(bench.start()) == set(calls)
