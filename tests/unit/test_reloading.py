"""Reloads that fail because of a bug, and many reloads at once."""

import asyncio
import os
import signal

import pytest
from pydantic import SecretStr

from pgmq_gateway.backoff import Backoff
from pgmq_gateway.gateway import Application, Gateway
from pgmq_gateway.http.server import server_for
from pgmq_gateway.http.sockets import ServeError
from pgmq_gateway.process import reload
from pgmq_gateway.process.reload import SIGNALS, Reload, Reloading
from pgmq_gateway.process.systemd import Manager
from pgmq_gateway.settings.model import Settings, SettingsError
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
    reloads, finished = Reload(application, server), asyncio.Event()
    server.server_state.tasks.add(asyncio.ensure_future(finished.wait()))  # type: ignore[arg-type]
    applying = asyncio.create_task(applied(reloads, settings[1:]))
    await until_async(lambda: application.gateway.settings == settings[1])
    finished.set()
    await applying
    await until_async(lambda: application.running == 1)
    assert application.gateway.settings == settings[-1]
    assert application.most == 2


async def test_a_long_request_of_a_replaced_gateway_does_not_block_reloads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "LEAVE_TIMEOUT_SECONDS", 0.01)
    first, *others = [
        Settings.model_validate({"db_uri": "postgresql://", "jwt_secret": SECRET, "db_pool": size})
        for size in (1, 2, 3)
    ]
    application = Counted(Gateway(first))
    await application.start(application.gateway)
    server = server_for(application)
    endless = asyncio.ensure_future(asyncio.Event().wait())
    server.server_state.tasks.add(endless)  # type: ignore[arg-type]
    await applied(Reload(application, server), others)
    assert application.gateway.settings == others[-1]
    endless.cancel()


async def test_d6_a_failed_reload_is_repeated_until_the_settings_of_the_database_apply(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gated = Settings(jwt_secret=SecretStr(SECRET), db_pre_request="public.gate")
    failures: list[Exception] = [SettingsError("unreadable"), SettingsError("unreadable"), ServeError("too late")]
    applied: list[Settings] = []

    async def reread() -> Settings:
        if len(failures) > 1:
            raise failures.pop(0)
        return gated

    async def apply(settings: Settings) -> None:
        if failures:
            raise failures.pop(0)
        applied.append(settings)

    reloading = Reloading(Settings(), reread, Manager(), "Serving", Backoff(0.001, 0.001))
    running = asyncio.create_task(reloading.run(apply))
    reloading.outdated()
    await until_async(lambda: bool(applied))
    running.cancel()
    assert applied == [gated]
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert errors == [f"{reload.KEPT}: unreadable", f"{reload.KEPT}: too late"]


async def test_d6_a_change_during_a_reload_is_not_lost_when_the_next_one_fails() -> None:
    reads = 0

    async def reread() -> Settings:
        nonlocal reads
        reads += 1
        if reads == 1:
            reloading.outdated()
        if reads == 2:
            raise SettingsError("unreadable")
        return Settings()

    async def apply(settings: Settings) -> None:
        raise AssertionError(settings)

    reloading = Reloading(Settings(), reread, Manager(), "Serving", Backoff(0.001, 0.001))
    running = asyncio.create_task(reloading.run(apply))
    reloading.outdated()
    await until_async(lambda: reads == 3)
    running.cancel()


async def test_notifications_do_not_hasten_the_next_attempt_at_a_failed_reload() -> None:
    reads = 0

    async def reread() -> Settings:
        nonlocal reads
        reads += 1
        raise SettingsError("wrong")

    async def apply(settings: Settings) -> None:
        raise AssertionError(settings)

    reloading = Reloading(Settings(), reread, Manager(), "Serving", Backoff(3600, 3600))
    running = asyncio.create_task(reloading.run(apply))
    reloading.outdated()
    await until_async(lambda: reads == 1)
    for _ in range(10):
        reloading.outdated()
        await asyncio.sleep(0)
    assert reads == 1
    running.cancel()


async def applied(reloads: Reload, settings: list[Settings]) -> None:
    for one in settings:
        await reloads.apply(one)


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
