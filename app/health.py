"""Is it alive, is it ready: on a port of its own, which the internet need not reach."""

from collections.abc import Callable

from fastapi import FastAPI, Response

from app.watch import CatalogWatch


def create_admin_app(watch: CatalogWatch, serving: Callable[[], bool]) -> FastAPI:
    """`/live`: whether the API's socket is served. `/ready`: whether the database is reached and its functions known.

    Answers are empty, as PostgREST's: 200, or 500 (not live) and 503 (not ready).
    """
    app = FastAPI(title="pgmq-gateway health", openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/live")
    async def live() -> Response:
        return Response(status_code=200 if serving() else 500)

    @app.get("/ready")
    async def ready() -> Response:
        return Response(status_code=200 if serving() and watch.ready else 503)

    return app
