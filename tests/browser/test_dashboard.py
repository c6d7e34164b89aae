"""The dashboard in a real browser: signing in and out, the pages Queues and Connect, the dialog Create queue."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, Request, ViewportSize, expect

from pgmq_gateway.auth.signing import token
from tests import server
from tests.browser.conftest import Dashboard, accessible, screenshot
from tests.databases import Sql
from tests.proxy import Proxy
from tests.server import SECRET, Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE = ViewportSize(width=390, height=844)


@pytest_asyncio.fixture(loop_scope="session")
async def own_origin(board: Page, dashboard: Dashboard) -> AsyncIterator[Page]:
    """A tab that must send requests to the dashboard only."""
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    board.on("request", note)
    yield board
    board.remove_listener("request", note)
    places = {f"{urlsplit(one).scheme}://{urlsplit(one).netloc}" for one in asked if not one.startswith("data:")}
    assert places == {dashboard.url}


@pytest_asyncio.fixture(loop_scope="session")
async def signed_in(own_origin: Page, dashboard: Dashboard) -> Page:
    """A tab with the page Queues."""
    await dashboard.enter(own_origin)
    return own_origin


async def test_the_link_signs_in_once(own_origin: Page, chromium: Browser, dashboard: Dashboard) -> None:
    await own_origin.goto(dashboard.link)
    await expect(own_origin.get_by_role("heading", name="Queues", exact=True)).to_be_visible()
    assert dashboard.link not in await own_origin.evaluate("location.href")
    async with await chromium.new_context() as other:
        again = await other.new_page()
        await again.goto(dashboard.link)
        await expect(again.get_by_role("alert")).to_contain_text("This link was already used")
        assert await other.cookies() == []


async def test_the_key_is_not_in_the_browser(signed_in: Page, dashboard: Dashboard) -> None:
    stored = await signed_in.evaluate("[localStorage, sessionStorage, document.documentElement.outerHTML]")
    assert dashboard.key not in json.dumps([stored, *await signed_in.context.cookies()])


async def test_an_unknown_address_has_a_page_with_a_way_back(signed_in: Page, dashboard: Dashboard) -> None:
    await signed_in.goto(f"{dashboard.url}/queuez/<b>")
    await expect(signed_in.get_by_role("heading", name="Page not found")).to_be_visible()
    await expect(signed_in.get_by_role("main")).to_contain_text("/queuez/<b>")
    await accessible(signed_in)
    await screenshot(signed_in, "not-found-1440-light")
    icon = await signed_in.request.get(f"{dashboard.url}/favicon.ico")
    assert (icon.status, icon.headers["content-type"]) == (200, "image/svg+xml")
    await signed_in.get_by_role("link", name="All queues").click()
    await expect(signed_in.get_by_role("heading", name="Queues", exact=True)).to_be_visible()


async def test_the_theme_menu_marks_the_selected_theme(signed_in: Page) -> None:
    def marked() -> Locator:
        return signed_in.get_by_role("menuitemradio", checked=True)

    await signed_in.get_by_role("button", name="Theme").click()
    await expect(marked()).to_have_text("System")
    await signed_in.get_by_role("menuitemradio", name="Dark").click()
    await signed_in.get_by_role("button", name="Theme").click()
    await expect(marked()).to_have_text("Dark")
    await screenshot(signed_in, "theme-menu-1440-dark")
    await signed_in.reload()
    await signed_in.get_by_role("button", name="Theme").click()
    await expect(marked()).to_have_text("Dark")


async def test_a_wrong_key_is_rejected_with_the_error_of_the_api(own_origin: Page, dashboard: Dashboard) -> None:
    await own_origin.goto(f"{dashboard.url}/connect?queue=x")
    for key, error in (
        ("nonsense", "Invalid API key"),
        (token(SECRET.encode(), "authenticated", {}, 60), "permission denied"),
        (token(b"another secret that is long enough!!", "service_role", {}, 60), "PGRST301"),
    ):
        await own_origin.get_by_label("Key").fill(key)
        await own_origin.keyboard.press("Enter")
        await expect(own_origin.locator(".problem")).to_contain_text(error)
    await accessible(own_origin)
    await screenshot(own_origin, "wrong-key")
    await own_origin.get_by_label("Key").fill(dashboard.key)
    await own_origin.keyboard.press("Enter")
    await own_origin.wait_for_url(f"{dashboard.url}/connect?queue=x")


async def test_a_session_expires_with_its_token(own_origin: Page, dashboard: Dashboard, complaints: list[str]) -> None:
    await own_origin.goto(dashboard.url)
    await own_origin.get_by_label("Key").fill(token(SECRET.encode(), "service_role", {}, 2))
    await own_origin.keyboard.press("Enter")
    await expect(own_origin.get_by_role("alert")).to_contain_text("Your session has expired", timeout=20_000)
    assert urlsplit(own_origin.url).path == "/sign-in"
    await screenshot(own_origin, "expired")
    # On a slow machine it expires before the page's WebSocket is open, which is then rejected.
    complaints[:] = [text for text in complaints if "WebSocket" not in text]


async def test_signing_out_ends_all_tabs_of_the_session(own_origin: Page, dashboard: Dashboard) -> None:
    await dashboard.sign_in(own_origin)
    (cookie,) = await own_origin.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    second = await own_origin.context.new_page()
    await second.goto(f"{dashboard.url}/connect")
    await own_origin.get_by_role("button", name="Sign out").click()
    for tab in (own_origin, second):
        await expect(tab.get_by_role("alert")).to_contain_text("You have signed out.")
    await own_origin.goto(dashboard.url)
    await expect(own_origin.get_by_label("Key")).to_be_visible()


async def test_two_browsers_see_each_others_changes(
    signed_in: Page, chromium: Browser, dashboard: Dashboard, sql: Sql
) -> None:
    async with await chromium.new_context(viewport=PHONE, color_scheme="dark", reduced_motion="reduce") as other:
        phone = await other.new_page()
        await dashboard.enter(phone)
        await create(signed_in, "shared", "Basic")
        await dashboard.enter(signed_in)
        row = phone.get_by_role("row").filter(has_text="shared")
        await expect(row).to_be_visible()
        sql("select pgmq.send('shared', '{}')")
        await expect(row.get_by_role("cell").nth(1)).to_have_text("1")
        await phone.get_by_role("button", name="Menu").click()
        menu = phone.get_by_role("dialog")
        await expect(menu.get_by_role("link", name="Health")).to_be_visible()
        await screenshot(phone, "menu-390-dark")
        await phone.keyboard.press("Escape")
        await expect(menu).to_have_count(0)
        await accessible(phone)
        await screenshot(phone, "queues-390-dark")
    await screenshot(signed_in, "queues-1440-light")
    sql("select pgmq.drop_queue('shared')")


@pytest.mark.parametrize(("kind", "rls"), [("Basic", True), ("Unlogged", False)])
async def test_a_queue_of_each_type_is_created_and_opened(
    kind: str, rls: bool, signed_in: Page, dashboard: Dashboard, sql: Sql
) -> None:
    name = f"made-{kind.lower()}"
    await create(signed_in, name, kind, rls=rls)
    await expect(signed_in.get_by_role("heading", level=1)).to_contain_text(name)
    await dashboard.enter(signed_in)
    row = signed_in.get_by_role("row").filter(has_text=name)
    await expect(row.get_by_role("cell").nth(1)).to_have_text(kind.lower())
    await expect(row.get_by_role("cell").nth(2)).to_have_text("on" if rls else "off")
    if not rls:
        warnings = signed_in.get_by_role("region", name="Warnings")
        await expect(warnings).to_contain_text(name)
        fix = warnings.get_by_role("link", name="Fix: Turn row-level security on")
        await expect(fix).to_have_attribute("href", f"/access?queue={name}")
    assert sql("select is_unlogged from pgmq.meta where queue_name = %s", name) == [(kind == "Unlogged",)]
    # All of the row is a link.
    await row.get_by_role("cell").nth(3).click()
    await expect(signed_in.get_by_role("heading", level=1)).to_contain_text(name)
    assert urlsplit(signed_in.url).path == f"/queues/{name}"
    sql("select pgmq.drop_queue(%s)", name)


async def test_a_queue_that_cannot_be_created_is_explained(signed_in: Page, queue: str) -> None:
    await signed_in.get_by_role("button", name="Create queue").click()
    dialog = signed_in.get_by_role("dialog")
    name = dialog.get_by_label("Name")
    for text, error in (
        ("Big one", "Not allowed in a name: B, space"),
        ("a--b", "Not allowed in a name: --"),
        ("x" * 48, "At most 47 characters"),
    ):
        await name.fill(text)
        await expect(dialog.get_by_text(error)).to_be_visible()
    await dialog.get_by_role("button", name="Create").click()
    await expect(dialog.get_by_text(error)).to_be_visible()
    await name.fill(queue)
    await dialog.get_by_role("button", name="Create").click()
    await expect(dialog.get_by_text(f"Queue {queue} already exists.")).to_be_visible()
    # The embedded Postgres has no pg_partman.
    await expect(dialog.get_by_role("radio")).to_have_count(2)
    await expect(dialog).to_contain_text("Partitioned queues need the extension pg_partman")
    await accessible(signed_in)
    await screenshot(signed_in, "create-1440-light")


async def test_many_warnings_are_folded_and_have_a_hint_or_a_button(
    own_origin: Page, dashboard: Dashboard, sql: Sql
) -> None:
    names = [f"warned-{number}" for number in range(4)]
    sql("select pgmq.create_unlogged(name), pgmq.send(name, '1') from unnest(%s::text[]) as name", names)
    try:
        await dashboard.enter(own_origin)
        # Each queue is without row-level security, and unlogged.
        warnings = own_origin.get_by_role("region", name="Warnings")
        hint = warnings.get_by_text("create a queue of type basic").last
        await expect(hint).to_be_hidden()
        await warnings.get_by_role("button", name="8 warnings").click()
        await expect(hint).to_be_visible()
        await accessible(own_origin)
        await screenshot(own_origin, "warnings-1440-light")
        await warnings.get_by_role("button", name="Dismiss").click()
        await expect(warnings).to_have_text("Show 8 dismissed warnings")
        await own_origin.reload()
        await expect(warnings).to_have_text("Show 8 dismissed warnings")
        # Another finding is shown.
        sql("select pgmq_admin.grant_queue('warned-0', 'anon', '{read}')")
        await own_origin.reload()
        await expect(warnings.get_by_role("button", name="1 error")).to_be_visible()
        await warnings.get_by_role("button", name="Show 7 dismissed warnings").click()
        await expect(warnings.get_by_role("button", name="1 error, 7 warnings")).to_be_visible()
        await own_origin.goto(f"{dashboard.url}/access?queue=warned-0")
        await expect(warnings.get_by_role("button", name="Turn row-level security on")).to_be_visible()
    finally:
        sql("select pgmq.drop_queue(name) from unnest(%s::text[]) as name", names)


async def test_a_role_without_permissions_sees_the_errors(
    own_origin: Page, dashboard: Dashboard, queue: str, sql: Sql
) -> None:
    sql("create role clerk nologin noinherit")
    try:
        sql("grant clerk to authenticator")
        sql("grant usage on schema pgmq_admin to clerk")
        sql("grant execute on function pgmq_admin.list_queues() to clerk")
        await dashboard.sign_in(own_origin, "/access", token(SECRET.encode(), "clerk", {}, 600))
        content = own_origin.get_by_role("main")
        await expect(content).to_contain_text("permission denied for function policy_templates")
        sql("revoke execute on function pgmq_admin.list_queues() from clerk")
        for path in ("/", "/access", "/connect", f"/queues/{queue}"):
            await own_origin.goto(dashboard.url + path)
            await expect(content).to_contain_text("permission denied for function list_queues")
        await own_origin.goto(f"{dashboard.url}/health")
        await expect(content).to_contain_text("permission denied for function database_status")
    finally:
        sql("drop owned by clerk")
        sql("drop role clerk")


async def test_the_keyboard_alone_is_enough(signed_in: Page, dashboard: Dashboard, sql: Sql) -> None:
    press = signed_in.keyboard.press
    await press("Tab")
    await expect(signed_in.get_by_role("link", name="Skip to the content")).to_be_focused()
    await press("Enter")
    for _ in range(3):
        await press("Tab")
    await expect(signed_in.get_by_role("button", name="Create queue")).to_be_focused()
    await press("Enter")
    await expect(signed_in.get_by_role("dialog").get_by_label("Name")).to_be_focused()
    await signed_in.keyboard.type("by-keyboard")
    await press("Enter")
    await expect(signed_in.get_by_role("heading", level=1)).to_contain_text("by-keyboard")
    await dashboard.enter(signed_in)
    await signed_in.get_by_label("Search queues").focus()
    await signed_in.keyboard.type("by-key")
    await expect(signed_in.get_by_role("row")).to_have_count(2)
    depth = signed_in.get_by_role("columnheader", name="Depth")
    await depth.get_by_role("button").focus()
    await press("Enter")
    await expect(depth).to_have_attribute("aria-sort", "ascending")
    link = signed_in.get_by_role("link", name="by-keyboard")
    await link.focus()
    sql("select pgmq.send('by-keyboard', '1')")
    await expect(signed_in.get_by_role("row").filter(has=link).get_by_role("cell").nth(3)).to_have_text("1")
    await expect(link).to_be_focused()
    await press("Enter")
    await expect(signed_in.get_by_role("heading", level=1)).to_contain_text("by-keyboard")
    sql("select pgmq.drop_queue('by-keyboard')")


async def test_an_update_takes_neither_the_focus_nor_a_click(signed_in: Page, queue: str, sql: Sql) -> None:
    # With row-level security: without it, a warning would appear and move the table.
    sql("select pgmq_admin.create_queue('other')")
    rows = {name: signed_in.get_by_role("row").filter(has_text=name) for name in (queue, "other")}
    depth = signed_in.get_by_role("columnheader", name="Depth")

    async def update(name: str, messages: int) -> None:
        sql("select pgmq.send(%s, '1') from generate_series(1, %s)", name, messages)
        ((number,),) = sql(f"select count(*) from pgmq.q_{name}")
        await expect(rows[name].get_by_role("cell").nth(3)).to_have_text(str(number))

    try:
        await depth.get_by_role("button").hover()
        await signed_in.mouse.down()
        await update("other", 1)
        await signed_in.mouse.up()
        await expect(depth).to_have_attribute("aria-sort", "ascending")
        await depth.get_by_role("button").focus()
        await update("other", 1)
        await signed_in.keyboard.press("Enter")
        await expect(depth).to_have_attribute("aria-sort", "descending")
        # Either row moves to the top.
        for name, messages in ((queue, 3), ("other", 2)):
            await rows[name].get_by_role("link").focus()
            await update(name, messages)
            await expect(signed_in.get_by_role("row").nth(1)).to_contain_text(name)
            await expect(rows[name].get_by_role("link")).to_be_focused()
    finally:
        sql("select pgmq.drop_queue('other')")


async def test_rows_do_not_move_under_the_pointer_and_the_address_has_search_and_order(
    signed_in: Page, dashboard: Dashboard, sql: Sql
) -> None:
    sql("select pgmq_admin.create_queue(name) from unnest(array['still1', 'still2']) as name")
    rows = signed_in.locator("tbody").get_by_role("row")
    try:
        await signed_in.get_by_label("Search queues").fill("still")
        await expect(rows).to_have_count(2)
        await expect(rows.first).to_contain_text("no traffic yet")
        for _ in range(2):
            await signed_in.get_by_role("columnheader", name="Depth").get_by_role("button").click()
        await expect(signed_in).to_have_url(f"{dashboard.url}/?search=still&sort=-messages")
        sql("select pgmq.send('still1', '1')")
        await expect(rows.first).to_contain_text("still1")
        await rows.first.get_by_role("cell").nth(1).hover()
        sql("select pgmq.send('still2', '1') from generate_series(1, 2)")
        await expect(rows.nth(1).get_by_role("cell").nth(3)).to_have_text("2")
        await expect(rows.first).to_contain_text("still1")
        await signed_in.get_by_role("heading", level=1).hover()
        await expect(rows.first).to_contain_text("still2")
        await signed_in.reload()
        await expect(rows).to_have_count(2)
        await expect(rows.first).to_contain_text("still2")
        await expect(signed_in.get_by_label("Search queues")).to_have_value("still")
    finally:
        sql("select pgmq.drop_queue(name) from unnest(array['still1', 'still2']) as name")


async def test_updates_are_paused_and_resumed(signed_in: Page, queue: str, sql: Sql) -> None:
    cell = signed_in.get_by_role("row").filter(has_text=queue).get_by_role("cell").nth(3)
    await signed_in.get_by_role("button", name="Pause updates").click()
    sql("select pgmq.send(%s, '1')", queue)
    await signed_in.get_by_role("button", name="Update now").click()
    await expect(cell).to_have_text("1")
    sql("select pgmq.send(%s, '1')", queue)
    await signed_in.get_by_role("button", name="Resume updates").click()
    await expect(cell).to_have_text("2")


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_connect_masks_the_key_until_it_is_shown(
    theme: str, signed_in: Page, dashboard: Dashboard, queue: str
) -> None:
    await signed_in.get_by_role("button", name="Theme").click()
    await signed_in.get_by_role("menuitemradio", name=theme).click()
    await expect(signed_in.locator(f"html[data-theme={theme}]")).to_be_attached()
    await signed_in.goto(f"{dashboard.url}/connect?queue={queue}")
    assert await signed_in.evaluate("document.body.className.includes('body--dark')") == (theme == "dark")
    code = signed_in.get_by_role("region", name="send with curl")
    await expect(code).to_contain_text(queue)
    # The publishable key of the embedded gateway, and not the one of the session.
    await expect(code).to_contain_text("apikey: sb_publishable_")
    await signed_in.get_by_role("button", name="Use a secret key").click()
    warning = signed_in.get_by_role("dialog", name="Put your key into the code?")
    await expect(warning).to_contain_text("never in a browser")
    await warning.get_by_role("button", name="Cancel").click()
    await expect(code).to_contain_text("apikey: sb_publishable_")
    await signed_in.get_by_role("button", name="Use a secret key").click()
    await warning.get_by_role("button", name="Use it").click()
    await expect(code).to_contain_text("apikey: ********")
    await signed_in.get_by_role("button", name="Show").click()
    await expect(code).to_contain_text(f"apikey: {dashboard.key}")
    await signed_in.get_by_role("button", name="Hide").click()
    await signed_in.get_by_label("Subject").fill("alice")
    await signed_in.get_by_label("JWT secret").fill(SECRET)
    await signed_in.get_by_role("button", name="Create token").click()
    await signed_in.get_by_role("button", name="Use in the code").click()
    await expect(code).to_contain_text("Bearer ********")
    await expect(signed_in.get_by_label("JWT secret")).to_have_value("")
    await signed_in.get_by_role("tab", name="supabase-js").click()
    await expect(signed_in.get_by_role("region", name="send with supabase-js")).to_contain_text(
        '.schema("pgmq_public")'
    )
    await signed_in.get_by_label("Operation").click()
    await signed_in.get_by_role("option", name="worker").click()
    await signed_in.get_by_role("tab", name="bash").click()
    await expect(signed_in).to_have_url(f"{dashboard.url}/connect?queue={queue}&snippet=worker%2Fbash")
    await signed_in.reload()
    await expect(signed_in.get_by_role("region", name="environment")).to_contain_text(f"export QUEUE='{queue}'")
    await expect(signed_in.get_by_role("region", name="worker in bash")).to_contain_text("#!/usr/bin/env bash")
    await accessible(signed_in)
    await screenshot(signed_in, f"connect-1440-{theme}")


async def test_a_token_that_cannot_be_created_is_explained(signed_in: Page, dashboard: Dashboard) -> None:
    await signed_in.goto(f"{dashboard.url}/connect")
    create = signed_in.get_by_role("button", name="Create token")
    problem = signed_in.get_by_label("Test token").locator(".problem")
    secret, role = signed_in.get_by_label("JWT secret"), signed_in.get_by_label("Role")
    claims = signed_in.get_by_label("More claims (JSON)")
    await create.click()
    await expect(problem).to_contain_text("The JWT secret is missing.")
    await secret.fill("short")
    await create.click()
    await expect(problem).to_contain_text("This secret cannot sign tokens: ")
    await role.fill("")
    # The response to this comes after the one that clears the secret.
    await claims.fill("[]")
    await expect(signed_in.get_by_text("Claims must be a JSON object")).to_be_visible()
    await claims.fill("{}")
    await secret.fill(SECRET)
    await create.click()
    await expect(problem).to_contain_text("The token has no role.")
    await claims.fill("{")
    await signed_in.get_by_label("Expires in").fill("soon")
    await expect(signed_in.get_by_text("Not JSON: ")).to_be_visible()
    await create.click()
    await expect(problem).to_have_count(0)
    await expect(signed_in.get_by_role("region", name="token", exact=True)).to_have_count(0)
    await claims.fill("{}")
    await signed_in.get_by_label("Expires in").fill("1h")
    # Another secret than the gateway's: its token is not offered.
    await role.fill("authenticated")
    await secret.fill(SECRET[::-1])
    await create.click()
    await expect(problem).to_contain_text("PGRST301")
    await expect(signed_in.get_by_role("region", name="token", exact=True)).to_have_count(0)


async def create(page: Page, name: str, kind: str, *, rls: bool = True) -> None:
    """Create a queue in the dialog."""
    await page.get_by_role("button", name="Create queue").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill(name)
    await dialog.get_by_role("radio", name=kind).click()
    if not rls:
        await dialog.get_by_role("switch", name="Row-level security").click()
        await expect(dialog.get_by_role("status")).to_contain_text("can access all messages")
    await dialog.get_by_role("button", name="Create").click()
    await expect(dialog).to_have_count(0)


async def test_u8_pages_opened_in_an_outage_fill_themselves(
    tab: Page, dashboard: Dashboard, embedded: Server, queue: str, sql: Sql, tmp_path: Path
) -> None:
    sql("select pgmq.send(%s, '1')", queue)
    sql(f"alter table pgmq.q_{queue} disable row level security")
    api = urlsplit(embedded.url)
    assert api.hostname is not None
    assert api.port is not None
    with (
        Proxy((api.hostname, api.port)) as proxy,
        server.dashboard(tmp_path / "log", "--api", f"http://127.0.0.1:{proxy.port}") as url,
    ):
        await replace(dashboard, url=url).sign_in(tab, "/health")
        proxy.refuse()
        proxy.cut()
        overview, *others = pages = [tab, *[await tab.context.new_page() for _ in range(3)]]
        details, access, connect = others
        paths = ("/", f"/queues/{queue}", f"/access?queue={queue}", f"/connect?queue={queue}")
        for page, path in zip(pages, paths, strict=True):
            await page.goto(url + path)
            await expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
            await expect(page.get_by_role("alert")).to_have_count(1)
            await expect(page.get_by_role("heading", level=1)).to_be_visible()
        proxy.heal()
        await expect(overview.get_by_role("link", name=queue, exact=True).first).to_be_visible()
        await expect(details.get_by_role("button", name="Open message")).to_have_count(1)
        await expect(details.get_by_role("region", name="Warnings")).to_be_visible()
        await expect(details.locator(".chart svg")).to_have_count(3)
        await access.get_by_role("button", name="Update now").click()
        await expect(access.get_by_role("switch", name="anon: permission to send")).to_be_visible()
        await connect.get_by_label("Queue", exact=True).click()
        await expect(connect.get_by_role("option", name=queue, exact=True)).to_be_visible()
        for page in pages:
            await expect(page.get_by_role("alert")).to_have_count(0)
            await expect(page.locator(".address")).to_contain_text("Postgres")
            await page.close()
