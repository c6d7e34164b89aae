"""A reload that fails because of a bug."""

import asyncio
import os
import signal

import pytest
from pydantic import SecretStr

from pgmq_gateway.process.reload import SIGNALS, Reloading
from pgmq_gateway.process.systemd import Manager
from pgmq_gateway.settings.model import Settings
from tests.waiting import until_async


async def test_an_unexpected_error_is_logged_and_the_next_reload_applies(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "pgmq_gateway")
    applied: list[Settings] = []
    found: list[Settings] = []

    async def apply(settings: Settings) -> None:
        applied.append(settings)

    reloading = Reloading(Settings(), lambda: found[0], Manager(), "Serving")
    former = {number: signal.getsignal(number) for number in SIGNALS}
    with reloading.on_signals():
        running = asyncio.create_task(reloading.run(apply))
        os.kill(os.getpid(), signal.SIGUSR2)
        await until_async(lambda: "the last reload failed" in caplog.text)
        assert "IndexError" in caplog.text
        assert applied == []
        found.append(Settings(jwt_secret=SecretStr("x" * 32)))
        os.kill(os.getpid(), signal.SIGUSR2)
        await until_async(lambda: "settings reloaded" in caplog.text)
        running.cancel()
    for number, handler in former.items():
        signal.signal(number, handler)
    assert applied == found
