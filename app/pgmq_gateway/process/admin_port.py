"""What an operator may ask, on a port of its own, which the internet need not reach."""

import json
from collections.abc import Awaitable, Callable

from fastapi import Response

from pgmq_gateway.calls.catalog import Function, Result
from pgmq_gateway.gateway import Gateway
from pgmq_gateway.http.asgi import Receive, Scope, Send


class AdminApp:
    """Four pages, as PostgREST has them: every method gets the same answer, every other path an empty 404.

    `/live`          200 while the API's socket is served, else 500; empty
    `/ready`         200, or 503 while the database is not reached or its functions are not known, or 500; empty
    `/metrics`       Prometheus' text format
    `/schema_cache`  the functions known, as JSON
    """

    def __init__(self, gateway: Callable[[], Gateway], serving: Callable[[], bool]) -> None:
        self._gateway = gateway
        self._serving = serving
        self._pages: dict[str, Callable[[], Awaitable[Response]]] = {
            "/live": self._live,
            "/ready": self._ready,
            "/metrics": self._measured,
            "/schema_cache": self._known,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        page = self._pages.get(scope["path"])
        response = await page() if page else Response(status_code=404)
        await response(scope, receive, send)

    async def _live(self) -> Response:
        return Response(status_code=200 if self._serving() else 500)

    async def _ready(self) -> Response:
        if not self._serving():
            return Response(status_code=500)
        return Response(status_code=200 if self._gateway().watch.ready else 503)

    async def _measured(self) -> Response:
        metrics = self._gateway().metrics
        await metrics.refresh()
        return Response(metrics.text(), media_type=metrics.content_type)

    async def _known(self) -> Response:
        watch = self._gateway().watch
        functions = watch.catalog if watch.loaded.is_set() else ()
        text = json.dumps({"functions": [_described(function) for function in functions]}, ensure_ascii=False)
        return Response(text, media_type="application/json")


def _described(function: Function) -> dict[str, object]:
    return {
        "schema": function.schema,
        "name": function.name,
        "arguments": [
            {"name": a.name, "type": a.type, "required": a.required, "variadic": a.variadic} for a in function.arguments
        ],
        "result": _result(function),
    }


def _result(function: Function) -> dict[str, object]:
    """What a call gives: rows with columns, or values of one type."""
    columns = [{"name": name, "type": type_} for name, type_ in function.columns]
    shape = {"columns": columns} if function.result is Result.RECORD else {"type": columns[0]["type"]}
    return {"kind": function.result, "set": function.returns_set, **shape}
