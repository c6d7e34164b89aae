"""The page of one queue."""

import asyncio

from nicegui import background_tasks, ui
from starlette.convertors import IntegerConvertor, register_url_convertor

from pgmq_gateway.dashboard.api import Api, Problem, Row
from pgmq_gateway.dashboard.parts.lint import Findings
from pgmq_gateway.dashboard.parts.refresh import Refresh
from pgmq_gateway.dashboard.parts.shell import page
from pgmq_gateway.dashboard.parts.widgets import button, heading
from pgmq_gateway.dashboard.queue.browser import Browser
from pgmq_gateway.dashboard.queue.charts import Charts
from pgmq_gateway.dashboard.queue.client import Listed, Queue
from pgmq_gateway.dashboard.queue.figures import Figures
from pgmq_gateway.dashboard.queue.groups import Groups
from pgmq_gateway.dashboard.queue.header import Badges, Menu, links
from pgmq_gateway.dashboard.queue.history import History
from pgmq_gateway.dashboard.queue.letters import Letters
from pgmq_gateway.dashboard.queue.location import parsed
from pgmq_gateway.dashboard.queue.pausing import Pausing
from pgmq_gateway.dashboard.queue.sending import Sending
from pgmq_gateway.dashboard.queue.settings import edit_settings

Snapshot = tuple[Row, Listed | Problem]


class MessageId(IntegerConvertor):
    """Of a limited length: Python refuses to read thousands of digits."""

    regex = "[0-9]{1,19}"


register_url_convertor("message_id", MessageId())


@page("/queues/{name:path}/messages/{msg_id:message_id}", "Message", section="/")
async def message(api: Api, name: str, msg_id: int) -> None:
    ui.page_title(f"Message {msg_id} of {name} · pgmq-gateway")
    await Details(Queue(api, name)).start()


@page("/queues/{name:path}", "Queue", section="/")
async def queue(api: Api, name: str) -> None:
    ui.page_title(f"{name} · pgmq-gateway")
    await Details(Queue(api, name)).start()


class Details:
    """The page shows the location that the request's URL has."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        request = ui.context.client.request.url
        self._settings_wanted = "settings" in ui.context.client.request.query_params
        self._history = History(queue.name, parsed(f"{request.path}?{request.query}"), lambda: self._browser.visit())
        self._latest: Row = {}
        self._client = ui.context.client
        # Whether the lint has responded.
        self._linted = False
        with ui.element("div").classes("head"):
            heading(queue.name, 1).classes("name")
            self._badges = Badges()
            links(queue.name)
            ui.element("div").classes("grow")
            self._refresh = Refresh(self._load, self._show, queue.api.session.pictures, self._picture)
            with ui.element("div").classes("row-of") as self._controls:
                self._groups = Groups(queue, lambda name: self._browser.show_group(name))
                button("Settings", lambda: edit_settings(queue, self._refresh.again), icon="tune")
                self._pausing = Pausing(queue, self._refresh.again)
                self._menu = Menu(queue, self._refresh.again)
                if queue.api.can("send"):
                    button("Send message", lambda: self._send(), "primary", "send")
        with ui.element("div").classes("content") as self._content:
            self._letters = Letters(queue)
            self._figures = Figures(queue)
            self._warnings = Findings(queue.api)
            self._charts = Charts(queue, self._history)
            self._browser = Browser(queue, self._history, self._send, self._refresh.again)

    async def start(self) -> None:
        """Show figures, warnings and messages; charts and exact counts follow once the browser has the page."""
        await self._refresh.again()
        await self._browser.show_message()

    async def _add_rest(self) -> None:
        await self._client.connected()
        if self._client.is_deleted:
            return
        with self._content:
            if self._settings_wanted:
                await edit_settings(self._queue, self._refresh.again)
            await asyncio.gather(self._charts.start(), self._figures.count(self._latest))

    async def _load_warnings(self) -> None:
        """Load the warnings, once, with the other data: later ones would move the messages below them."""
        if self._linted:
            return
        warnings = await self._queue.api.warnings(self._queue.name)
        self._linted = not (isinstance(warnings, Problem) and warnings.outage)
        if not isinstance(warnings, Problem) and not self._content.is_deleted:
            self._warnings.show(warnings)

    def _picture(self) -> str:
        return f"/queues/{self._queue.name} {self._browser.filters.value} {self._history.location.place}"

    async def _load(self) -> Snapshot | Problem:
        filter, location = self._browser.filters.value, self._history.location
        snapshot = self._queue.snapshot(filter, location.place, location.view.select)
        others = self._load_warnings(), self._letters.load(), self._browser.load(filter)
        (figures, listed), *_ = await asyncio.gather(snapshot, *others)
        problem = _problem(self._queue.name, figures, listed)
        if problem is not None:
            self._reveal(bool(self._latest))
            return problem
        assert not isinstance(figures, Problem)
        return figures, listed

    def _reveal(self, visible: bool) -> None:
        for element in (self._controls, self._content):
            element.set_visibility(visible)

    def _show(self, snapshot: Snapshot, at: float) -> None:
        self._reveal(True)
        if not self._latest:
            background_tasks.create(self._add_rest(), name="queue")
        self._latest, listed = snapshot
        self._badges.show(self._latest)
        self._groups.show(self._latest)
        self._pausing.show(self._latest)
        self._menu.show(self._latest)
        self._figures.show(self._latest, at)
        self._browser.offer_letters(self._letters.origins)
        self._browser.show(listed)
        background_tasks.create(self._figures.count(self._latest), name="count")

    def _send(self, *message_and_headers: str) -> None:
        Sending(self._queue, self._refresh.again, *message_and_headers)


def _problem(name: str, figures: Row | Problem, listed: Listed | Problem) -> Problem | None:
    """The problem of the whole page. The list shows one of its own, such as an invalid filter."""
    for answer in (figures, listed):
        if isinstance(answer, Problem) and (answer is figures or answer.outage):
            return answer
    if not figures:
        hint = "It may have been dropped. The page Queues lists the existing ones."
        return Problem(404, f'Queue "{name}" does not exist.', hint=hint)
    return None
