"""Timers of waiters on the event loop that serves requests."""

import asyncio

import uvloop

from pgmq_gateway.waiting.timers import Alarm


def test_an_alarm_goes_off_at_the_earliest_time_even_if_that_has_nearly_come() -> None:
    async def times() -> int:
        loop, gone_off = asyncio.get_running_loop(), asyncio.Event()
        count = 0

        def go_off() -> None:
            nonlocal count
            count += 1
            gone_off.set()

        alarm = Alarm(loop, go_off)
        # uvloop calls back at once up to half a millisecond before the time.
        for seconds in (60, 0.0001, 0.00005, 0, 60):
            alarm.set(loop.time() + seconds)
        await gone_off.wait()
        alarm.set(loop.time() + 60)
        alarm.cancel()
        return count

    assert uvloop.run(times()) == 1
