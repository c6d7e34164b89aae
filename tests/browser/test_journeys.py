"""The jobs that a person does on the dashboard, with the number of clicks that each takes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import Dashboard
from tests.clients.conftest import paste
from tests.databases import Sql

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUEUE, DEAD = "journey", "journey-dead"
# From the page on which the job before it ends. Typing is not counted.
CLICKS = {
    "create": 2,
    "send": 2,
    "find by payload": 0,
    "postpone": 4,
    "archive": 1,
    "re-queue": 3,
    "bulk delete with a filter": 3,
    "grant read": 2,
    "write a policy": 2,
    "try as": 1,
    "copy a snippet": 2,
    "redrive": 4,
}


class Journey:
    """Clicks on the page, counted by job."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks: dict[str, int] = {}
        self._job = ""

    @asynccontextmanager
    async def job(self, name: str) -> AsyncIterator[None]:
        self._job = name
        self.clicks[name] = 0
        yield

    async def click(self, place: Locator) -> None:
        self.clicks[self._job] += 1
        await place.click()

    async def button(self, name: str, within: Page | Locator | None = None) -> None:
        await self.click((within or self.page).get_by_role("button", name=name, exact=True))


async def test_each_job_takes_few_clicks(board: Page, dashboard: Dashboard, sql: Sql, tmp_path: Path) -> None:
    await dashboard.enter(board)
    await board.context.grant_permissions(["clipboard-read", "clipboard-write"])
    journey = Journey(board)
    try:
        await create_and_send(journey, sql)
        await find_and_change(journey, sql)
        await delete_many(journey, sql)
        await allow_users(journey, sql)
        await run_a_snippet(journey, sql, tmp_path)
        await redrive(journey, dashboard, sql)
        assert journey.clicks == CLICKS
    finally:
        sql("select pgmq_admin.drop_queue(queue_name) from pgmq.meta where queue_name = any(%s)", [QUEUE, DEAD])


def messages(page: Page) -> Locator:
    """The ids in the list."""
    return page.get_by_role("button", name="Open message")


async def create_and_send(journey: Journey, sql: Sql) -> None:
    page = journey.page
    async with journey.job("create"):
        await journey.button("Create queue")
        dialog = page.get_by_role("dialog", name="Create a queue")
        await dialog.get_by_label("Name").fill(QUEUE)
        await journey.button("Create", dialog)
        await expect(page.get_by_role("heading", level=1)).to_have_text(QUEUE)
    async with journey.job("send"):
        await journey.button("Send message")
        await page.get_by_label("Message (JSON)").fill('{"user_id": "ann", "do": "wash"}')
        await journey.button("Send", page.get_by_role("dialog"))
        await expect(messages(page)).to_have_text(["1"])
    sql("select pgmq.send(%s, jsonb_build_object('n', n)) from generate_series(2, 60) as n", QUEUE)


async def find_and_change(journey: Journey, sql: Sql) -> None:
    page = journey.page
    opened = page.get_by_role("region", name="Message", exact=True)
    async with journey.job("find by payload"):
        await page.get_by_label("Search payloads").fill("wash")
        await expect(messages(page)).to_have_text(["1"])
    async with journey.job("postpone"):
        await journey.click(messages(page))
        await journey.button("Postpone", opened)
        await journey.button("1 h", page.get_by_role("dialog"))
        await journey.button("Postpone 1 message", page.get_by_role("dialog"))
        await expect(opened).to_contain_text("delayed")
    async with journey.job("archive"):
        await journey.button("Archive", opened)
        await expect(opened).to_be_hidden()
        assert sql(f"select msg_id from pgmq.a_{QUEUE}") == [(1,)]
    async with journey.job("re-queue"):
        await journey.click(page.get_by_role("tab", name="Archive"))
        await journey.click(messages(page))
        await journey.button("Re-queue", opened)
        await expect(opened).to_be_hidden()
        assert sql(f"select message ->> 'do' from pgmq.q_{QUEUE} where msg_id = 61") == [("wash",)]


