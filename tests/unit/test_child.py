"""Supervised child processes: their restarts and their end."""

import asyncio
import socket
import subprocess
import sys
from asyncio.subprocess import PIPE, Process

import pytest

from pgmq_gateway.http.acceptor import Rank
from pgmq_gateway.process import child, supervisor
from pgmq_gateway.process.child import FIRST_RESTART_SECONDS, Child
from pgmq_gateway.process.supervisor import Worker
from pgmq_gateway.settings.model import Settings
from tests.waiting import until_async

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""
FREEZES = """
import os, signal
print("alive", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""
ENDS_WITH_PARENT = """
import asyncio, signal
from pgmq_gateway.process.child import end_with_parent
async def main():
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await end_with_parent()
    await ended.wait()
    print("ended")
asyncio.run(main())
"""


class Script(Child):
    """A child that runs a Python script. `started`: how many times."""

    name = "the script"

    def __init__(self, script: str) -> None:
        super().__init__()
        self._script = script
        self.ready = asyncio.Event()
        self.started = 0

    async def start(self) -> Process:
        self.started += 1
        return await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", self._script, stdout=PIPE)

    async def listen(self, process: Process) -> None:
        assert process.stdout is not None
        async for _ in process.stdout:
            self.ready.set()


async def test_a_process_that_has_run_for_long_restarts_soon(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(child, "HEALTHY_SECONDS", 0)

    class Failing(Script):
        async def start(self) -> Process:
            if self.started == 4:
                self.stop()
            return await super().start()

    failing = Failing("raise SystemExit(3)")
    await failing.keep()
    assert failing.started == 5
    # Without asyncio's warning: signalling a process that has just exited takes its status from asyncio.
    messages = [record.getMessage() for record in caplog.records if record.name == "pgmq_gateway"]
    delays = [float(message.split()[-2]) for message in messages]
    assert len(delays) == 4
    assert max(delays) <= 2 * FIRST_RESTART_SECONDS
    assert all(message.startswith("the script exited with status 3;") for message in messages)


async def test_a_child_that_waits_for_its_restart_can_be_stopped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(child, "FIRST_RESTART_SECONDS", 600)
    monkeypatch.setattr(child, "LONGEST_RESTART_SECONDS", 600)
    failing = Script("raise SystemExit(3)")
    keeping = asyncio.create_task(failing.keep())
    await until_async(lambda: "restarting it in 600.0 s" in caplog.text)
    failing.stop()
    await keeping
    assert failing.started == 1


async def test_a_process_that_ignores_sigterm_can_be_killed() -> None:
    stubborn = Script(STUBBORN)
    keeping = asyncio.create_task(stubborn.keep())
    await stubborn.ready.wait()
    stubborn.stop()
    stubborn.kill()
    await keeping
    assert stubborn.started == 1


async def test_a_frozen_worker_is_killed_and_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor, "TICK_SECONDS", 0.01)

    class Frozen(Worker):
        started = 0

        async def start(self) -> Process:
            self.started += 1
            return await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", FREEZES, stdout=PIPE)

    with socket.socket() as api:
        frozen = Frozen(Settings(), Rank(0, 1), api, lambda: None)
        keeping = asyncio.create_task(frozen.keep())
        await until_async(lambda: frozen.started == 2)
        frozen.stop()
        await keeping
    assert "a worker has not responded for 0.15 s; killing it" in caplog.text
    assert "a worker exited with status -9" in caplog.text


def test_a_child_ends_with_its_parent() -> None:
    # The end of its stdin is the end of the parent.
    result = subprocess.run(
        [sys.executable, "-c", ENDS_WITH_PARENT], input="", capture_output=True, text=True, check=True
    )
    assert result.stdout == "ended\n"
