"""Reloads that fail because of a bug, and many reloads at once."""

import asyncio
import os
import signal

import pytest
from pydantic import SecretStr

from pgmq_gateway.gateway import Application, Gateway
from pgmq_gateway.http.server import server_for
from pgmq_gateway.process.reload import SIGNALS, Reload, Reloading
from pgmq_gateway.process.systemd import Manager
from pgmq_gateway.settings.model import Settings
from tests.server import SECRET
from tests.waiting import until_async


class Counted(Application):
    """Counts the gateways that run, without a database."""

    running = most = 0

    async def start(self, gateway: Gateway) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        gateway.watch.loaded.set()

    async def stop(self, gateway: Gateway) -> None:
        assert gateway is not self.gateway
        self.running -= 1


async def test_reloads_wait_for_requests_of_the_gateway_before() -> None:
    settings = [
        Settings.model_validate({"db_uri": "postgresql://", "jwt_secret": SECRET, "db_pool": size})
        for size in range(1, 6)
    ]
    application = Counted(Gateway(settings[0]))
    await application.start(application.gateway)
    server = server_for(application)
    reload, finished = Reload(application, server), asyncio.Event()
    server.server_state.tasks.add(asyncio.ensure_future(finished.wait()))  # type: ignore[arg-type]
    reloads = asyncio.create_task(applied(reload, settings[1:]))
    await until_async(lambda: application.gateway.settings == settings[1])
    finished.set()
    await reloads
    await until_async(lambda: application.running == 1)
    assert application.gateway.settings == settings[-1]
    assert application.most == 2


async def applied(reload: Reload, settings: list[Settings]) -> None:
    for one in settings:
        await reload.apply(one)


async def test_an_unexpected_error_is_logged_and_the_next_reload_applies(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "pgmq_gateway")
    applied: list[Settings] = []
    found: list[Settings] = []

    async def apply(settings: Settings) -> None:
        applied.append(settings)

    async def reread() -> Settings:
        return found[0]

    reloading = Reloading(Settings(), reread, Manager(), "Serving")
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
