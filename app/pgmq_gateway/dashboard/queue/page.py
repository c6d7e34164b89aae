"""One queue: its numbers, what has been, its messages."""

import asyncio

from nicegui import Client, background_tasks, ui

from pgmq_gateway.dashboard.api import Api, Problem, Row
from pgmq_gateway.dashboard.parts.refresh import Refresh
from pgmq_gateway.dashboard.parts.shell import page
from pgmq_gateway.dashboard.parts.widgets import Failure, button, heading
from pgmq_gateway.dashboard.queue.browser import Browser
from pgmq_gateway.dashboard.queue.charts import Charts
from pgmq_gateway.dashboard.queue.client import Listed, Queue
from pgmq_gateway.dashboard.queue.figures import Figures
from pgmq_gateway.dashboard.queue.header import Badges, Menu, Warnings, links
from pgmq_gateway.dashboard.queue.sending import Sending

Look = tuple[Row, Listed | Problem]


@page("/queues/{name:path}", "Queue", section="/")
async def queue(api: Api, name: str) -> None:
    """The page."""
    ui.page_title(f"{name} · pgmq-gateway")
    await Details(Queue(api, name)).start()


class Details:
    """The page's content."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._figures_now: Row = {}
        with ui.element("div").classes("head"):
            heading(queue.name, 1).classes("name")
            self._badges = Badges()
            links(queue.name)
            ui.element("div").classes("grow")
            self._refresh = Refresh(self._load, self._show)
            self._menu = Menu(queue, self._look_again)
            button("Send message", lambda: self._send(), "primary", "send")
        self._failure = Failure()
        with ui.element("div").classes("content") as self._content:
            self._figures = Figures(queue)
            self._warnings = Warnings()
            self._charts = Charts(queue)
            self._browser = Browser(queue, self._send, self._look_again)

    async def start(self) -> None:
        """Show what is quickly known; the rest follows once the browser has the page."""
        # What the lint says stands above the messages, which are not to move.
        await asyncio.gather(self._refresh.again(), self._warn())
        if self._figures_now:
            background_tasks.create(self._follow(ui.context.client), name="queue")

    async def _follow(self, client: Client) -> None:
        await client.connected()
        if client.is_deleted:
            return
        with self._content:
            await asyncio.gather(self._charts.start(), self._figures.count(self._figures_now))

    async def _warn(self) -> None:
        warned = await self._queue.api.warnings(self._queue.name)
        if not isinstance(warned, Problem) and not self._content.is_deleted:
            self._warnings.show(warned)

    async def _load(self) -> Look | Problem:
        figures, listed = await self._queue.look(self._browser.filters.chosen, self._browser.place)
        if isinstance(figures, Problem):
            self._fail(figures)
            return figures
        if not figures:
            missing = Problem(404, f'There is no queue "{self._queue.name}".', hint="It may have been dropped.")
            self._fail(missing)
            return missing
        return figures, listed

    def _fail(self, problem: Problem) -> None:
        self._failure.show(problem)
        self._content.set_visibility(bool(self._figures_now))

    def _show(self, look: Look) -> None:
        self._failure.clear()
        self._content.set_visibility(True)
        self._figures_now, listed = look
        self._badges.show(self._figures_now)
        self._menu.show(self._figures_now)
        self._figures.show(self._figures_now)
        self._browser.show(listed)
        background_tasks.create(self._figures.count(self._figures_now), name="count")

    def _send(self, *like: str) -> None:
        Sending(self._queue, self._look_again, *like)

    async def _look_again(self) -> None:
        await self._refresh.again()
