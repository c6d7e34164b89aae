"""How the gateway and its database are doing."""

import time
from dataclasses import dataclass

from nicegui import ui

from pgmq_gateway.dashboard.api import Api, Problem, Row
from pgmq_gateway.dashboard.health.database import Database
from pgmq_gateway.dashboard.health.gateway import Gateway
from pgmq_gateway.dashboard.health.scrapes import Scrape, scrape
from pgmq_gateway.dashboard.parts.refresh import Refresh
from pgmq_gateway.dashboard.parts.shell import gateway, page
from pgmq_gateway.dashboard.parts.widgets import heading

# The database's figures change slowly, and to get them is work for it.
DATABASE_SECONDS = 10.0


@page("/health", "Health")
async def health(api: Api) -> None:
    """The gateway, then the database."""
    await Health(api).start()


@dataclass(frozen=True)
class Look:
    """Both at one time. `database` and `queues` are None while those of before will do."""

    gateway: Scrape | Problem
    database: Row | Problem | None
    queues: list[Row] | Problem | None


class Health:
    """The page's content."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._asked = -DATABASE_SECONDS
        with ui.element("div").classes("head"):
            heading("Health", 1)
            ui.element("div").classes("grow")
            self._refresh: Refresh[Look] = Refresh(self._load, self._show)
        with ui.element("section").classes("stack").props("aria-label=Gateway"):
            heading("Gateway")
            self._gateway = Gateway()
        with ui.element("section").classes("stack").props("aria-label=Database"):
            heading("Database")
            self._database = Database()

    async def start(self) -> None:
        """Show it for the first time."""
        await self._refresh.now()

    async def _load(self) -> Look:
        now = time.monotonic()
        metrics = await scrape(gateway().http, gateway().admin, now)
        if now - self._asked < DATABASE_SECONDS:
            return Look(metrics, None, None)
        self._asked = now
        return Look(metrics, await self._api.database(), await self._api.queues())

    def _show(self, look: Look) -> None:
        self._gateway.show(look.gateway)
        if look.database is not None and look.queues is not None:
            self._database.show(look.database, look.queues)
