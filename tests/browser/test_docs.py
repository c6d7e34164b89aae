"""The interactive documentation in a real browser: an operation is tried out with a key and a token."""

import json
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from pgmq_gateway.auth.signing import token
from tests.browser.conftest import Keys, screenshot
from tests.databases import Sql
from tests.server import SECRET, Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPERATIONS = ["archive", "delete", "pop", "read", "send", "send_batch"]


# On the loop of the browser, which a listener is added on.
@pytest_asyncio.fixture(loop_scope="session")
async def asked(tab: Page) -> list[str]:
    """The URLs that the tab has requested."""
    found: list[str] = []
    tab.on("request", lambda request: None if request.url.startswith("data:") else found.append(request.url))
    return found


async def opened(tab: Page, url: str, keys: Keys) -> None:
    """The page at a URL, with the operations of service_role."""
    await tab.goto(url)
    await expect(tab.get_by_role("status")).to_contain_text("No API key found in request")
    await expect(tab.locator(".opblock")).to_have_count(0)
    await tab.get_by_label("Key").fill(keys.publishable)
    await tab.get_by_label("Token").fill(token(SECRET.encode(), "service_role", {}, 3600))
    await tab.get_by_role("button", name="Use").click()
    for name in OPERATIONS:
        await expect(tab.locator(f"#operations-pgmq_public-{name}")).to_be_visible()
    await expect(tab.locator("[id^=operations-queues-]")).to_have_count(18)


async def test_the_page_is_there_under_the_prefix_of_supabase(
    tab: Page, asked: list[str], embedded: Server, keys: Keys
) -> None:
    await opened(tab, f"{embedded.url}/rest/v1/docs", keys)
    assert {origin(address) for address in asked} == {embedded.url}


async def test_an_operation_is_tried_out(
    tab: Page, asked: list[str], embedded: Server, keys: Keys, queue: str, sql: Sql
) -> None:
    await opened(tab, f"{embedded.url}/docs", keys)
    send = tab.locator("#operations-pgmq_public-send")
    await send.locator(".opblock-summary-control").click()
    await send.get_by_role("button", name="Try it out").click()
    await send.locator("textarea").fill(json.dumps({"queue_name": queue, "message": {"tried": "out"}}))
    await send.get_by_role("button", name="Execute").click()
    await expect(send.locator(".live-responses-table .response-col_status").last).to_have_text("200")
    assert sql(f"select msg_id, message from pgmq.q_{queue}") == [(1, {"tried": "out"})]
    # pgmq_api has a document of its own, and so have the admin functions, which only service_role can see.
    await tab.get_by_label("API").select_option(label="Functions of pgmq_api")
    await expect(tab.locator("#operations-pgmq_api-rpc_settle, #operations-pgmq_api-settle")).to_be_visible()
    await tab.get_by_label("API").select_option(label="Managing queues")
    create = tab.locator("#operations-pgmq_admin-create_queue")
    await create.locator(".opblock-summary-control").click()
    await create.get_by_role("button", name="Try it out").click()
    await create.locator("textarea").fill(json.dumps({"queue_name": queue}))
    await create.get_by_role("button", name="Execute").click()
    answer = create.locator(".live-responses-table")
    await expect(answer.locator(".response-col_status").last).to_have_text("200")
    await expect(answer.locator(".microlight").first).to_have_text("false")
    await screenshot(tab, "docs-admin")
    assert {origin(address) for address in asked} == {embedded.url}


async def test_a_rejected_key_is_reported(tab: Page, embedded: Server, keys: Keys) -> None:
    await tab.goto(f"{embedded.url}/docs")
    await tab.get_by_label("Key").fill(keys.secret)
    await tab.get_by_role("button", name="Use").click()
    await expect(tab.get_by_role("status")).to_contain_text("Forbidden use of secret API key in browser")
    await expect(tab.locator(".opblock")).to_have_count(0)


def origin(address: str) -> str:
    """Scheme, host and port of an address."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
