"""The page Health."""

import time
from dataclasses import dataclass

from nicegui import ui

from pgmq_gateway.dashboard.api import Api, Problem, Row
from pgmq_gateway.dashboard.health.database import DatabaseFigures
from pgmq_gateway.dashboard.health.gateway import GatewayFigures
from pgmq_gateway.dashboard.health.scrapes import Scrape, scrape
from pgmq_gateway.dashboard.parts.refresh import Refresh
from pgmq_gateway.dashboard.parts.shell import gateway, page
from pgmq_gateway.dashboard.parts.widgets import heading

# The database's figures change slowly, and their query is expensive.
DATABASE_REFRESH_SECONDS = 10.0


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
        with ui.element("div").classes("head"):
            heading("Health", 1)
            ui.element("div").classes("grow")
            self._refresh: Refresh[Snapshot] = Refresh(self._load, self._show)
        with ui.element("section").classes("stack").props("aria-label=Gateway"):
            heading("Gateway")
            self._gateway = GatewayFigures()
        with ui.element("section").classes("stack").props("aria-label=Database"):
            heading("Database")
            self._database = DatabaseFigures()

    async def start(self) -> None:
        await self._refresh.now()

    async def _load(self) -> Snapshot:
        now = time.monotonic()
        metrics = await scrape(gateway().http, gateway().admin, now)
        if now - self._asked < DATABASE_REFRESH_SECONDS:
            return Snapshot(metrics, None, None)
        self._asked = now
        return Snapshot(metrics, await self._api.database(), await self._api.queues())

    def _show(self, snapshot: Snapshot) -> None:
        self._gateway.show(snapshot.gateway)
        if snapshot.database is not None and snapshot.queues is not None:
            self._database.show(snapshot.database, snapshot.queues)
