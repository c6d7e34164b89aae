"""How long a queue's page takes to open, with a million messages in the queue: `python -m bench.page`.

The goal: usable within a second. Measured in Chromium, from the start of the navigation to the end of the server's
response, to the frame that paints the first message, to the moment when the page is usable (the messages are painted
and its web socket is open, so that clicks are answered), and to its charts. Warm: the browser has the files, and their
scripts compiled; cold: it has nothing.
"""

import asyncio
import json
import sys
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
# A browser keeps what it compiles of scripts that it has seen several times.
WARM_UP = 4
# Seconds between two openings, so that none waits for what the one before has left to do: each page counts the queue.
REST = 2.0
GOAL_MS = 1000
# Notes when a thing is first painted, in milliseconds from the start of the navigation. NiceGUI's socket sends clicks.
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
  answer: performance.getEntriesByType("navigation")[0].responseEnd,
  row: opened.row,
  usable: Math.max(opened.row, opened.connected),
  charts: opened.charts,
})"""
SHOWN = {"answer": "response", "row": "first message", "usable": "usable", "charts": "charts"}

Times = Sequence[dict[str, float]]


async def opening(context: BrowserContext, address: str) -> dict[str, float]:
    """Open the page once, and give the times: `answer`, `row`, `usable` and `charts`, in milliseconds."""
    page = await context.new_page()
    await page.add_init_script(WATCH)
    await page.goto(address, wait_until="commit")
    await page.wait_for_function(DONE)
    times: dict[str, float] = await page.evaluate(TIMES)
    await page.close()
    await asyncio.sleep(REST)
    return times


async def cookie(url: str, key: str) -> tuple[str, str]:
    """Name and value of a session's cookie."""
    async with httpx.AsyncClient(timeout=30) as client:
        answer = await client.post(f"{url}/sign-in", data={"key": key}, headers={"Origin": url})
    ((name, value),) = answer.cookies.items()
    return name, value


async def openings(browser: BrowserType, program: str, url: str, key: str, number: int, *, cold: bool) -> Times:
    """Open it so many times."""
    name, value = await cookie(url, key)
    times = []
    # Only a profile on disk keeps what scripts were compiled to, as that of a person does.
    with TemporaryDirectory() as profile:
        async with await browser.launch_persistent_context(
            profile, executable_path=program, viewport=WINDOW
        ) as context:
            await context.add_cookies([{"name": name, "value": value, "url": url}])
            address = f"{url}/queues/{QUEUE}"
            for _ in range(0 if cold else WARM_UP):
                await opening(context, address)
            for _ in range(number):
                if cold:
                    await forget(context)
                times.append(await opening(context, address))
    return times


async def forget(context: BrowserContext) -> None:
    """Empty the browser's cache."""
    session = await context.new_cdp_session(context.pages[0])
    await session.send("Network.clearBrowserCache")
    await session.detach()


async def _measured(messages: int, number: int) -> None:
    program = Path(sys.executable).with_name("pgmq-gateway")
    browser = next(filter(None, map(which, BROWSERS)), None)
    if browser is None:
        raise BenchError("this needs Chromium")
    async with stage(Cast([Name.GATEWAY])) as ready, async_playwright() as playwright:
        (gateway,) = ready.contenders
        assert isinstance(gateway, HttpServer)
        assert gateway.secret
        await gateway.queues.create(QUEUE)
        await gateway.queues.fill(QUEUE, MESSAGE, messages)
        with TemporaryDirectory() as folder:
            async with servers.dashboard(program, gateway.url, Path(folder) / "dashboard.log") as url:
                key = api_key(gateway.secret, "service_role")
                for cold in (False, True):
                    times = await openings(playwright.chromium, browser, url, key, number, cold=cold)
                    report("cold" if cold else "warm", times)
        await gateway.queues.drop(QUEUE)


def report(cache: str, times: Times) -> None:
    """Print the medians, and how often the goal was reached."""
    for name, what in SHOWN.items():
        found = [one[name] for one in times]
        low, _, high = quantiles(found, n=4)
        spread = f"half of {len(found)} between {low:.0f} and {high:.0f}"
        print(f"{cache}  {what:13}  median {median(found):4.0f} ms  ({spread})")
    reached = sum(one["usable"] <= GOAL_MS for one in times)
    print(f"{cache}  usable within {GOAL_MS} ms: {reached} of {len(times)}")


def main(
    messages: Annotated[int, typer.Option(min=1, help="How many are in the queue.")] = 1_000_000,
    number: Annotated[int, typer.Option("--openings", min=2, help="How often the page is opened.")] = 15,
) -> None:
    """Measure how long the page of a long queue takes to open."""
    run(_measured(messages, number))


if __name__ == "__main__":
    typer.run(main)
