"""What tests in a browser share: Chromium, a page of another origin, and a gateway that asks for keys."""

import re
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from pgmq_gateway.auth.signing import api_key
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import nodejs, server
from tests.browser.machine import browser_program
from tests.clients.conftest import command
from tests.server import SECRET, Server

# Ignored by git; for people to look at.
SCREENSHOTS = Path(__file__).with_name("screenshots")
# Machines that run tests are busy.
expect.set_options(timeout=15_000)
# What the console says of every answer that is an error; it is for the test to judge those.
ERROR_ANSWER = "Failed to load resource: the server responded with a status of "


@dataclass(frozen=True)
class Keys:
    """The keys that `pgmq-gateway keys` prints."""

    publishable: str = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Origins:
    """Two origins of one page: `page` is another one than the gateway's, `site` even another site."""

    page: str
    site: str


@dataclass(frozen=True)
class Dashboard:
    """The dashboard of the running gateway. `link` signs in once."""

    url: str
    link: str = field(repr=False)
    key: str = field(repr=False)
    cookie: tuple[str, str] = field(repr=False)

    async def enter(self, page: Page, path: str = "/") -> None:
        """Come to a page in the session that tests share, who must not end it."""
        name, value = self.cookie
        await page.context.add_cookies([{"name": name, "value": value, "url": self.url}])
        await page.goto(self.url + path)
        await expect(page.get_by_role("main").get_by_role("heading", level=1)).to_be_visible()

    async def sign_in(self, page: Page, path: str = "/", key: str | None = None) -> None:
        """Show a key and come to a page."""
        await page.goto(self.url + path)
        await page.get_by_label("Key").fill(self.key if key is None else key)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("main").get_by_role("heading", level=1)).to_be_visible()


@dataclass(frozen=True)
class Desk:
    """Pages of the dashboard, for who is signed in there."""

    page: Page
    dashboard: Dashboard

    async def open(self, path: str, *, narrow: bool = False) -> None:
        """Go to a page of it."""
        await self.page.set_viewport_size({"width": 390, "height": 844} if narrow else {"width": 1440, "height": 900})
        await self.dashboard.enter(self.page, path)

    async def picture(self, name: str, *, dark: bool = False) -> None:
        """Leave a picture of the whole page, which has to be one that everybody can use."""
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

    async def calls(self, *asked: tuple[object, ...]) -> list[dict[str, Any]]:
        """What the page sees of the calls, each of them (function, arguments) or (function, arguments, options)."""
        seen: list[dict[str, Any]] = await self.page.evaluate("calls", {"client": self._options(), "asked": asked})
        return seen

    async def call(self, *asked: object) -> dict[str, Any]:
        """What the page sees of one call."""
        (seen,) = await self.calls(asked)
        return seen

    async def start(self, *asked: object) -> None:
        """Begin a call that `abort` ends."""
        await self.page.evaluate("start", {"client": self._options(), "call": asked})

    async def abort(self) -> dict[str, Any]:
        """End the call that was begun, and give what the page sees of it."""
        seen: dict[str, Any] = await self.page.evaluate("abort()")
        return seen

    def _options(self) -> dict[str, str | None]:
        return {name: getattr(self, name) for name in ("url", "key", "token", "credentials", "schema")}


@pytest.fixture(scope="session")
def directory(folder: Path) -> DataDirectory:
    """The data directory of the server for browsers."""
    return DataDirectory(folder / "browser")


@pytest.fixture(scope="session")
def embedded(folder: Path, directory: DataDirectory) -> Iterator[Server]:
    """`pgmq-gateway serve` on its embedded database as anybody starts it: it asks for a key."""
    log, arguments = folder / "browser.log", ("--data-dir", str(directory.path), "--dashboard-port", "0")
    running = server.start(log, *arguments, env={"PGRST_JWT_SECRET": SECRET, "PGRST_DB_POOL": "4"})
    yield running
    assert running.stop() == 0, log.read_text()


@pytest.fixture(scope="session")
def keys(embedded: Server, directory: DataDirectory) -> Keys:
    """The keys of the running server."""
    printed = command("keys", "--data-dir", str(directory.path), env={"PGRST_JWT_SECRET": SECRET})
    lines = dict(line.split("=", 1) for line in printed.splitlines())
    assert lines["SUPABASE_URL"] == embedded.url
    return Keys(lines["SUPABASE_PUBLISHABLE_KEY"], lines["SUPABASE_SECRET_KEY"])


@pytest.fixture(scope="session")
def dashboard(embedded: Server) -> Dashboard:
    """The dashboard that `serve` has started."""
    link = re.search(r"(\S+)/sign-in\?code=\S+", embedded.output)
    assert link is not None
    key = api_key(SECRET.encode(), "service_role")
    answer = httpx.post(f"{link[1]}/sign-in", data={"key": key}, headers={"Origin": link[1]}, timeout=30)
    ((name, value),) = answer.cookies.items()
    return Dashboard(link[1], link[0], key, (name, value))


async def screenshot(page: Page, name: str, *, whole: bool = False) -> None:
    """Leave a picture for people to look at; a page that is wider than its window is wrong in itself."""
    SCREENSHOTS.mkdir(exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=whole)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def accessible(page: Page) -> None:
    """Let axe look for what people without eyes or mouse would miss."""
    await page.evaluate((nodejs.package("axe-core") / "axe.min.js").read_text())
    found = await page.evaluate("axe.run({resultTypes: ['violations']})")
    faults = [(one["id"], [node["html"][:300] for node in one["nodes"]]) for one in found["violations"]]
    assert faults == []


class Pages(BaseHTTPRequestHandler):
    """Serves the files by their paths."""

    def __init__(self, files: dict[str, tuple[str, bytes]], *arguments: Any) -> None:  # noqa: ANN401 socketserver's
        self._files = files
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """One file, or 404."""
        content_type, body = self._files.get(self.path, ("text/plain", b""))
        self.send_response(200 if self.path in self._files else 404)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def origins() -> Iterator[Origins]:
    """A server of a page that has supabase-js, as its package ships it for browsers."""
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
    """The browser of the machine."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program)
        yield browser
        await browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """Errors of the page, errors in its console, but not that an answer was one; a test takes out what it expects."""
    return []


@pytest_asyncio.fixture(loop_scope="session")
async def tab(chromium: Browser, complaints: list[str]) -> AsyncIterator[Page]:
    """An empty tab of a browser that knows nothing yet; the page that it comes to show must not complain."""
    # Pictures are of what is there, not of how it comes.
    async with await chromium.new_context(reduced_motion="reduce") as context:
        page = await context.new_page()
        listen(page, complaints)
        yield page
    assert complaints == []


def listen(page: Page, complaints: list[str]) -> None:
    """Have the complaints of a page noted."""

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(ERROR_ANSWER):
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))


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
def desk(tab: Page, dashboard: Dashboard) -> Desk:
    """The dashboard in a tab of who has signed in."""
    return Desk(tab, dashboard)
