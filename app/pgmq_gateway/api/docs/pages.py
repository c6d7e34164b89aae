"""The documentation pages: Swagger UI on `/openapi.json`, without files from other origins."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from pgmq_gateway.http.asgi import App
from pgmq_gateway.http.request import PREFIX
from pgmq_gateway.settings.model import Settings

STATIC = Path(__file__).with_name("static")
# The package that contains Swagger UI.
SWAGGER_UI = ("fastapi_offline", "static")
NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}


def application(settings: Settings, others: App) -> FastAPI:
    """The pages. `others` handles the requests to other paths."""
    pages = FastAPI(title="pgmq-gateway", openapi_url=None, docs_url=None, redoc_url=None)
    pages.router.routes.extend(_routes(settings))
    pages.router.redirect_slashes = False
    # Not mounted at "/": a route's pattern ends at a line break, and names of queues can contain one.
    pages.router.default = others
    return pages


def _routes(settings: Settings) -> list[BaseRoute]:
    """The page and its files, with and without the prefix. They contain no secrets and need no key."""
    assets = Assets(directory=STATIC, packages=[SWAGGER_UI])
    page = _page(settings.openapi_server_proxy_uri)
    return [
        route
        for prefix in ("", PREFIX)
        for route in (Route(f"{prefix}/docs", page), Mount(f"{prefix}/docs/assets", assets))
    ]


class Assets(StaticFiles):
    """Static files that browsers revalidate, and whose type they do not guess."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:  # noqa: ANN401 passed to the base class
        response = super().file_response(*args, **kwargs)
        response.headers.update(NO_SNIFFING)
        return response


def _page(server: str | None) -> type[HTTPEndpoint]:
    html = (STATIC / "index.html").read_text()
    headers = {**NO_SNIFFING, "Content-Security-Policy": _policy(server), "Referrer-Policy": "no-referrer"}

    class Page(HTTPEndpoint):
        async def get(self, _: Request) -> Response:
            return HTMLResponse(html, headers=headers)

    return Page


def _policy(server: str | None) -> str:
    """A Content-Security-Policy: own files, and calls of openapi-server-proxy-uri too."""
    place = urlsplit(server or "")
    api = f" {place.scheme}://{place.netloc}" if place.scheme and place.netloc else ""
    rules = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        # Swagger UI draws its icons from data: URLs in its style sheet.
        "img-src": "'self' data:",
        "connect-src": f"'self'{api}",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())
