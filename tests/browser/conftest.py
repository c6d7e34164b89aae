"""Fixtures of the browser tests: Chromium, a page of another origin, and a gateway that requires API keys."""

import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Error, Page, async_playwright, expect

from pgmq_gateway.auth.signing import api_key
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import nodejs, server
from tests.browser.machine import browser_program
from tests.clients.conftest import command
from tests.server import SECRET, Server

# For the eye; ignored by git.
SCREENSHOTS = Path(__file__).with_name("screenshots")
# Playwright's default of 5 s is too short on a busy machine.
expect.set_options(timeout=15_000)
# The console's line for each error response. Those are for the tests to check.
ERROR_RESPONSE = "Failed to load resource: the server responded with a status of "


@dataclass(frozen=True)
class Keys:
    """The keys that `pgmq-gateway keys` prints."""

    publishable: str = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Origins:
    """Two origins of one page: `page` differs from the gateway's in its port, `site` in its host."""

    page: str
    site: str


@dataclass(frozen=True)
class Dashboard:
    """The dashboard of the running gateway. `link` signs in once."""

    url: str
    link: str = field(repr=False)
    key: str = field(repr=False)
    cookie: tuple[str, str] = field(repr=False)

    async def admit(self, page: Page) -> None:
        """Give a tab the session that the tests share, and must not end."""
        name, value = self.cookie
        await page.context.add_cookies([{"name": name, "value": value, "url": self.url}])

    async def enter(self, page: Page, path: str = "/") -> None:
        """Open a page in the session that the tests share."""
        await self.admit(page)
        await page.goto(self.url + path)
        await expect(page.get_by_role("main").get_by_role("heading", level=1)).to_be_visible()

    async def sign_in(self, page: Page, path: str = "/", key: str | None = None) -> None:
        """Sign in with a key, and open a page."""
        await page.goto(self.url + path)
        await page.get_by_label("Key").fill(self.key if key is None else key)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("main").get_by_role("heading", level=1)).to_be_visible()


@dataclass(frozen=True)
class Desk:
    """The dashboard's pages in a signed-in tab."""

    page: Page
    dashboard: Dashboard

    async def open(self, path: str, *, narrow: bool = False) -> None:
        await self.page.set_viewport_size({"width": 390, "height": 844} if narrow else {"width": 1440, "height": 900})
        await self.dashboard.enter(self.page, path)

    async def picture(self, name: str, *, dark: bool = False) -> None:
        """Check the page's accessibility, and take a screenshot of all of it."""
        await self.page.emulate_media(color_scheme="dark" if dark else "light")
        await accessible(self.page)
        await self.page.evaluate("scrollTo(0, 0)")
        await screenshot(self.page, name, whole=True)


@dataclass(frozen=True)
class Client:
    """A supabase-js client of a page."""

    page: Page
    url: str
    key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    credentials: str | None = None
    schema: str = "pgmq_public"

    async def calls(self, *calls: tuple[object, ...]) -> list[dict[str, Any]]:
        """The results of calls, each (function, arguments) or (function, arguments, options), as the page gets them."""
        arguments = {"client": self._options(), "calls": calls}
        results: list[dict[str, Any]] = await self.page.evaluate("calls", arguments)
        return results

    async def call(self, *call: object) -> dict[str, Any]:
        """The result of one call as the page gets it."""
        (result,) = await self.calls(call)
        return result

    async def start(self, *call: object) -> None:
        """Start a call that `abort` aborts."""
        await self.page.evaluate("start", {"client": self._options(), "call": call})

    async def abort(self) -> dict[str, Any]:
        """Abort the started call. Returns its result as the page gets it."""
        result: dict[str, Any] = await self.page.evaluate("abort()")
        return result

    def _options(self) -> dict[str, str | None]:
        return {name: getattr(self, name) for name in ("url", "key", "token", "credentials", "schema")}


@pytest.fixture(scope="session")
def directory(folder: Path) -> DataDirectory:
    """The data directory of the browser tests' server."""
    return DataDirectory(folder / "browser")


@pytest.fixture(scope="session")
def embedded(folder: Path, directory: DataDirectory) -> Iterator[Server]:
    """`pgmq-gateway serve` on its embedded database, with its defaults: it requires API keys."""
    log, arguments = folder / "browser.log", ("--data-dir", str(directory.path), "--dashboard-port", "0")
    running = server.start(log, *arguments, env={"PGRST_JWT_SECRET": SECRET, "PGRST_DB_POOL": "4"})
    yield running
    assert running.stop() == 0, log.read_text()


@pytest.fixture(scope="session")
def keys(embedded: Server, directory: DataDirectory) -> Keys:
    """The keys of the running server."""
    printed = command("keys", "--json", "--data-dir", str(directory.path), env={"PGRST_JWT_SECRET": SECRET})
    lines = json.loads(printed)
    assert lines["SUPABASE_URL"] == embedded.url
    return Keys(lines["SUPABASE_PUBLISHABLE_KEY"], lines["SUPABASE_SECRET_KEY"])


