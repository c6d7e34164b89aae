"""Wiring: settings in, an ASGI application out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI

from app import docs
from app.api import Api
from app.asgi import App, Receive, Scope, Send
from app.auth import Authenticator
from app.batching import Line
from app.database import Database
from app.history import History
from app.metrics import Metrics
from app.settings import Settings, SettingsError, load
from app.watch import CatalogWatch


class Gateway:
    """The parts that live as long as the process."""

    def __init__(self, settings: Settings) -> None:
        if settings.db_uri is None:
            raise SettingsError("PGRST_DB_URI is not set: it says which database to serve")
        self.settings = settings
        self.database = Database(settings)
        self.watch = CatalogWatch(settings, self.database.connections)
        self.history = History(settings, self.database.connections, self.watch)
        self.line = Line(settings, self.database)
        self.authenticator = Authenticator.of(settings)
        self.api = Api(settings, self.authenticator, self.watch, self.line)
        self.metrics = Metrics(settings, self.database, self.line, self.watch, self.authenticator, self.api.traffic)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connected to the database, or trying to be."""
        running = [asyncio.create_task(self.watch.run()), asyncio.create_task(self.history.run())]
        try:
            yield
        finally:
            for task in running:
                task.cancel()
            for task in running:
                with suppress(asyncio.CancelledError):
                    await task
            await self.database.connections.close()


def create_app(settings: Settings | None = None, gateway: Gateway | None = None) -> App:
    """The gateway as an application for any ASGI server; without settings, they come from the environment.

    Calls of functions go straight to the API; all else goes through FastAPI, which has the pages and the lifespan.
    """
    gateway = gateway or Gateway(settings or load())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with gateway.running():
            yield

    pages = FastAPI(title="pgmq-gateway", lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    if gateway.settings.openapi_mode != "disabled":
        pages.router.routes.extend(docs.routes(gateway.settings))
    pages.router.redirect_slashes = False
    # Not mounted at "/": a route's pattern ends at a line break, which a queue's name may have.
    pages.router.default = gateway.api

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        called = scope["type"] == "http" and scope["raw_path"].startswith((b"/rpc/", b"/rest/v1/rpc/"))
        await (gateway.api if called else pages)(scope, receive, send)

    return app
