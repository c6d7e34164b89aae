"""Measures the load time of a queue's page, with a million messages in the queue: `python -m bench.page`.

The goal is a usable page within one second. Chromium measures, from the start of the navigation:

response       the end of the server's response
first message  the frame that paints it
usable         the messages are painted and the WebSocket is open, so that clicks have an effect
charts         the frame that paints them

Warm: the browser has cached the files and their compiled scripts. Cold: its cache is empty.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Annotated

import httpx
import typer
from playwright.async_api import BrowserContext, BrowserType, ViewportSize, async_playwright

from bench import servers
from bench.contenders import HttpServer, Name
from bench.measurement import BenchError
from bench.stage import Cast, stage
from pgmq_gateway.auth.signing import api_key
from pgmq_gateway.cli.terminal import run

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUEUE = "bench_page"
MESSAGE = json.dumps({"order": 4711, "customer": "0a1b2c3d", "lines": [{"sku": "abc-1", "n": 2}], "note": "x" * 200})
WINDOW = ViewportSize(width=1440, height=900)
# Chromium caches the compiled code of a script only after several loads.
WARM_UP_OPENINGS = 4
# Each page counts the messages in the background, which must not delay the next opening.
PAUSE_SECONDS = 2.0
GOAL_MS = 1000
# Records when an element is first painted, in milliseconds from the start of the navigation.
WATCH = """
  window.opened = {};
  function seen(name, selector) {
    if (window.opened[name] !== undefined || !document.querySelector(selector)) return;
    window.opened[name] = null;
    requestAnimationFrame(() => {
      const painted = new MessageChannel();
      painted.port1.onmessage = () => (window.opened[name] = performance.now());
      painted.port2.postMessage(null);
    });
  }
  new MutationObserver(() => {
    seen("row", ".messages tbody tr td");
    seen("charts", ".chart svg");
  }).observe(document, { childList: true, subtree: true });
  const connecting = setInterval(() => {
    if (!window.socket?.connected) return;
    clearInterval(connecting);
    window.opened.connected = performance.now();
  }, 5);
"""
DONE = "window.opened.row && window.opened.connected && window.opened.charts"
TIMES = """({
  response: performance.getEntriesByType("navigation")[0].responseEnd,
  row: opened.row,
  usable: Math.max(opened.row, opened.connected),
  charts: opened.charts,
})"""
LABELS = {"response": "response", "row": "first message", "usable": "usable", "charts": "charts"}

Times = Sequence[dict[str, float]]


async def opening(context: BrowserContext, address: str) -> dict[str, float]:
    """Open the page once. Returns the times `response`, `row`, `usable` and `charts`, in milliseconds."""
    page = await context.new_page()
    await page.add_init_script(WATCH)
    await page.goto(address, wait_until="commit")
    await page.wait_for_function(DONE)
    times: dict[str, float] = await page.evaluate(TIMES)
    await page.close()
    await asyncio.sleep(PAUSE_SECONDS)
    return times


async def cookie(url: str, key: str) -> tuple[str, str]:
    """Sign in. Returns name and value of the session's cookie."""
    async with httpx.AsyncClient(timeout=30) as client:
        response = await client.post(f"{url}/sign-in", data={"key": key}, headers={"Origin": url})
    ((name, value),) = response.cookies.items()
    return name, value


async def openings(browser: BrowserType, program: str, url: str, key: str, number: int, *, cold: bool) -> Times:
    """Open the page `number` times."""
    name, value = await cookie(url, key)
    times = []
    # Chromium caches compiled scripts only in a profile on disk.
    with TemporaryDirectory() as profile:
        async with await browser.launch_persistent_context(
            profile, executable_path=program, viewport=WINDOW
        ) as context:
            await context.add_cookies([{"name": name, "value": value, "url": url}])
            address = f"{url}/queues/{QUEUE}"
            for _ in range(0 if cold else WARM_UP_OPENINGS):
                await opening(context, address)
            for _ in range(number):
                if cold:
                    await clear_cache(context)
                times.append(await opening(context, address))
    return times


async def clear_cache(context: BrowserContext) -> None:
    session = await context.new_cdp_session(context.pages[0])
    await session.send("Network.clearBrowserCache")
    await session.detach()


async def _measured(messages: int, number: int) -> None:
    browser = next(filter(None, map(which, BROWSERS)), None)
    if browser is None:
        raise BenchError(f"no browser found: install one of {', '.join(BROWSERS)}")
    async with stage(Cast([Name.GATEWAY])) as ready, async_playwright() as playwright:
        (gateway,) = ready.contenders
        assert isinstance(gateway, HttpServer)
        assert gateway.secret
        await gateway.queues.create(QUEUE)
        await gateway.queues.fill(QUEUE, MESSAGE, messages)
        with TemporaryDirectory() as folder:
            async with servers.dashboard(gateway.url, Path(folder) / "dashboard.log") as url:
                key = api_key(gateway.secret, "service_role")
                for cold in (False, True):
                    times = await openings(playwright.chromium, browser, url, key, number, cold=cold)
                    report("cold" if cold else "warm", times)
        await gateway.queues.drop(QUEUE)


def report(cache: str, times: Times) -> None:
    """Print medians and quartiles, and how often the goal was reached."""
    for name, label in LABELS.items():
        found = [one[name] for one in times]
        low, _, high = quantiles(found, n=4)
        spread = f"half of {len(found)} between {low:.0f} and {high:.0f}"
        print(f"{cache}  {label:13}  median {median(found):4.0f} ms  ({spread})")
    reached = sum(one["usable"] <= GOAL_MS for one in times)
    print(f"{cache}  usable within {GOAL_MS} ms: {reached} of {len(times)}")


def main(
    messages: Annotated[int, typer.Option(min=1, help="Number of messages in the queue.")] = 1_000_000,
    number: Annotated[int, typer.Option("--openings", min=2, help="Number of times the page is opened.")] = 15,
) -> None:
    """Measure the load time of a long queue's page."""
    run(_measured(messages, number))


if __name__ == "__main__":
    typer.run(main)
