"""SIGTERM and SIGINT before, during and after the service, and a shutdown that is hurried."""

import asyncio
import signal
from collections.abc import Iterator

import pytest

from pgmq_gateway.http.asgi import Receive, Scope, Send
from pgmq_gateway.http.server import server_for
from pgmq_gateway.http.sockets import bind
from pgmq_gateway.process.signals import STOP_SIGNALS, StopSignals, handled

HANDLED = (*STOP_SIGNALS, signal.SIGUSR2)


@pytest.fixture
def signals() -> Iterator[StopSignals]:
    former = {number: signal.getsignal(number) for number in HANDLED}
    yield StopSignals().install()
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_before_the_event_loop_ends_the_process(number: signal.Signals) -> None:
    with pytest.raises(SystemExit) as ended:
        signal.raise_signal(number)
    assert ended.value.code == 0


@pytest.mark.parametrize("number", STOP_SIGNALS)
async def test_signals_before_the_service_cancel_the_start_once(signals: StopSignals, number: signal.Signals) -> None:
    ended = []

    async def start() -> None:
        with signals.cancelling():
            signal.raise_signal(number)
            try:
                await asyncio.sleep(600)
            finally:
                signal.raise_signal(number)
                await asyncio.sleep(0.01)
                ended.append("as it should")

    starting = asyncio.create_task(start())
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert ended == ["as it should"]


async def test_signals_reach_the_service_and_nothing_after_it(signals: StopSignals) -> None:
    received: list[None] = []
    with signals.cancelling():
        with signals.calling(lambda: received.append(None)):
            for number in STOP_SIGNALS:
                signal.raise_signal(number)
            await asyncio.sleep(0.01)
        assert len(received) == 2
        for number in STOP_SIGNALS:
            signal.raise_signal(number)
        await asyncio.sleep(0.01)
    assert len(received) == 2


@pytest.mark.usefixtures("signals")
async def test_other_signals_are_ignored_after_the_service() -> None:
    received = asyncio.Event()
    with handled({signal.SIGUSR2: received.set}):
        signal.raise_signal(signal.SIGUSR2)
        await received.wait()
    signal.raise_signal(signal.SIGUSR2)


async def test_a_hurried_shutdown_ends_the_lifespan_and_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING")
    told: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "lifespan"
        for _ in range(2):
            told.append((await receive())["type"])
            await send({"type": f"{told[-1]}.complete"})

    server = server_for(app, lifespan="on")
    # As after two signals.
    server.should_exit = server.force_exit = True
    await server.serve([bind("127.0.0.1", 0)])
    assert told == ["lifespan.startup", "lifespan.shutdown"]
    assert caplog.text == ""