@pytest.fixture(scope="session")
def dashboard(embedded: Server) -> Dashboard:
    """The dashboard that `serve` started."""
    link = re.search(r"(\S+)/sign-in\?code=\S+", embedded.output)
    assert link is not None
    key = api_key(SECRET.encode(), "service_role")
    answer = httpx.post(f"{link[1]}/sign-in", data={"key": key}, headers={"Origin": link[1]}, timeout=30)
    ((name, value),) = answer.cookies.items()
    return Dashboard(link[1], link[0], key, (name, value))


async def screenshot(page: Page, name: str, *, whole: bool = False) -> None:
    """Take a screenshot for people to look at. Fails when the page is wider than its window."""
    SCREENSHOTS.mkdir(exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=whole)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def accessible(page: Page) -> None:
    """Fail on axe's findings about accessibility."""
    await page.evaluate((nodejs.package("axe-core") / "axe.min.js").read_text())
    found = await page.evaluate("axe.run({resultTypes: ['violations']})")
    violations = [(one["id"], [node["html"][:300] for node in one["nodes"]]) for one in found["violations"]]
    assert violations == []


class Pages(BaseHTTPRequestHandler):
    """Serves files by their paths."""

    def __init__(self, files: dict[str, tuple[str, bytes]], *arguments: Any) -> None:  # noqa: ANN401 socketserver's
        self._files = files
        super().__init__(*arguments)

    def do_GET(self) -> None:
        content_type, body = self._files.get(self.path, ("text/plain", b""))
        self.send_response(200 if self.path in self._files else 404)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """No log."""


@pytest.fixture(scope="session")
def origins() -> Iterator[Origins]:
    """A server of a page that loads supabase-js' build for browsers."""
    supabase_js = nodejs.package("@supabase/supabase-js") / "dist" / "umd" / "supabase.js"
    page = Path(__file__).with_name("page.html").read_bytes()
    files = {"/": ("text/html", page), "/supabase.js": ("text/javascript", supabase_js.read_bytes())}
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Pages, files)) as pages:
        thread = threading.Thread(target=pages.serve_forever)
        thread.start()
        yield Origins(f"http://127.0.0.1:{pages.server_port}", f"http://localhost:{pages.server_port}")
        pages.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def program() -> str:
    """The path of the machine's Chromium."""
    return browser_program()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(program: str) -> AsyncIterator[Browser]:
    """The machine's browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program)
        yield browser
        await browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """Errors of the page and in its console, without error responses. A test removes those that it expects."""
    return []


@pytest_asyncio.fixture(loop_scope="session")
async def tab(chromium: Browser, complaints: list[str]) -> AsyncIterator[Page]:
    """An empty tab of a browser without cookies and cache. Errors in its console fail the test."""
    # Screenshots must not catch an animation halfway.
    async with await chromium.new_context(reduced_motion="reduce") as context:
        page = await context.new_page()
        with listening(page, complaints):
            yield page
    assert complaints == []


# A new tab compiles the dashboard's scripts again, which takes more than a second of CPU.
@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def window(chromium: Browser) -> AsyncIterator[Page]:
    """One tab for all tests of the dashboard."""
    async with await chromium.new_context(reduced_motion="reduce") as context:
        yield await context.new_page()


@pytest_asyncio.fixture(loop_scope="session")
async def board(window: Page, dashboard: Dashboard, complaints: list[str]) -> AsyncIterator[Page]:
    """The tab of all tests, of 1440 x 900 pixels, without cookies and storage. Errors in its console fail the test."""
    await window.set_viewport_size({"width": 1440, "height": 900})
    await window.emulate_media(color_scheme="light")
    with listening(window, complaints):
        yield window
        await window.evaluate("() => { try { localStorage.clear(); sessionStorage.clear() } catch {} }")
        # Of the same origin: at another the browser begins a new process.
        await window.goto(f"{dashboard.url}/favicon.ico")
    for other in window.context.pages[1:]:
        await other.close()
    await window.context.clear_cookies()
    await window.context.clear_permissions()
    assert complaints == []


@contextmanager
def listening(page: Page, complaints: list[str]) -> Iterator[None]:
    """Collect the errors of a page."""

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(ERROR_RESPONSE):
            complaints.append(message.text)

    def note_error(error: Error) -> None:
        complaints.append(str(error))

    page.on("console", note)
    page.on("pageerror", note_error)
    yield
    page.remove_listener("console", note)
    page.remove_listener("pageerror", note_error)


@pytest_asyncio.fixture(loop_scope="session")
async def page(tab: Page, origins: Origins) -> Page:
    """A page of another site than the gateway's."""
    await tab.goto(origins.site)
    return tab


@pytest.fixture
def anonymous(page: Page, embedded: Server, keys: Keys) -> Client:
    """A client with the publishable key and nothing else."""
    return Client(page, embedded.url, keys.publishable)


@pytest.fixture
def desk(board: Page, dashboard: Dashboard) -> Desk:
    """The dashboard in a signed-in tab."""
    return Desk(board, dashboard)