async def delete_many(journey: Journey, sql: Sql) -> None:
    page = journey.page
    await page.get_by_role("tab", name="Queue", exact=True).click()
    async with journey.job("bulk delete with a filter"):
        await page.get_by_label("Search payloads").fill('n":')
        await journey.click(page.get_by_role("button", name="Actions on all 59 matching messages"))
        await journey.click(page.get_by_role("menuitem", name="Delete"))
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label(f"Type {QUEUE} to confirm").fill(QUEUE)
        await journey.button("Delete 59 messages", dialog)
        await expect(page.get_by_text("No message matches the filter.")).to_be_visible()
        assert sql(f"select msg_id from pgmq.q_{QUEUE}") == [(61,)]


async def allow_users(journey: Journey, sql: Sql) -> None:
    page = journey.page
    async with journey.job("grant read"):
        await journey.click(page.get_by_role("navigation", name="This queue").get_by_role("link", name="Access"))
        switch = page.get_by_role("switch", name="authenticated: permission to read")
        await journey.click(switch)
        await expect(switch).to_be_checked()
        granted = "select operations from pgmq_admin.list_grants(%s) where role = 'authenticated'"
        assert sql(granted, QUEUE) == [(["read"],)]
    async with journey.job("write a policy"):
        await journey.click(page.get_by_role("region", name="Policies").get_by_role("button", name="Create policies"))
        await journey.button("Create", page.get_by_role("dialog", name="Create policies"))
        await expect(page.get_by_role("list", name="Policies")).to_contain_text("Own messages of authenticated")
    async with journey.job("try as"):
        await page.get_by_label("Subject (claim sub)").fill("ann")
        await journey.button("Try", page.get_by_role("region", name="Try as a caller"))
        await expect(page.get_by_role("table", name="Readable messages")).to_contain_text("wash")


async def run_a_snippet(journey: Journey, sql: Sql, tmp_path: Path) -> None:
    page = journey.page
    sql("select pgmq_admin.create_policy(%s, 'producer', 'anon')", QUEUE)
    await page.goto(page.url.partition("/access")[0] + f"/queues/{QUEUE}")
    async with journey.job("copy a snippet"):
        await journey.click(page.get_by_role("navigation", name="This queue").get_by_role("link", name="Connect"))
        await journey.click(page.get_by_role("button", name="Copy send with curl"))
        code = ""
        while not code.startswith("curl"):
            code = await page.evaluate("navigator.clipboard.readText()")
    printed = await asyncio.to_thread(paste, code, tmp_path)
    (sent,) = json.loads(printed)
    assert sql(f"select message from pgmq.q_{QUEUE} where msg_id = %s", sent) == [({"hello": "world"},)]


async def redrive(journey: Journey, dashboard: Dashboard, sql: Sql) -> None:
    page = journey.page
    settings: dict[str, Any] = {"dead_letter_queue": DEAD}
    sql("select pgmq_admin.create_queue(%s)", DEAD)
    sql("select pgmq_admin.set_queue_settings(%s, %s)", QUEUE, json.dumps(settings))
    sql("select pgmq_api.reject(%s, receipt, 'No.') from pgmq_api.read(%s, 60, 2)", QUEUE, QUEUE)
    await page.goto(f"{dashboard.url}/queues/{QUEUE}")
    async with journey.job("redrive"):
        await journey.click(page.get_by_role("link", name=f"{DEAD}: 2"))
        await journey.click(page.get_by_role("button", name="Actions on all 2 messages"))
        await journey.click(page.get_by_role("menuitem", name="Redrive"))
        dialog = page.get_by_role("dialog", name="Redrive 2 messages?")
        await journey.button("Redrive 2 messages", dialog)
        await expect(dialog).to_contain_text("Moved2 of 2 messages")
        assert sql(f"select count(*) from pgmq.q_{QUEUE}") == [(2,)]
