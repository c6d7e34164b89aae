"""The page Health."""

import asyncio
import time
from dataclasses import dataclass

from nicegui import ui

from pgmq_gateway.dashboard.api import Api, Problem, Row
from pgmq_gateway.dashboard.health.database import DatabaseFigures
from pgmq_gateway.dashboard.health.exposure import Exposure
from pgmq_gateway.dashboard.health.gateway import GatewayFigures
from pgmq_gateway.dashboard.health.scrapes import Scrape, scrape
from pgmq_gateway.dashboard.parts.refresh import LATE, LATE_SECONDS, Refresh
from pgmq_gateway.dashboard.parts.shell import gateway, page
from pgmq_gateway.dashboard.parts.widgets import heading

# The database's figures change slowly, and their query is expensive.
DATABASE_REFRESH_SECONDS = 10.0
DATABASE_PATIENCE_SECONDS = 1.0

DatabaseAnswer = tuple[Row | Problem, list[Row] | Problem]


@page("/health", "Health")
async def health(api: Api) -> None:
    await Health(api).start()


@dataclass(frozen=True)
class Snapshot:
    """`database` and `queues` are None when they were not due."""

    gateway: Scrape | Problem
    database: Row | Problem | None
    queues: list[Row] | Problem | None


class Health:
    def __init__(self, api: Api) -> None:
        self._api = api
        self._asked = -DATABASE_REFRESH_SECONDS
        self._answer: asyncio.Future[DatabaseAnswer] | None = None
        with ui.element("div").classes("head"):
            heading("Health", 1)
            ui.element("div").classes("grow")
            self._refresh: Refresh[Snapshot] = Refresh(self._load, self._show, api.session.pictures, lambda: "/health")
        with ui.element("section").classes("stack").props("aria-label=Gateway"):
            heading("Gateway")
            self._gateway = GatewayFigures()
        with ui.element("section").classes("panel").props('aria-label="HTTP access to all queues"'):
            heading("HTTP access to all queues")
            self._exposure = Exposure(api, self._show_exposure)
        with ui.element("section").classes("stack").props("aria-label=Database"):
            heading("Database")
            self._database = DatabaseFigures()

    async def start(self) -> None:
        await asyncio.gather(self._refresh.now(), self._show_exposure())

    async def _show_exposure(self) -> None:
        exposed = await self._api.call("exposed")
        # The page's banner shows a Problem.
        if not isinstance(exposed, Problem):
            self._exposure.show(exposed)

    async def _load(self) -> Snapshot:
        metrics = await scrape(gateway().http, gateway().admin, time.monotonic())
        return Snapshot(metrics, *await self._database_answer())

    async def _database_answer(self) -> DatabaseAnswer | tuple[None, None]:
        """The database's figures when they are due. A frozen database does not delay the gateway's."""
        waited = time.monotonic() - self._asked
        if self._answer is None:
            if waited < DATABASE_REFRESH_SECONDS:
                return None, None
            self._asked, waited = time.monotonic(), 0.0
            self._answer = asyncio.ensure_future(asyncio.gather(self._api.database(), self._api.queues()))
        await asyncio.wait({self._answer}, timeout=DATABASE_PATIENCE_SECONDS)
        if not self._answer.done():
            return (LATE, LATE) if waited >= LATE_SECONDS else (None, None)
        answer, self._answer = self._answer.result(), None
        return answer

    def _show(self, snapshot: Snapshot, _: float) -> None:
        self._gateway.show(snapshot.gateway)
        if snapshot.database is not None and snapshot.queues is not None:
            self._database.show(snapshot.database, snapshot.queues)
