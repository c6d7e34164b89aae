"""All pages for a key that can change nothing: the role queue_viewer."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.async_api import Page, Response, expect

from pgmq_gateway.auth.signing import token
from tests.browser.conftest import Dashboard, accessible, screenshot
from tests.databases import Sql
from tests.server import SECRET

pytestmark = pytest.mark.asyncio(loop_scope="session")

# A button, field or menu item that would change something.
CHANGES = re.compile(
    "create|drop|purge|delete|archive|send|postpone|move|re-?queue|redrive|replay|visible now|pause queue|resume queue"
    "|save|grant|revoke|turn |expose|try|add policy",
    re.IGNORECASE,
)


@pytest.fixture
def viewer(dashboard: Dashboard, sql: Sql) -> Iterator[Dashboard]:
    """The dashboard with a key of queue_viewer."""
    sql("select pgmq_gateway.create_viewer()")
    for (statement,) in sql("select statement from pgmq_gateway.missing_viewer_privileges()"):
        sql(statement)
    yield replace(dashboard, key=token(SECRET.encode(), "queue_viewer", {"sub": "ann"}, 600))
    sql("drop owned by queue_viewer")
    sql("drop role queue_viewer")


async def test_a_viewer_sees_all_pages_and_no_control_that_would_be_refused(
    tab: Page, viewer: Dashboard, queue: str, sql: Sql
) -> None:
    refused: list[str] = []

    def note(response: Response) -> None:
        if response.status >= 400:
            refused.append(response.url)

    tab.on("response", note)
    sql("""select pgmq_admin.send(%s, '{"secret": "payload"}')""", queue)
    await tab.set_viewport_size({"width": 1440, "height": 900})
    await viewer.sign_in(tab)
    pages = ("/", f"/queues/{queue}", f"/access?queue={queue}", f"/connect?queue={queue}", "/health", "/actions")
    for path in pages:
        await tab.goto(viewer.url + path)
        await expect(tab.get_by_role("banner")).to_contain_text("read-only")
        await expect(tab.get_by_role("main").get_by_role("heading", level=1)).to_be_visible()
        await expect(tab.locator(".refresh .status").first).to_contain_text("Updated")
        await expect(tab.get_by_text("permission denied for")).to_have_count(0)
        await expect(tab.get_by_role("alert")).to_have_count(0)
        await accessible(tab)
        await screenshot(tab, f"viewer-{path.strip('/').partition('?')[0].partition('/')[0] or 'queues'}", whole=True)
        if not path.startswith("/connect"):
            for control in ("button", "menuitem", "checkbox", "switch"):
                await expect(tab.get_by_role(control).filter(has_text=CHANGES)).to_have_count(0)
    await tab.goto(f"{viewer.url}/queues/{queue}")
    await tab.get_by_role("button", name="Settings").click()
    settings = tab.get_by_role("dialog")
    await expect(settings.get_by_label("Receives")).to_be_disabled()
    await expect(settings.locator("input:enabled")).to_have_count(0)
    await settings.get_by_role("button", name="Close").click()
    await expect(tab.get_by_role("main")).to_contain_text("no permission to read the messages of this queue")
    sql(f"grant select on pgmq.q_{queue} to queue_viewer")
    sql(f"create policy viewing on pgmq.q_{queue} for select to queue_viewer using (true)")
    await tab.reload()
    await expect(tab.get_by_role("main")).to_contain_text("payload")
    await tab.set_viewport_size({"width": 390, "height": 844})
    await screenshot(tab, "viewer-narrow")
    assert refused == []
