"""The page Actions: the log of who has changed what."""

import re

import pytest
from playwright.async_api import expect

from pgmq_gateway.dashboard.actions.page import ROWS_PER_PAGE
from tests.browser.conftest import Desk
from tests.databases import Sql

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_it_shows_who_has_changed_what(desk: Desk, queue: str, sql: Sql) -> None:
    sql("select pgmq_admin.send_batch(%s, '[1, 2, 3]')", queue)
    sql("select pgmq_admin.create_queue(%s)", f"{queue}_other")
    await desk.open(f"/actions?queue={queue}")
    table = desk.page.get_by_role("table", name="Actions")
    row = table.get_by_role("row").nth(1)
    await expect(row.get_by_role("cell")).to_contain_text(["", "postgres", "sent messages", "3"])
    await expect(row.get_by_role("cell").nth(0)).to_have_text(re.compile(r"\d"))
    await expect(table).not_to_contain_text(f"{queue}_other")
    await desk.picture("actions")
    await desk.picture("actions-dark", dark=True)
    # As by another tab.
    sql("select pgmq_admin.purge_queue(%s)", queue)
    await desk.page.get_by_role("button", name="Update now").click()
    await expect(table.get_by_role("row").nth(1)).to_contain_text("purged the queue")
    sql("select pgmq_admin.drop_queue(%s)", f"{queue}_other")
    await desk.open("/actions")
    await expect(table.get_by_role("row").nth(1)).to_contain_text(f"{queue}_other")
    await expect(table.get_by_role("row").nth(1).get_by_role("link")).to_have_count(0)
    await table.get_by_role("link", name=queue, exact=True).first.click()
    await desk.page.wait_for_url(f"**/queues/{queue}*")
    await desk.open(f"/actions?queue={queue}", narrow=True)
    await expect(row).to_be_visible()
    await desk.picture("actions-narrow")


async def test_older_actions_are_on_further_pages(desk: Desk, queue: str, sql: Sql) -> None:
    sql("select pgmq_admin.send(%s, '1') from generate_series(1, %s)", queue, ROWS_PER_PAGE + 5)
    await desk.open(f"/actions?queue={queue}")
    rows = desk.page.get_by_role("table", name="Actions").get_by_role("row")
    await expect(rows).to_have_count(1 + ROWS_PER_PAGE)
    await desk.page.get_by_role("link", name="Older").click()
    # The fixture has created the queue.
    await expect(rows.nth(5)).to_contain_text("sent a message")
    await expect(desk.page.get_by_role("link", name="Older")).to_have_count(0)
    await desk.page.get_by_role("link", name="Latest").click()
    await expect(rows).to_have_count(1 + ROWS_PER_PAGE)
    await desk.open("/actions?queue=nothing")
    await expect(desk.page.get_by_role("main")).to_contain_text("Nothing has been changed.")
